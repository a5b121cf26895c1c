//! Power cuts, as a disk has them: what no flush brought there is gone, or there in part, and a flush
//! that failed brought nothing there, whatever the next one says.
//!
//! The disk is told of by `faults.c`, which notes each page that was written and each that was flushed.

use std::time::Duration;

use palisade_testing::Reply;

use crate::support::{Caller, Setup, TestService, order_body};
use crate::support_faults::{Disk, Faults};
use crate::support_invariants::assert_invariants;
use crate::support_ledger::{Book, Ledger, Load, assert_kept};
use crate::support_orders::assert_problem;

/// A folder on such a disk, with a customer.
struct Scene {
    app: TestService,
    customer: Caller,
    faults: Faults,
    disk: Disk,
}

impl Scene {
    /// Starts a service on such a disk, to which `fault` happens.
    async fn begin(setup: Setup, fault: &str) -> Self {
        let mut app = setup.setting("sandbox.mode", "off").start().await;
        let customer = app.customer("ada").await;
        assert!(app.service.terminate().await.success());
        let (faults, disk) = (Faults::compile().await, Disk::holding(&app.folder));
        app.service = disk.under(faults.serve(&app.folder, fault)).start().await;
        Self { app, customer, faults, disk }
    }

    fn callers(&self) -> (Caller, Caller) {
        (self.app.again(&self.customer), self.app.machine())
    }

    /// Starts the service again on the same disk, without a power cut.
    async fn kill_and_restart(&mut self) {
        self.app.service.kill().await;
        self.start().await;
    }

    /// Takes away what the service that was killed had not flushed, save what `has_arrived`, and
    /// starts again.
    async fn cut_power(&mut self, has_arrived: impl FnMut() -> bool) {
        self.disk.cut_power(&self.app.folder, has_arrived);
        self.start().await;
        assert_invariants(&self.app.folder);
    }

    async fn start(&mut self) {
        let serve = self.faults.inside(self.app.folder.serve());
        self.app.service = self.disk.under(serve).start().await;
    }
}

/// Has no fault, but the disk.
const NONE: &str = "none:none:1";

#[tokio::test]
async fn a_power_cut_takes_nothing_that_was_acknowledged() {
    cut_power_again_and_again(2).await;
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/60-sqlite-faults.sh"]
async fn sixty_power_cuts_take_nothing_that_was_acknowledged() {
    let orders = cut_power_again_and_again(60).await;

    println!("60 power cuts, {orders} orders: 0 lost, 0 half written, 0 twice");
}

/// Cuts the power under load at random moments, with any part of what waited on the disk, and returns
/// how many orders there are.
async fn cut_power_again_and_again(cuts: u64) -> usize {
    let mut scene = Scene::begin(Setup::default(), NONE).await;
    let mut ledger = Ledger::default();

    for cut in 0..cuts {
        let load = Load::start_after(ledger.placed, 4, &[scene.callers()]);
        load.acknowledges(usize::try_from(cut % 7 * 10 + 5).unwrap()).await;
        let mut dice = Dice(cut + 1);
        let chance = cut % 3;
        scene.app.service.kill().await;
        load.end().await;
        scene.cut_power(|| dice.roll(2) < chance).await;
        ledger.add(load.settle(&scene.callers()).await);
    }

    let orders = ledger.placed;
    ledger.assert_kept(&scene.app.again(&scene.customer)).await;
    orders
}

/// The simulated disk takes what was not flushed: without this, the tests above would show nothing.
#[tokio::test]
async fn a_power_cut_takes_what_was_not_flushed() {
    let setup = Setup::default().setting("database.danger_lose_last_commits_on_power_cut", "true");
    let mut scene = Scene::begin(setup, NONE).await;
    let id = scene.callers().0.places_order("12.50").await;

    scene.app.service.kill().await;
    scene.cut_power(|| false).await;

    scene.callers().0.order(&id).await.assert_status(404);
}

/// A flush that failed leaves pages of the log in memory that are on no disk and count as written. A
/// start reads them; what it would append behind them had no ground on the disk.
#[tokio::test]
async fn what_follows_a_failed_flush_and_a_restart_is_on_the_disk() {
    let mut scene = Scene::begin(Setup::default(), "fail-once:-wal:5").await;
    let mut book = Book::default();
    let failed = loop {
        let key = format!("key-{}", book.acknowledged.len());
        let reply = places_with_key(&scene, &key).await;
        if reply.status() != 201 {
            assert_problem(&reply, 500, "internal");
            break key;
        }
        book.note(reply.json());
    };

    scene.kill_and_restart().await;
    book.note(places_with_key(&scene, "behind-it").await.assert_status(201).json());
    scene.app.service.kill().await;
    scene.cut_power(|| false).await;

    book.note(places_with_key(&scene, &failed).await.assert_status(201).json());
    assert_kept(&scene.callers().0, &book).await;
}

/// SQLite merges a part of the log where a reader holds on to the rest, and flushes only when the whole
/// is merged. If that flush fails, the next one succeeds without those pages, and the log, which has
/// them, would be written over.
#[tokio::test]
#[ignore = "slow: run by tests/slow/60-sqlite-faults.sh"]
async fn what_a_failed_flush_of_the_database_took_is_kept_in_the_log() {
    let mut scene = Scene::begin(Setup::default(), "fail-once:orderdesk.db:1").await;
    let mut ledger = Ledger { placed: 1, ..Ledger::default() };
    ledger.book.note(places_with_key(&scene, "first").await.assert_status(201).json());
    let reader = rusqlite::Connection::open(scene.app.folder.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM orders;").unwrap();

    let load = Load::start_after(0, 4, &[scene.callers()]);
    let log = scene.app.folder.path().join("orderdesk.db-wal");
    grows_beyond(&log, 1_100 * 4_120).await;
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    scene.app.service.wait_for_line(|line| line.contains("could not be flushed")).await;
    load.acknowledges(500).await;
    scene.app.service.kill().await;
    load.end().await;
    scene.cut_power(|| false).await;

    ledger.add(load.settle(&scene.callers()).await);
    ledger.assert_kept(&scene.callers().0).await;
}

async fn places_with_key(scene: &Scene, key: &str) -> Reply {
    let customer = scene.callers().0;
    let call = customer.post("/orders").header("idempotency-key", key);
    call.json(order_body("12.50")).send().await
}

async fn grows_beyond(file: &std::path::Path, bytes: u64) {
    let is_long = async {
        while std::fs::metadata(file).unwrap().len() < bytes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), is_long).await.expect("the log grows");
}

/// The same throws each time (a linear congruence after Knuth), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
