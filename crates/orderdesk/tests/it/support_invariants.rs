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

/// What else holds of SQLite's file; a server looks after its own.
pub(crate) const OF_A_FILE: &[(&str, &str)] = &[
    (
        "the file is whole",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
    ("what is referred to is there", "SELECT count(*) FROM pragma_foreign_key_check"),
];

/// Asserts that the database breaks no promise.
#[track_caller]
pub(crate) fn assert_invariants(folder: &Folder) {
    assert_eq!(broken(folder), [""; 0]);
}

/// Returns the promises that the database breaks.
pub(crate) fn broken(folder: &Folder) -> Vec<&'static str> {
    let of_a_file = if folder.is_on_a_server() { &[] } else { OF_A_FILE };
    let breaks = INVARIANTS.iter().chain(of_a_file).filter(|(_, sql)| folder.number(sql) != 0);
    breaks.map(|(promise, _)| *promise).collect()
}

#[tokio::test]
async fn each_broken_promise_is_named() {
    let app = crate::support::TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = ada.keyed("k", "/orders", Some(crate::support::order_body("12.50"))).await.json();
    let id = crate::support::text(&id, "id").to_owned();
    machine.pay(&id).await.assert_status(200);
    machine.ship(&id).await.assert_status(200);
    assert_invariants(&app.folder);

    for (tamper, undo, promise) in TAMPERED {
        assert_eq!(app.folder.tamper(tamper), Ok(1), "{tamper}");
        let broken = broken(&app.folder);
        assert!(broken.contains(&INVARIANTS[*promise].0), "{tamper}: {broken:?}");
        assert_eq!(app.folder.tamper(undo), Ok(1), "{undo}");
        assert_invariants(&app.folder);
    }
    let tried: std::collections::BTreeSet<_> = TAMPERED.iter().map(|(_, _, at)| *at).collect();
    assert_eq!(tried.len(), INVARIANTS.len(), "each promise can be broken");
}

/// What breaks a promise, what mends it, and which one that is.
const TAMPERED: &[(&str, &str, usize)] = &[
    (
        "UPDATE order_events SET version = 9 WHERE version = 3",
        "UPDATE order_events SET version = 3 WHERE version = 9",
        1,
    ),
    (
        "INSERT INTO order_events SELECT order_id, 9, at, actor, action, from_status, to_status
           FROM order_events WHERE version = 3",
        "DELETE FROM order_events WHERE version = 9",
        0,
    ),
    (
        "UPDATE order_events SET action = 'cancel', from_status = 'new', to_status = 'cancelled'
          WHERE version = 3",
        "UPDATE order_events SET action = 'ship', from_status = 'paid', to_status = 'shipped'
          WHERE version = 3",
        2,
    ),
    (
        "INSERT INTO order_events SELECT order_id, 9, at, actor, action, from_status, to_status
           FROM order_events WHERE version = 2",
        "DELETE FROM order_events WHERE version = 9",
        3,
    ),
    ("UPDATE orders SET total = total + 1", "UPDATE orders SET total = total - 1", 4),
    ("UPDATE order_lines SET position = 2", "UPDATE order_lines SET position = 1", 5),
    (
        "UPDATE orders SET created_at = created_at + 100000000",
        "UPDATE orders SET created_at = created_at - 100000000",
        6,
    ),
    (
        "UPDATE palisade_idempotency SET status = NULL",
        "UPDATE palisade_idempotency SET status = 201",
        7,
    ),
];
