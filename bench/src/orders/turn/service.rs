//! The service's own way: Palisade's database, Orderdesk's orders, and the row of the key.

use std::sync::Arc;

use orderdesk::accounts::{AccountId, Actor};
use orderdesk::orders::{
    AnyOrder, Currency, Line, Lines, Money, Order, OrderView, Quantity, Reference, Sku, store,
};
use palisade::args;
use palisade::clock::{Clock as _, SystemClock};
use palisade::crypto::random_bytes;
use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Purpose, Tx};
use palisade::id::Id;
use palisade::input::{FromText as _, Invalid};

use super::super::callers::{self, Found, Turn};
use super::super::{sample, sql};

/// Places orders for `customer` in the database of `url`.
///
/// # Errors
/// When the database fails.
pub(super) async fn run(url: &DatabaseUrl, customer: &str, turn: Turn) -> anyhow::Result<Found> {
    let mut settings = DbSettings::new(Purpose::Serve);
    settings.connections = turn.callers;
    let db = Db::open(url, settings).await?;
    let customer = AccountId::parse(customer).ok_or_else(|| anyhow::anyhow!("no account"))?;
    let lines = Arc::new(lines().map_err(|why| anyhow::anyhow!("{why:?}"))?);
    let begun = db.clone();
    let found = callers::run(turn, move |number| {
        place(begun.clone(), customer, Arc::clone(&lines), number)
    });
    let found = found.await?;
    db.close().await?;
    Ok(found)
}

/// One order in one transaction, with its answer kept in it, as `POST /orders` does it.
async fn place(db: Db, customer: AccountId, lines: Arc<Lines>, number: u64) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let (id, expires_at) = (Id::new_at(now), now.after(DAY));
    let (key_hash, fingerprint) = (random_bytes::<32>(), random_bytes::<32>());
    let reference = Reference::from_text(&format!("spring-{number:08}")).ok();
    db.write(async move |tx: &mut Tx<'_>| -> Result<(), DbError> {
        tx.execute(sql::CLAIM, args![key_hash, fingerprint, expires_at, now]).await?;
        let lines = Lines::clone(&lines);
        let order = Order::place(id, customer, reference.clone(), lines, now);
        store::insert(tx, &order, Actor::Account(customer)).await?;
        let (location, tag) = (format!("/orders/{id}"), "\"1\"");
        let body = serde_json::to_vec(&OrderView::from(&AnyOrder::from(order)));
        let body = body.map_err(|_| DbError::Corrupt { column: "body".to_owned() })?;
        let kept = args![key_hash, 201_u32, "application/json", location, tag, body];
        tx.execute(sql::KEEP, kept).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

fn lines() -> Result<Lines, Invalid> {
    let unknown = || Invalid::new("currency", "Not known.");
    let currency = Currency::parse(sample::CURRENCY).ok_or_else(unknown)?;
    let line = |(sku, quantity, price)| {
        let unit_price = Money::from_minor(price, currency).ok_or_else(unknown)?;
        Ok(Line { sku: Sku::from_text(sku)?, quantity: Quantity::new(quantity)?, unit_price })
    };
    Lines::new(currency, sample::LINES.into_iter().map(line).collect::<Result<_, Invalid>>()?)
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
