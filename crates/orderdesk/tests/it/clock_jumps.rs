//! The clock jumps an hour, forward and back, under load: nothing that was acknowledged is lost, done
//! twice or half done, and whoever is signed in stays so.

use std::fs;

use crate::support::{Setup, TestService, order_body, text};
use crate::support_faults::Faults;
use crate::support_invariants::assert_invariants;
use crate::support_ledger::{Ledger, Load};

const HOUR: i64 = 3600;

/// A service whose clock is turned by hand.
struct Scene {
    app: TestService,
    clock: tempfile::NamedTempFile,
    _faults: Faults,
}

impl Scene {
    async fn begin(setup: Setup) -> Self {
        let folder = setup.setting("sandbox.mode", "off").folder();
        let (faults, clock) = (Faults::compile().await, tempfile::NamedTempFile::new().unwrap());
        let service = faults.inside(folder.serve()).env("CLOCK", clock.path()).start().await;
        Self { app: TestService { service, folder }, clock, _faults: faults }
    }

    /// Has the service's clock be off by so many seconds.
    fn turn(&self, seconds: i64) {
        fs::write(self.clock.path(), format!("{seconds:<20}")).unwrap();
    }
}

#[tokio::test]
async fn an_hour_forward_and_back_costs_no_order() {
    // A session may be idle for half an hour, which a jump of an hour is.
    let scene = Scene::begin(Setup::default().setting("sessions.idle", "3h")).await;
    let callers = (scene.app.customer("ada").await, scene.app.machine());
    let load = Load::start_after(0, 4, std::slice::from_ref(&callers));

    for seconds in [0, HOUR, 0, -HOUR, 0] {
        scene.turn(seconds);
        load.acknowledges(25).await;
    }

    let (book, placed) = load.settle(&callers).await;
    assert!(book.unknown.is_empty(), "{:?}", book.answers);
    let mut ledger = Ledger::default();
    ledger.add((book, placed));
    ledger.assert_kept(&callers.0).await;
    assert_invariants(&scene.app.folder);
}

/// The steps of an order are told in the order in which they were taken, whatever the clock says.
#[tokio::test]
async fn no_order_is_changed_before_it_was_placed() {
    let scene = Scene::begin(Setup::default()).await;
    let (ada, machine) = (scene.app.customer("ada").await, scene.app.machine());
    let placed = ada.post("/orders").json(order_body("12.50")).send().await;
    let placed = placed.assert_status(201).json();

    scene.turn(-HOUR);
    let paid = machine.pay(text(&placed, "id")).await.assert_status(200).json();

    assert_eq!(paid["updated_at"], placed["created_at"]);
}

/// A key is kept for a day: a clock that is set forward by an hour must not make room for a second
/// effect, nor one that is set back.
#[tokio::test]
async fn a_key_has_one_effect_on_both_sides_of_a_jump() {
    let scene = Scene::begin(Setup::default().setting("sessions.idle", "3h")).await;
    let ada = scene.app.customer("ada").await;
    let place = async || {
        let call = ada.post("/orders").header("idempotency-key", "one-key");
        call.json(order_body("12.50")).send().await.assert_status(201).json()
    };

    let first = place().await;
    for seconds in [HOUR, -HOUR] {
        scene.turn(seconds);
        assert_eq!(place().await, first);
    }

    assert_eq!(scene.app.folder.number("SELECT count(*) FROM orders"), 1);
    // The clock was really turned.
    let other = ada.post("/orders").json(order_body("1.00")).send().await.assert_status(201).json();
    assert!(text(&other, "created_at") < text(&first, "created_at"));
}
