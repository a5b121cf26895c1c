//! Kills at chosen moments and faults of the disk, under load, as real processes on SQLite: what was
//! acknowledged stays, nothing is half done, and no restart is needed where the fault passes.
//!
//! The faults are in `faults.c`, which is put into the real program by `LD_PRELOAD`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::{Caller, Setup, TestService, order_body};
use crate::support_faults::Faults;
use crate::support_invariants::{OF_A_FILE, assert_invariants, broken};
use crate::support_ledger::{Ledger, Load, assert_kept, becomes_ready};
use crate::support_orders::assert_problem;

/// A folder with a customer, and the service that is started on it again and again.
struct Scene {
    app: TestService,
    customer: Caller,
    faults: Faults,
    ledger: Ledger,
    kills: usize,
}

impl Scene {
    async fn begin(setup: Setup) -> Self {
        let app = setup.setting("sandbox.mode", "off").start().await;
        let customer = app.customer("ada").await;
        let (faults, ledger) = (Faults::compile().await, Ledger::default());
        Self { app, customer, faults, ledger, kills: 0 }
    }

    fn callers(&self) -> (Caller, Caller) {
        (self.app.again(&self.customer), self.app.machine())
    }

    fn load(&self) -> Load {
        Load::start_after(self.ledger.placed, 4, &[self.callers()])
    }

    /// Puts a service under load to which `fault` happens, waits for its end, and looks at what is
    /// left.
    async fn survives(&mut self, fault: &str) {
        self.app.service.terminate().await;
        if let Ok(service) = self.faults.serve(&self.app.folder, fault).try_start().await {
            self.app.service = service;
            let load = self.load();
            self.app.service.ended(Duration::from_secs(60)).await;
            self.rise(load).await;
        } else {
            self.app.service = self.app.folder.serve().start().await;
            assert_invariants(&self.app.folder);
        }
    }

    /// Starts the service again, and sends what was left open once more.
    async fn rise(&mut self, load: Load) {
        self.kills += 1;
        load.end().await;
        self.app.service = self.app.folder.serve().start().await;
        assert_invariants(&self.app.folder);
        let settled = load.settle(&self.callers()).await;
        self.ledger.add(settled);
    }

    #[expect(clippy::print_stdout, reason = "what was counted is told with --nocapture")]
    async fn end(self) {
        assert_invariants(&self.app.folder);
        self.ledger.assert_kept(&self.app.again(&self.customer)).await;
        let (kills, orders) = (self.kills, self.ledger.placed);
        println!(
            "{kills} kills, {orders} orders acknowledged: 0 lost, 0 half written, 0 duplicates"
        );
    }
}

/// In the middle of a transaction, before its commit is on the disk, and behind that, before anybody
/// is answered; and the same while the log is merged into the database.
const MOMENTS: [&str; 6] = [
    "kill-write:-wal",
    "kill-before:-wal",
    "kill-after:-wal",
    "kill-write:.db",
    "kill-before:.db",
    "kill-after:.db",
];

#[tokio::test]
async fn a_kill_before_and_after_a_commit_loses_nothing_that_was_acknowledged() {
    let mut scene = Scene::begin(Setup::default()).await;

    for (moment, nth) in MOMENTS.iter().zip([99, 7, 9, 5, 1, 1]) {
        scene.survives(&format!("{moment}:{nth}")).await;
    }

    scene.end().await;
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/60-sqlite-faults.sh"]
async fn two_hundred_kills_lose_nothing_and_do_nothing_twice() {
    let mut scene = Scene::begin(Setup::default()).await;

    for round in 0..20 {
        for moment in MOMENTS {
            let nth = match moment {
                // The log is merged when it has a thousand pages, and at the end.
                "kill-before:.db" | "kill-after:.db" => 1,
                // Some forty writes are one order.
                "kill-write:-wal" => round * 17 + 1,
                _ => round + 1,
            };
            scene.survives(&format!("{moment}:{nth}")).await;
        }
    }
    for round in 0..120 {
        let load = scene.load();
        tokio::time::sleep(Duration::from_millis(round % 40 * 7)).await;
        scene.app.service.kill().await;
        scene.rise(load).await;
    }

    assert!(scene.kills >= 200, "{}", scene.kills);
    scene.end().await;
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/60-sqlite-faults.sh"]
async fn a_kill_in_a_first_start_leaves_a_folder_that_starts() {
    let faults = Faults::compile().await;
    let mut kills = 0;

    for nth in 1..=40 {
        for moment in ["kill-before:-wal", "kill-after:-wal"] {
            let folder = Setup::default().setting("sandbox.mode", "off").folder();
            if faults.serve(&folder, &format!("{moment}:{nth}")).try_start().await.is_err() {
                kills += 1;
            }
            let mut service = folder.serve().start().await;
            assert!(service.terminate().await.success());
        }
    }

    assert!(kills >= 10, "only {kills} starts were cut short");
    println!("{kills} first starts were cut short, and each folder started");
}

#[tokio::test]
async fn a_flush_that_fails_is_told_and_costs_no_restart() {
    let mut scene = Scene::begin(Setup::default()).await;
    scene.app.service.terminate().await;
    scene.app.service = scene.faults.serve(&scene.app.folder, "fail:-wal:5").start().await;

    let load = scene.load();
    load.acknowledges(30).await;
    load.is_refused_again().await;
    load.end().await;
    scene.app.service.kill().await;
    scene.app.service = scene.app.folder.serve().start().await;
    let settled = load.settle(&scene.callers()).await;
    scene.ledger.add(settled);

    scene.end().await;
}

#[tokio::test]
async fn a_database_that_another_program_locks_is_written_again_once_it_is_free() {
    let app = Setup::default().setting("database.busy_timeout", "50ms").start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;
    let other = rusqlite::Connection::open(app.folder.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let refused = ada.post("/orders").json(order_body("1.00")).send().await;
    let read = ada.order(&id).await;
    other.execute_batch("ROLLBACK").unwrap();

    assert_problem(&refused, 503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    read.assert_status(200);
    ada.places_order("1.00").await;
    assert_eq!(app.folder.number("SELECT count(*) FROM orders"), 2);
}

/// SQLite writes to a file that is gone, too: what is acknowledged then is nowhere.
#[tokio::test]
async fn nothing_is_acknowledged_that_is_written_to_a_file_that_nobody_finds_again() {
    let app = Setup::default().setting("sandbox.mode", "off").start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;
    let away = app.folder.path().join("away");

    for name in ["orderdesk.db", "orderdesk.db-wal"] {
        let file = app.folder.path().join(name);
        std::fs::rename(&file, &away).unwrap();
        for replacement in [None, Some("")] {
            if let Some(text) = replacement {
                std::fs::write(&file, text).unwrap();
            }
            let refused = ada.post("/orders").json(order_body("1.00")).send().await;
            assert_problem(&refused, 503, "overloaded");
            app.admin().get("/ready").send().await.assert_status(503);
            ada.order(&id).await.assert_status(200);
        }
        std::fs::rename(&away, &file).unwrap();
        ada.places_order("1.00").await;
        app.admin().get("/ready").send().await.assert_status(200);
    }

    app.service.wait_for_line(|line| line.contains("moved, removed or replaced")).await;
    assert_eq!(app.folder.number("SELECT count(*) FROM orders"), 3);
}

#[tokio::test]
#[ignore = "slow: run as root by tests/slow/60-sqlite-faults.sh"]
async fn a_full_disk_is_told_and_written_again_once_there_is_space() {
    let folder = Setup::default().setting("sandbox.mode", "off").folder();
    let disk = SmallDisk::mount(folder.path()).await;
    let service = folder.serve().start().await;
    let app = TestService { service, folder };
    let callers = (app.customer("ada").await, app.machine());
    let load = Load::start_after(0, 4, std::slice::from_ref(&callers));
    load.acknowledges(20).await;

    disk.fill();
    load.is_refused_again().await;
    becomes_ready(&app, false).await;
    callers.0.get("/orders?limit=1").send().await.assert_status(200);
    disk.empty();
    becomes_ready(&app, true).await;
    load.acknowledges(20).await;

    let (book, placed) = load.settle(&callers).await;
    assert_eq!(book.answered(0), 0, "everything is answered: {:?}", book.answers);
    assert!(book.answered(503) > 0, "{:?}", book.answers);
    assert_eq!(book.acknowledged.len(), placed, "each key has one effect");
    assert_kept(&callers.0, &book).await;
    assert_invariants(&app.folder);
    println!("answers with a full disk between: {:?}", book.answers);
}

/// A disk of 8 MiB in the place of a folder, unmounted with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn mount(folder: &Path) -> Self {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
            .arg(folder)
            .status();
        assert!(mount.await.unwrap().success(), "no small disk can be mounted: run this as root");
        Self(folder.to_owned())
    }

    fn fill(&self) {
        let mut rest = std::fs::File::create(self.0.join("rest")).unwrap();
        while std::io::Write::write_all(&mut rest, &[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("rest")).unwrap();
    }
}

impl Drop for SmallDisk {
    #[expect(clippy::disallowed_types, reason = "nothing waits while a value is dropped")]
    fn drop(&mut self) {
        // Lazily: the service may end a moment later.
        std::process::Command::new("umount").arg("-l").arg(&self.0).status().ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

/// The judge of the file itself; that each promise about orders is judged is tested beside them.
#[tokio::test]
async fn a_file_that_is_not_whole_is_seen() {
    let app = Setup::default().start().await;
    app.customer("ada").await.places_order("1.00").await;
    let mut named = Vec::new();

    for (statement, promise) in BREAKS {
        assert_eq!(broken(&app.folder), named);
        // What the tables themselves refuse must not be what is tested.
        let unguarded = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";
        app.folder.open_database().execute_batch(&format!("{unguarded}{statement}")).unwrap();
        named.push(*promise);
    }

    assert_eq!(broken(&app.folder), named);
    assert_eq!(named, OF_A_FILE.iter().map(|(promise, _)| *promise).collect::<Vec<_>>());
}

/// What breaks a promise, and which.
const BREAKS: &[(&str, &str)] = &[
    ("UPDATE order_lines SET sku = ''", "the file is whole"),
    ("DELETE FROM accounts", "what is referred to is there"),
];
