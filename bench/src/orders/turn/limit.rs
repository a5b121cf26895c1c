//! The limit: one loop on one connection, with every statement prepared and nothing around it.
//!
//! What is written is made beforehand and does not count, so nothing can be faster.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement, params};

use super::super::callers::{Found, Turn};
use super::super::sample::{CURRENCY, LINES, Sample, TOTAL};
use super::super::sql;

/// Orders in one commit.
pub(in super::super) const BATCH: u64 = 64;

/// Places orders for `customer` in the file at `path`.
///
/// # Errors
/// When the database fails.
pub(super) fn run(path: &str, customer: &str, turn: Turn) -> anyhow::Result<Found> {
    let connection = Connection::open(path)?;
    connection.execute_batch(AS_THE_SERVICE)?;
    let mut writes = Writes::prepare(&connection)?;
    let begin = Instant::now() + turn.warm_up;
    let end = begin + turn.measured;
    let (mut first, mut waits, mut counted) = (1, Vec::new(), Duration::ZERO);
    while Instant::now() < end {
        let batch: Vec<_> =
            (first..first + BATCH).map(|number| Sample::new(number, customer, NOW)).collect();
        first += BATCH;
        let begun = Instant::now();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for order in &batch {
            writes.place(order, customer)?;
        }
        connection.execute_batch("COMMIT")?;
        if begun > begin {
            let wait = begun.elapsed();
            counted += wait;
            waits.extend(batch.iter().map(|_| wait));
        }
    }
    Ok(Found::of(waits, counted))
}

/// The prepared statements. Their values are bound in the order in which they first appear.
struct Writes<'c> {
    claim: Statement<'c>,
    order: Statement<'c>,
    line: Statement<'c>,
    event: Statement<'c>,
    keep: Statement<'c>,
}

impl<'c> Writes<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            claim: connection.prepare(sql::CLAIM)?,
            order: connection.prepare(sql::ORDER)?,
            line: connection.prepare(sql::LINE)?,
            event: connection.prepare(sql::EVENT)?,
            keep: connection.prepare(sql::KEEP)?,
        })
    }

    fn place(&mut self, order: &Sample, customer: &str) -> rusqlite::Result<()> {
        let Sample { id, reference, key_hash, fingerprint, now, expires_at, .. } = order;
        self.claim.execute(params![key_hash, fingerprint, expires_at, now])?;
        self.order.execute(params![id, customer, CURRENCY, reference, TOTAL, now, 1])?;
        for (position, (sku, quantity, price)) in (1_i64..).zip(LINES) {
            self.line.execute(params![id, position, sku, quantity, price])?;
        }
        self.event.execute(params![id, 1, now, customer, "place", None::<&str>, "new"])?;
        let Sample { content_type, location, entity_tag, body, .. } = order;
        self.keep.execute(params![201, content_type, location, entity_tag, body, key_hash])?;
        Ok(())
    }
}

/// A moment in 2026, in milliseconds.
const NOW: i64 = 1_795_000_000_000;

/// What the service tells its own connection.
const AS_THE_SERVICE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; PRAGMA journal_size_limit = 16777216;";
