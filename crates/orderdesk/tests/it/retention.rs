//! What is removed because it is over, and what never is.

use crate::support::{Caller, Setup, TestService};

#[tokio::test]
async fn expired_sessions_are_removed_and_open_ones_and_orders_stay() {
    let app = Setup::default().setting("retention.every", "1s").start().await;
    let ada = app.customer("ada").await;
    let bob = app.customer("bob").await;
    let order = lives_through_everything(&app, &ada).await;
    let before = (history(&app), all_rows(&app));

    make_old(&app, &ada);
    app.service.wait_for_line(|line| line.contains("removed what was over")).await;

    assert_eq!((history(&app), all_rows(&app)), before, "orders are not removed, however old");
    let database = app.folder.open_database();
    let of = |caller: &Caller| {
        let sql = "SELECT count(*) FROM palisade_sessions WHERE account = $1";
        database.query_row(sql, [&caller.id], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((of(&ada), of(&bob)), (0, 1));
    bob.get("/users/me").send().await.assert_status(200);
    app.machine().order(&order).await.assert_status(200);
    let metrics = app.admin().get("/metrics").send().await.text();
    let line = "palisade_retention_removed_total{rows=\"sessions\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    let unset = "palisade_retention_last_success_timestamp_seconds{rows=\"sessions\"} 0\n";
    assert!(!metrics.contains(unset), "{metrics}");
}

/// Sessions, kept answers and imports are registered; whatever is added has to be thought of here.
#[tokio::test]
async fn nothing_is_ever_removed_but_what_was_made_to_end() {
    let app = TestService::start().await;

    let metrics = app.admin().get("/metrics").send().await.text();

    let removed = metrics.lines().filter(|line| line.contains("retention_removed_total{"));
    assert_eq!(
        removed.collect::<Vec<_>>(),
        [
            "palisade_retention_removed_total{rows=\"api_keys\"} 0",
            "palisade_retention_removed_total{rows=\"guesses\"} 0",
            "palisade_retention_removed_total{rows=\"idempotency_keys\"} 0",
            "palisade_retention_removed_total{rows=\"import_chunks\"} 0",
            "palisade_retention_removed_total{rows=\"import_rejections\"} 0",
            "palisade_retention_removed_total{rows=\"imports\"} 0",
            "palisade_retention_removed_total{rows=\"password_resets\"} 0",
            "palisade_retention_removed_total{rows=\"sessions\"} 0"
        ]
    );
}

/// Has an order go every way there is, and returns the first.
async fn lives_through_everything(app: &TestService, ada: &Caller) -> String {
    let first = ada.places_order("12.50").await;
    app.machine().pay(&first).await.assert_status(200);
    app.machine().ship(&first).await.assert_status(200);
    let second = ada.places_order("1.00").await;
    ada.cancel(&second).await.assert_status(200);
    first
}

/// Moves ada's session past its end, and every order to 1970.
fn make_old(app: &TestService, ada: &Caller) {
    let database = app.folder.open_database();
    database
        .execute_batch(
            "UPDATE orders SET created_at = 1, updated_at = 1; UPDATE order_events SET at = 1;",
        )
        .unwrap();
    let sql = "UPDATE palisade_sessions SET expires_at = 1 WHERE account = $1";
    assert_eq!(database.execute(sql, [&ada.id]).unwrap(), 1);
}

fn history(app: &TestService) -> Vec<(String, i64, String)> {
    let database = app.folder.open_database();
    let sql = "SELECT order_id, version, action FROM order_events ORDER BY order_id, version";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn all_rows(app: &TestService) -> Vec<i64> {
    let database = app.folder.open_database();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        database.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    ["accounts", "orders", "order_lines", "order_events"].map(count).to_vec()
}
