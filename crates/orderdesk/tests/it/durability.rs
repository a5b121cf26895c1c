//! What was answered 2xx is there after `kill -9`, each once and whole.

use std::collections::BTreeMap;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::{Caller, Folder, TestService, order_body, text};

const ROUNDS: usize = 20;
const WRITERS: usize = 4;

/// What was acknowledged: an order, and the least version it must have from then on.
pub(crate) type Acknowledged = (String, u64);

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut ledger = BTreeMap::new();

    for round in 0..ROUNDS {
        let (report, mut reports) = mpsc::channel(1_024);
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (ada, machine) = (app.again(&ada), app.machine());
            writers.spawn(write_until_killed(ada, machine, report.clone()));
        }
        drop(report);
        for _ in 0..=round {
            let (id, version) = reports.recv().await.expect("the service writes");
            ledger.insert(id, version);
        }
        app.service.kill().await;
        while let Some((id, version)) = reports.recv().await {
            ledger.insert(id, version);
        }
        writers.join_all().await;
        app.service = app.folder.serve().start().await;

        assert_all_there(&app.again(&ada), &ledger).await;
    }

    assert!(ledger.len() > ROUNDS);
    assert!(app.service.terminate().await.success());
    assert_whole(&app.folder, ledger.len());
}

#[tokio::test]
async fn an_order_is_there_when_the_kill_follows_its_answer_at_once() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let placed = ada.places(order_body("12.50")).await;

    app.kill_and_restart().await;

    let ada = app.again(&ada);
    let id = text(&placed.json(), "id").to_owned();
    assert_eq!(ada.order(&id).await.json(), placed.json());
    assert_eq!(ada.history(&id).await, ["place none->new"]);
    let paid = app.machine().pay(&id).await;
    paid.assert_status(200);

    app.kill_and_restart().await;

    assert_eq!(app.again(&ada).order(&id).await.json(), paid.json());
    assert!(app.service.terminate().await.success());
    assert_whole(&app.folder, 1);
}

/// Places and pays orders as long as the service answers, and reports each answer.
pub(crate) async fn write_until_killed(
    ada: Caller,
    machine: Caller,
    report: mpsc::Sender<Acknowledged>,
) {
    loop {
        let Ok(placed) = ada.post("/orders").json(order_body("12.50")).try_send().await else {
            return;
        };
        placed.assert_status(201);
        let id = text(&placed.json(), "id").to_owned();
        report.send((id.clone(), 1)).await.expect("somebody keeps the ledger");

        let body = serde_json::json!({"payment_reference": "pi_3Nk1"});
        let path = format!("/orders/{id}/pay");
        let Ok(paid) = machine.post(&path).json(body).try_send().await else { return };
        paid.assert_status(200);
        report.send((id, 2)).await.expect("somebody keeps the ledger");
    }
}

pub(crate) async fn assert_all_there(ada: &Caller, ledger: &BTreeMap<String, u64>) {
    let mut found = BTreeMap::new();
    let mut path = "/orders?limit=200".to_owned();
    loop {
        let (orders, cursor) = ada.page(&path).await;
        for order in orders {
            let id = text(&order, "id").to_owned();
            let version = order["version"].as_u64().expect("a version");
            assert_eq!(order["total"], "12.50");
            assert_eq!(order["status"], if version == 1 { "new" } else { "paid" });
            assert!(found.insert(id, version).is_none(), "twice in the list");
        }
        let Some(cursor) = cursor else { break };
        path = format!("/orders?limit=200&cursor={cursor}");
    }
    for (id, version) in ledger {
        let kept = found.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        assert!(kept >= version, "{id} was acknowledged in version {version} and is in {kept}");
    }
    for (id, version) in found.iter().rev().take(5) {
        let steps = ["place none->new", "pay new->paid"];
        let expected = usize::try_from(*version).expect("a small number");
        assert_eq!(ada.history(id).await, steps[..expected], "{id}");
    }
}

/// Asserts that the database itself finds nothing wrong, and that its tables agree.
#[track_caller]
pub(crate) fn assert_whole(folder: &Folder, least_orders: usize) {
    if folder.is_on_a_server() {
        // A server keeps its own files; what was acknowledged was asked for by HTTP.
        return;
    }
    let database = folder.database();
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let ask = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let check = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0));

    assert_eq!(check("PRAGMA integrity_check").unwrap(), "ok");
    let foreign = check("PRAGMA foreign_key_check");
    assert!(matches!(foreign, Err(rusqlite::Error::QueryReturnedNoRows)), "{foreign:?}");

    let orders = ask("SELECT count(*) FROM orders");
    assert!(usize::try_from(orders).unwrap() >= least_orders);
    assert_eq!(ask("SELECT count(*) FROM order_lines"), orders);
    assert_eq!(ask("SELECT count(*) FROM order_events"), ask("SELECT sum(version) FROM orders"));
    let strays = ask("SELECT count(*) FROM orders AS o WHERE o.version <>
             (SELECT count(*) FROM order_events AS e WHERE e.order_id = o.id)
          OR o.status <> (SELECT to_status FROM order_events AS e
                           WHERE e.order_id = o.id AND e.version = o.version)");
    assert_eq!(strays, 0);
}
