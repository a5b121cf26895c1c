//! Filling the service's own tables, as if orders had been placed for months.

use std::fs::File;
use std::path::{Path, PathBuf};

use palisade::clock::Timestamp;
use palisade::id::Id;
use rusqlite::{Connection, Transaction, params};

use super::ask::Target;

/// A database that grows.
#[derive(Debug)]
pub(super) struct Fill {
    file: PathBuf,
    connection: Connection,
    customers: Vec<String>,
    /// All orders that are new, oldest first.
    new: Vec<Target>,
    count: u32,
}

impl Fill {
    /// Opens the file of a service in which one account has signed up.
    ///
    /// # Errors
    /// When the file is not there.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(file)?;
        // It is thrown away if the power fails.
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;")?;
        let own: String =
            connection.query_row("SELECT id FROM accounts", [], |row| row.get("id"))?;
        let mut customers = vec![own];
        for number in 1..CUSTOMERS {
            let id = Id::<()>::new_at(Timestamp::from_millis(BEGIN)).to_string();
            connection.execute(
                "INSERT INTO accounts (id, username, email, role, password_hash, created_at)
                 VALUES ($1, $2, 'x@example.com', 'customer', 'none', 0)",
                params![id, format!("customer{number}")],
            )?;
            customers.push(id);
        }
        Ok(Self { file: file.to_owned(), connection, customers, new: Vec::new(), count: 0 })
    }

    /// Adds orders until there are `count`; each third of them is paid.
    ///
    /// # Errors
    /// When the database refuses them.
    pub(super) fn grow_to(&mut self, count: u32) -> anyhow::Result<()> {
        let Self { connection, customers, new, count: present, .. } = self;
        let transaction = connection.transaction()?;
        for (number, customer) in (*present..count).zip(customers.iter().cycle()) {
            new.extend(place(&transaction, number, customer)?);
        }
        transaction.commit()?;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
        // Or the service's first flush would have to bring all of this to the disk.
        File::open(&self.file)?.sync_all()?;
        *present = count;
        Ok(())
    }

    /// Takes `count` new orders, from all over: they are about to be changed.
    pub(super) fn take(&mut self, count: usize) -> Vec<Target> {
        let apart = (self.new.len() / count).max(1);
        let mut taken = Vec::new();
        let mut place = 0_usize;
        self.new.retain(|target| {
            place += 1;
            let is_taken = place.is_multiple_of(apart) && taken.len() < count;
            if is_taken {
                taken.push(target.clone());
            }
            !is_taken
        });
        taken
    }
}

/// Writes the order `number`, and returns it if it is new.
fn place(
    transaction: &Transaction<'_>,
    number: u32,
    customer: &str,
) -> rusqlite::Result<Option<Target>> {
    let at = BEGIN + i64::from(number) * APART;
    let id = Id::<()>::new_at(Timestamp::from_millis(at)).to_string();
    let reference = format!("spring-{number:08}");
    let is_paid = number.is_multiple_of(3);
    let (status, version) = if is_paid { ("paid", 2) } else { ("new", 1) };
    let (before, paid_at) = (is_paid.then_some("new"), is_paid.then_some(at));
    let payment = is_paid.then_some("pi_3Nk1");
    transaction
        .prepare_cached(ORDER)?
        .execute(params![id, customer, before, status, reference, payment, paid_at, at, version])?;
    for position in 1..=3 {
        transaction.prepare_cached(LINE)?.execute(params![id, position])?;
    }
    let mut event = transaction.prepare_cached(EVENT)?;
    event.execute(params![id, 1, at, customer, "place", None::<&str>, "new"])?;
    if is_paid {
        event.execute(params![id, 2, at, customer, "pay", "new", "paid"])?;
        return Ok(None);
    }
    Ok(Some(Target { id, reference }))
}

/// In 2026, in milliseconds: a minute passes between two orders, and a million are two years.
const BEGIN: i64 = 1_767_225_600_000;
const APART: i64 = 60_000;

/// Of so many orders one is the customer's own; each other belongs to another account.
const CUSTOMERS: u32 = 5;

const ORDER: &str = "INSERT INTO orders
    (id, customer, previous_status, status, currency, reference, total, payment_reference, paid_at,
     created_at, updated_at, version)
    VALUES ($1, $2, $3, $4, 'EUR', $5, 3750, $6, $7, $8, $8, $9)";

const LINE: &str = "INSERT INTO order_lines (order_id, position, sku, quantity, unit_price)
    VALUES ($1, $2, 'TEA-100', 1, 1250)";

const EVENT: &str = "INSERT INTO order_events
    (order_id, version, at, actor, action, from_status, to_status)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
