//! What holds of the stored orders after whatever happened, asked of the database itself.
//!
//! Each statement counts the rows that break one promise, on SQLite and on PostgreSQL.

use crate::support::Folder;

/// A promise, and what counts the rows that break it.
pub(crate) const INVARIANTS: &[(&str, &str)] = &[
    (
        "an order has as many events as its version says",
        "SELECT count(*) FROM orders AS o WHERE o.version <>
             (SELECT count(*) FROM order_events AS e WHERE e.order_id = o.id)",
    ),
    (
        "the newest event of an order tells its status",
        "SELECT count(*) FROM orders AS o WHERE o.status <> coalesce(
             (SELECT e.to_status FROM order_events AS e
               WHERE e.order_id = o.id AND e.version = o.version), '')",
    ),
    (
        "an event goes on where the one before it ended",
        "SELECT count(*) FROM order_events AS e WHERE e.version > 1 AND NOT EXISTS
             (SELECT 1 FROM order_events AS b WHERE b.order_id = e.order_id
                 AND b.version = e.version - 1 AND b.to_status = e.from_status)",
    ),
    (
        "an order that was paid has exactly one payment",
        "SELECT count(*) FROM orders AS o
          WHERE (o.payment_reference IS NOT NULL) <> (1 =
             (SELECT count(*) FROM order_events AS e
               WHERE e.order_id = o.id AND e.action = 'pay'))",
    ),
    (
        "an order has lines, and they are its total",
        "SELECT count(*) FROM orders AS o WHERE o.total <> coalesce(
             (SELECT sum(l.quantity * l.unit_price) FROM order_lines AS l
               WHERE l.order_id = o.id), -1)",
    ),
    (
        "the lines of an order are numbered from 1",
        "SELECT count(*) FROM orders AS o WHERE
             (SELECT count(*) FROM order_lines AS l WHERE l.order_id = o.id) <> coalesce(
             (SELECT max(l.position) FROM order_lines AS l WHERE l.order_id = o.id), -1)",
    ),
    (
        "nothing is younger than its change",
        "SELECT count(*) FROM orders WHERE updated_at < created_at",
    ),
    (
        "a key that was taken has its answer",
        "SELECT count(*) FROM palisade_idempotency WHERE status IS NULL",
    ),
];

/// Asserts that the database breaks no promise.
#[track_caller]
pub(crate) fn assert_invariants(folder: &Folder) {
    assert_eq!(broken(folder), [""; 0]);
}

/// Returns the promises that the database breaks.
pub(crate) fn broken(folder: &Folder) -> Vec<&'static str> {
    let breaks = INVARIANTS.iter().filter(|(_, sql)| folder.number(sql) != 0);
    breaks.map(|(promise, _)| *promise).collect()
}
