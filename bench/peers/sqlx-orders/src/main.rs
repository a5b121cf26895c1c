//! Orders placed the usual way: a pool of ten connections, and one transaction for each call.
//!
//! `palisade-bench -- orders` builds and runs it: `sqlx-orders PATH CUSTOMER CALLERS WARM-UP SECONDS`.
//! The tables are there, with the service's own schema.

use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlitePool, query};

#[path = "../../../src/orders/callers.rs"]
mod callers;
#[path = "../../../src/orders/sample.rs"]
mod sample;
#[path = "../../../src/orders/sql.rs"]
mod sql;

use callers::Turn;
use sample::{CURRENCY, LINES, Sample, TOTAL};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, customer, callers, warm_up, measured] = arguments.as_slice() else {
        return Err("sqlx-orders PATH CUSTOMER CALLERS WARM-UP SECONDS".into());
    };
    let seconds = |text: &str| f64::from_str(text).map(Duration::from_secs_f64);
    let turn = Turn {
        callers: callers.parse()?,
        warm_up: seconds(warm_up)?,
        measured: seconds(measured)?,
    };
    // As durable as the service; everything else is what sqlx does by itself.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await?;
    let customer: Arc<str> = customer.as_str().into();
    let found = callers::run(turn, move |number| {
        let (pool, customer) = (pool.clone(), Arc::clone(&customer));
        async move { place(&pool, &customer, number).await }
    });
    println!("{}", found.await?.to_line());
    Ok(())
}

/// One order in one transaction, statement by statement.
async fn place(pool: &SqlitePool, customer: &str, number: u64) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let order = Sample::new(number, customer, i64::try_from(now.as_millis())?);
    let Sample { id, reference, key_hash, fingerprint, now, expires_at, .. } = &order;
    // It writes from the first statement on, and so waits its turn there instead of failing later.
    let mut tx = pool.begin().await?;
    let claim = query(sql::CLAIM).bind(key_hash.as_slice()).bind(fingerprint.as_slice());
    claim.bind(expires_at).bind(now).execute(&mut *tx).await?;
    let insert = query(sql::ORDER).bind(id).bind(customer).bind(CURRENCY).bind(reference);
    insert.bind(TOTAL).bind(now).bind(1).execute(&mut *tx).await?;
    for (position, (sku, quantity, price)) in (1_i64..).zip(LINES) {
        let line = query(sql::LINE).bind(id).bind(position).bind(sku);
        line.bind(quantity).bind(price).execute(&mut *tx).await?;
    }
    let event = query(sql::EVENT).bind(id).bind(1).bind(now).bind(customer);
    event.bind("place").bind(None::<&str>).bind("new").execute(&mut *tx).await?;
    let Sample { content_type, location, entity_tag, body, .. } = &order;
    let keep = query(sql::KEEP).bind(key_hash.as_slice()).bind(201).bind(content_type);
    keep.bind(location).bind(entity_tag).bind(body).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
