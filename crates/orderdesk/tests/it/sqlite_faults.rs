//! Kills at chosen moments and faults of the disk, under load, as real processes on SQLite: what was
//! acknowledged stays, nothing is half done, and no restart is needed where the fault passes.
//!
//! The faults are in `faults.c`, which is put into the real program by `LD_PRELOAD`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Caller, Folder, Setup, TestService, order_body};
use crate::support_invariants::{assert_invariants, broken};
use crate::support_ledger::{Book, Load, assert_kept, becomes_ready};
use crate::support_orders::assert_problem;

/// A library with the faults; gone with this.
struct Faults(TempDir);

impl Faults {
    async fn compile() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults.c");
        let faults = Self(tempfile::tempdir().unwrap());
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .args([faults.library(), source])
            .arg("-ldl")
            .status();
        assert!(compiler.await.unwrap().success(), "the faults do not compile");
        faults
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("faults.so")
    }

    /// Starts a service to which `fault` happens; it may be killed before it serves.
    async fn start(&self, folder: &Folder, fault: &str) -> Option<palisade_testing::Service> {
        let serve = folder.serve().env("LD_PRELOAD", self.library()).env("FAULT", fault);
        serve.try_start().await.ok()
    }
}

/// What many rounds of load and faults have written down.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<String, u64>,
    placed: usize,
    kills: usize,
}

impl Ledger {
    fn add(&mut self, (book, placed): (Book, usize)) {
        self.placed += placed;
        for (id, version) in book.acknowledged {
            let newest = self.acknowledged.entry(id).or_default();
            *newest = (*newest).max(version);
        }
    }

    /// Asserts that every order is there, once, as it was acknowledged.
    #[expect(clippy::print_stdout, reason = "what was counted is told with --nocapture")]
    async fn assert_kept(self, customer: &Caller) {
        assert_eq!(self.acknowledged.len(), self.placed, "each key has one effect");
        let orders = self.placed;
        let book = Book { acknowledged: self.acknowledged, ..Book::default() };
        assert_kept(customer, &book).await;
        println!("{} kills, {orders} orders: 0 lost, 0 half written, 0 twice", self.kills);
    }
}

/// A folder with a customer, and the service that is started on it again and again.
struct Scene {
    app: TestService,
    customer: Caller,
    faults: Faults,
    ledger: Ledger,
}

impl Scene {
    async fn begin(setup: Setup) -> Self {
        let app = setup.setting("sandbox.mode", "off").start().await;
        let customer = app.customer("ada").await;
        let (faults, ledger) = (Faults::compile().await, Ledger::default());
        Self { app, customer, faults, ledger }
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
        if let Some(service) = self.faults.start(&self.app.folder, fault).await {
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
        self.ledger.kills += 1;
        load.end().await;
        self.app.service = self.app.folder.serve().start().await;
        assert_invariants(&self.app.folder);
        let settled = load.settle(&self.callers()).await;
        self.ledger.add(settled);
    }

    async fn end(self) {
        let check = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
        assert_eq!(self.app.folder.number(check), 0);
        assert_eq!(self.app.folder.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_invariants(&self.app.folder);
        self.ledger.assert_kept(&self.app.again(&self.customer)).await;
    }
}

/// Before a commit is on the disk, behind it, and while the log is merged into the database.
const MOMENTS: [&str; 3] = ["kill-before:-wal", "kill-after:-wal", "kill-before:.db"];

#[tokio::test]
async fn a_kill_before_and_after_a_commit_loses_nothing_that_was_acknowledged() {
    let mut scene = Scene::begin(Setup::default()).await;

    for (moment, nth) in MOMENTS.iter().zip([7, 9, 1]) {
        scene.survives(&format!("{moment}:{nth}")).await;
    }

    scene.end().await;
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/60-sqlite-faults.sh"]
async fn two_hundred_kills_lose_nothing_and_do_nothing_twice() {
    let mut scene = Scene::begin(Setup::default()).await;

    for round in 0..40 {
        for moment in MOMENTS {
            // The log is merged when it has a thousand pages, and at the end.
            let nth = if moment.ends_with(".db") { 1 } else { round + 1 };
            scene.survives(&format!("{moment}:{nth}")).await;
        }
    }
    for round in 0..120 {
        let load = scene.load();
        tokio::time::sleep(Duration::from_millis(round % 40 * 7)).await;
        scene.app.service.kill().await;
        scene.rise(load).await;
    }

    assert!(scene.ledger.kills >= 200, "{}", scene.ledger.kills);
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
            if faults.start(&folder, &format!("{moment}:{nth}")).await.is_none() {
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
    let failing = scene.faults.start(&scene.app.folder, "fail:-wal:5").await;
    scene.app.service = failing.expect("it serves in spite of some failures");

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

/// The judge of all this: each promise that is broken by hand is named.
#[tokio::test]
async fn what_is_half_written_is_seen() {
    let app = Setup::default().start().await;
    let ada = app.customer("ada").await;
    let breaks = [
        ("DELETE FROM order_lines", "an order has lines, and they are its total"),
        ("UPDATE order_lines SET quantity = 7", "an order has lines, and they are its total"),
        ("UPDATE order_lines SET position = 2", "the lines of an order are numbered from 1"),
        ("DELETE FROM order_events", "an order has as many events as its version says"),
        ("UPDATE orders SET updated_at = 0", "nothing is younger than its change"),
    ];
    for (statement, promise) in breaks {
        ada.places_order("1.00").await;
        assert_invariants(&app.folder);
        app.folder.tamper(statement).unwrap();
        assert!(broken(&app.folder).contains(&promise), "{statement}");
        for table in ["order_events", "order_lines", "orders"] {
            app.folder.tamper(&format!("DELETE FROM {table}")).unwrap();
        }
    }
}
