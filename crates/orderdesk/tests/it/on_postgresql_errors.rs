//! What the server reports, put into it by triggers of the test: what is over when it is tried
//! again is tried again, and nobody is told what the server said.

use std::time::Duration;

use palisade_testing::Reply;
use serde_json::json;

use crate::support::{Caller, TestService};
use crate::support_invariants::assert_invariants;
use crate::support_orders::assert_problem;

/// Where the server reports it.
#[derive(Debug, Clone, Copy)]
enum At {
    Update,
    Commit,
}

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn what_the_server_reports_is_tried_again_or_told_without_its_words() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    app.folder.server_database().script(FAULTS);
    let mut wrong = Vec::new();

    for (at, code, times, status) in [
        // Serialization failures and deadlocks, of which a few are nothing and many too much.
        (At::Update, "40001", 3, 200),
        (At::Update, "40P01", 3, 200),
        (At::Commit, "40001", 3, 200),
        (At::Commit, "40P01", 3, 200),
        (At::Update, "40001", 1_000, 503),
        (At::Commit, "40001", 1_000, 503),
        // The connection ends: before the commit nothing is lost, at it nobody knows.
        (At::Update, "57P01", 1, 200),
        (At::Update, "57P02", 1, 200),
        (At::Update, "08006", 1, 200),
        (At::Update, "25P03", 1, 200),
        (At::Commit, "25P03", 1, 200),
        (At::Commit, "57P01", 1, 500),
        (At::Commit, "08007", 1, 500),
        (At::Commit, "40003", 1, 500),
        // Too little time, disk, memory; no writes at present.
        (At::Update, "57014", 1, 503),
        (At::Update, "55P03", 1, 503),
        (At::Update, "53100", 1, 503),
        (At::Commit, "53100", 1, 503),
        (At::Update, "53200", 1, 503),
        (At::Update, "25006", 1, 503),
        // Anything else is a failure of ours.
        (At::Update, "XX000", 1, 500),
        (At::Commit, "P0001", 1, 500),
    ] {
        let id = ada.places_order("12.50").await;
        inject(&app, at, code, times);
        let first = pay(&machine, &id).await;
        if first.status() != status {
            wrong.push(format!("{at:?} {code} {times} times: {}, not {status}", first.status()));
        }
        assert_told(&first);
        inject(&app, at, code, 0);
        pay(&machine, &id).await.assert_status(200);
        assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"], "{at:?} {code}");
    }

    assert_eq!(wrong, [""; 0]);
    assert_invariants(&app.folder);
    assert!(!app.service.stderr().contains("panicked"));
}

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn a_deadlock_with_another_program_costs_a_second_and_nothing_else() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let (id, server) = (ada.places_order("12.50").await, app.folder.server_database());
    let lock = format!("UPDATE orders SET version = version WHERE id = '{id}'");
    // The service finds the deadlock first.
    let mut other = server.hold(&format!("SET LOCAL deadlock_timeout = '20s'; {lock}"));

    let payment = tokio::spawn({
        let (machine, id) = (machine.clone(), id.clone());
        async move { pay(&machine, &id).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                      AND wait_event_type = 'Lock'";
    while app.folder.number(waiting) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    other.go_on("LOCK TABLE palisade_idempotency IN EXCLUSIVE MODE; COMMIT");

    payment.await.unwrap().assert_status(200);
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"]);
}

async fn pay(machine: &Caller, id: &str) -> Reply {
    let call = machine.post(&format!("/orders/{id}/pay")).header("idempotency-key", id);
    call.json(json!({"payment_reference": "pi_3Nk1"})).send().await
}

/// A failure says when to come back, or nothing.
#[track_caller]
fn assert_told(reply: &Reply) {
    match reply.status() {
        503 => {
            assert_problem(reply, 503, "overloaded");
            assert!(reply.header("retry-after").is_some());
        }
        500 => drop(assert_problem(reply, 500, "internal")),
        _ => {}
    }
    assert!(!reply.text().contains("injected"), "{}", reply.text());
}

/// Has the next updates of orders, so many of them, fail with `code`.
fn inject(app: &TestService, at: At, code: &str, times: u32) {
    let trigger = match at {
        At::Update => "CREATE TRIGGER fault BEFORE UPDATE ON orders",
        At::Commit => {
            "CREATE CONSTRAINT TRIGGER fault AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED"
        }
    };
    app.folder.server_database().script(&format!(
        "DROP TRIGGER IF EXISTS fault ON orders; DELETE FROM plan;
         INSERT INTO plan VALUES ('{code}', {times}); SELECT setval('tries', 1, false);
         {trigger} FOR EACH ROW EXECUTE FUNCTION fail()"
    ));
}

/// A sequence counts what is undone, too.
const FAULTS: &str = "
    CREATE SEQUENCE tries;
    CREATE TABLE plan (code text, times int);
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE planned plan;
    BEGIN
        SELECT * INTO planned FROM plan;
        IF nextval('tries') <= planned.times THEN
            RAISE EXCEPTION 'injected: a value that was stored' USING ERRCODE = planned.code;
        END IF;
        RETURN NEW;
    END $$";
