//! `orderdesk restore`: what comes back, what is refused, and what is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::backup::{backup, migrated, names};
use crate::durability::{assert_all_there, assert_whole, write_until_killed};
use crate::support::{PASSWORD, Setup, TestService, text};

const WRITERS: usize = 4;
const LEAST_ORDERS: usize = 100;

#[tokio::test]
async fn what_was_acknowledged_before_a_backup_began_under_load_is_in_what_is_restored() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let (report, mut reports) = mpsc::channel(1_024);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(write_until_killed(app.again(&ada), app.machine(), report.clone()));
    }
    drop(report);
    let mut ledger = BTreeMap::new();
    while ledger.len() < LEAST_ORDERS {
        let (id, version) = reports.recv().await.expect("the service writes");
        ledger.insert(id, version);
    }

    let taking = tokio::spawn(app.folder.command(["backup", "copy.db"]).run());
    let mut meanwhile = 0;
    while !taking.is_finished() {
        reports.recv().await.expect("the service writes on");
        meanwhile += 1;
    }
    taking.await.unwrap().assert_code(0);
    app.service.kill().await;
    while reports.recv().await.is_some() {}
    writers.join_all().await;

    assert!(meanwhile > 0, "nothing was written meanwhile");
    let elsewhere = Setup::default().folder();
    let copy = app.folder.path().join("copy.db");
    elsewhere.command(["restore", copy.to_str().unwrap()]).run().await.assert_code(0);
    let service = elsewhere.serve().start().await;
    let mut restored = TestService { service, folder: elsewhere };
    let ada = restored.signed_in("ada").await;
    assert_all_there(&ada, &ledger).await;
    ada.places_order("1.00").await;
    assert!(restored.service.terminate().await.success());
    assert_whole(&restored.folder, ledger.len());
}

#[tokio::test]
async fn a_session_from_before_a_restore_opens_nothing_after_it() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    backup(&app.folder, "copy.db").await.assert_code(0);
    ada.delete("/sessions/current").send().await.assert_status(204);
    let still = app.signed_in("ada").await;
    app.service.terminate().await;

    app.folder.command(["restore", "copy.db", "--force"]).run().await.assert_code(0);
    app.service = app.folder.serve().start().await;

    for session in [&ada, &still] {
        app.again(session).get("/users/me").send().await.assert_status(401);
    }
    app.sign_in("ada", PASSWORD).await.assert_status(201);
}

#[tokio::test]
async fn nothing_is_restored_under_a_running_service() {
    let app = TestService::start().await;
    backup(&app.folder, "copy.db").await.assert_code(0);
    let ada = app.customer("ada").await;

    let refused = app.folder.command(["restore", "copy.db", "--force"]).run().await;

    refused.assert_code(1);
    assert!(refused.stderr.contains("stop that one first"), "{}", refused.stderr);
    ada.places_order("1.00").await;
    assert_eq!(names(app.folder.path(), "orderdesk.db.").len(), 1, "only the lock");
}

#[tokio::test]
async fn a_database_that_is_there_is_replaced_only_when_that_is_said_and_kept_whole() {
    let mut app = TestService::start().await;
    backup(&app.folder, "copy.db").await.assert_code(0);
    let order = app.customer("ada").await.places_order("12.50").await;
    // What it wrote stands in its log only.
    app.service.kill().await;
    assert!(app.folder.path().join("orderdesk.db-wal").exists());

    let refused = app.folder.command(["restore", "copy.db"]).run().await;
    refused.assert_code(1);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    let restored = app.folder.command(["restore", "copy.db", "--force"]).run().await;

    restored.assert_code(0);
    let kept = names(app.folder.path(), "orderdesk.db.before-restore-");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(restored.stdout.contains(&kept[0]), "{}", restored.stdout);
    assert_eq!(names(app.folder.path(), "orderdesk.db-"), Vec::<String>::new(), "a stale log");
    assert_eq!(orders_in(&app.folder.database()), Vec::<String>::new());
    assert_eq!(orders_in(&app.folder.path().join(&kept[0])), std::slice::from_ref(&order));

    // And back again.
    app.folder.command(["restore", &kept[0], "--force"]).run().await.assert_code(0);
    app.service = app.folder.serve().start().await;
    let shown = app.machine().order(&order).await;
    assert_eq!(text(&shown.json(), "id"), order);
}

#[tokio::test]
async fn a_database_that_cannot_be_read_is_replaced_with_its_log_put_aside() {
    let folder = migrated().await;
    backup(&folder, "copy.db").await.assert_code(0);
    fs::write(folder.database(), "burnt".repeat(4_000)).unwrap();
    fs::write(folder.path().join("orderdesk.db-wal"), "burnt, too").unwrap();

    folder.command(["restore", "copy.db", "--force"]).run().await.assert_code(0);

    let left = names(folder.path(), "orderdesk.db-");
    assert_eq!(left, Vec::<String>::new(), "a log that would go into the new one");
    assert_eq!(names(folder.path(), "orderdesk.db.before-restore-").len(), 2);
    let mut service = folder.serve().start().await;
    assert!(service.terminate().await.success());
}

#[tokio::test]
async fn a_log_without_its_database_is_in_the_way() {
    let folder = migrated().await;
    backup(&folder, "copy.db").await.assert_code(0);
    fs::remove_file(folder.database()).unwrap();
    fs::write(folder.path().join("orderdesk.db-wal"), "of another database").unwrap();

    folder.command(["restore", "copy.db"]).run().await.assert_code(1);
    folder.command(["restore", "copy.db", "--force"]).run().await.assert_code(0);

    assert_eq!(names(folder.path(), "orderdesk.db-"), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_older_version_made_is_brought_to_this_one_by_the_next_start() {
    let mut app = TestService::start().await;
    let order = app.customer("ada").await.places_order("12.50").await;
    app.service.terminate().await;
    // As the version before the last migration of the library would have left it.
    app.folder
        .open_database()
        .execute_batch(
            "DROP TABLE palisade_guesses;
             DELETE FROM palisade_migrations WHERE component = 'palisade' AND version = 4;",
        )
        .unwrap();
    backup(&app.folder, "copy.db").await.assert_code(0);

    let restored = app.folder.command(["restore", "copy.db", "--force"]).run().await;

    restored.assert_code(0);
    assert!(restored.stdout.contains("An older version made it"), "{}", restored.stdout);
    app.service = app.folder.serve().start().await;
    app.machine().order(&order).await.assert_status(200);
}

#[tokio::test]
async fn the_database_is_not_restored_from_itself() {
    let folder = migrated().await;
    let before = fs::read(folder.database()).unwrap();

    for name in ["orderdesk.db", "./orderdesk.db"] {
        let refused = folder.command(["restore", name, "--force"]).run().await;
        refused.assert_code(1);
        assert!(refused.stderr.contains("belongs to the database itself"), "{}", refused.stderr);
    }

    assert_eq!(fs::read(folder.database()).unwrap(), before);
}

fn orders_in(database: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(database).unwrap();
    let mut statement = database.prepare("SELECT id FROM orders ORDER BY id").unwrap();
    let ids = statement.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}
