//! Which steps an order takes, what is checked before, and what a refusal leaves alone.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Caller, TestService};
use crate::support_orders::{assert_problem, with_text};

const STATES: [&str; 4] = ["new", "paid", "shipped", "cancelled"];
const STEPS: [&str; 3] = ["pay", "ship", "cancel"];
const NOWHERE: &str = "01kg9v3q6m5zr8w0c2e4t7yhnd";

#[tokio::test]
async fn every_step_that_the_table_does_not_have_is_refused_and_changes_nothing() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    for state in STATES {
        for step in STEPS {
            let id = order_in_state(&ada, &machine, state).await;
            let (before, history) = (ada.order(&id).await.json(), ada.history(&id).await);

            let reply = take(&machine, &id, step).await;

            let next = match (state, step) {
                ("new", "pay") => Some("paid"),
                ("paid", "ship") => Some("shipped"),
                ("new" | "paid", "cancel") => Some("cancelled"),
                _ => None,
            };
            let after = ada.order(&id).await.json();
            if let Some(next) = next {
                reply.assert_status(200);
                assert_eq!(after["status"], next, "{state} {step}");
                assert_eq!(after["version"], before["version"].as_u64().unwrap() + 1);
                assert_eq!(ada.history(&id).await.len(), history.len() + 1);
            } else {
                assert_problem(&reply, 409, "illegal_transition");
                assert_eq!(after, before, "{state} {step}");
                assert_eq!(ada.history(&id).await, history, "{state} {step}");
            }
        }
    }
}

#[tokio::test]
async fn ship_and_cancel_take_no_body_an_empty_one_or_an_object() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    for (step, state, member) in [("ship", "paid", "tracking"), ("cancel", "new", "reason")] {
        let typed = ("content-type", "application/json");
        let accepted = [
            (None, String::new()),
            (Some(("content-length", "0")), String::new()),
            (Some(typed), String::new()),
            (Some(typed), "{}".to_owned()),
            (Some(typed), format!(r#"{{"{member}":"because"}}"#)),
        ];
        for (header, body) in accepted {
            let id = order_in_state(&ada, &machine, state).await;
            let mut call = machine.post(&format!("/orders/{id}/{step}"));
            if let Some((name, value)) = header {
                call = call.header(name, value);
            }
            call.body(body).send().await.assert_status(200);
        }

        let id = order_in_state(&ada, &machine, state).await;
        let path = format!("/orders/{id}/{step}");
        let untyped = machine.post(&path).body("{}").send().await;
        assert_problem(&untyped, 415, "unsupported_media_type");
        let plain = machine.post(&path).header("content-type", "text/plain").body("{}");
        assert_problem(&plain.send().await, 415, "unsupported_media_type");
        let unknown = with_text(machine.post(&path), r#"{"why":"x"}"#).send().await;
        assert_problem(&unknown, 400, "malformed_body");
        let null = with_text(machine.post(&path), "null").send().await;
        assert_problem(&null, 400, "malformed_body");
        assert_eq!(ada.order(&id).await.json()["status"], state);
    }
}

#[tokio::test]
async fn a_step_with_if_match_is_taken_only_on_that_version() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    for refused in ["\"2\"", "1", "W/\"1\"", "\"1", "\"\"", "\"7\", \"8\"", "x"] {
        let id = ada.places_order("12.50").await;
        let reply = cancel_if(&ada, &id, refused).await;
        assert_problem(&reply, 412, "precondition_failed");
        assert_eq!(ada.history(&id).await, ["place none->new"], "{refused}");
    }
    for accepted in ["\"1\"", "*", "\"7\", \"1\"", "\"1\",\"2\""] {
        let id = ada.places_order("12.50").await;
        let reply = cancel_if(&ada, &id, accepted).await;
        reply.assert_status(200);
        assert_eq!(reply.header("etag"), Some("\"2\""), "{accepted}");
    }

    let id = ada.places_order("12.50").await;
    let paid = machine.pay(&id).await;
    let tag = paid.header("etag").unwrap();
    cancel_if(&machine, &id, tag).await.assert_status(200);
}

#[tokio::test]
async fn what_is_checked_first_decides_the_answer() {
    let app = TestService::start().await;
    let (ada, machine, nobody) = (app.customer("ada").await, app.machine(), app.nobody());
    let id = order_in_state(&ada, &machine, "cancelled").await;
    let (here, nowhere) = (format!("/orders/{id}/pay"), format!("/orders/{NOWHERE}/pay"));
    let malformed = format!("/orders/{}/pay", "!".repeat(3));
    let huge = vec![b' '; 70_000];

    let good = json!({"payment_reference": "pi_3Nk1"});
    let conflict = machine.post(&here).json(good.clone()).send().await;
    assert_problem(&conflict, 409, "illegal_transition");
    let precondition = machine.post(&here).header("if-match", "\"9\"").json(good.clone());
    assert_problem(&precondition.send().await, 412, "precondition_failed");
    for path in [&nowhere, &malformed] {
        let existence = machine.post(path).header("if-match", "\"9\"").json(good.clone());
        assert_problem(&existence.send().await, 404, "not_found");
        let form = machine.post(path).json(json!({"payment_reference": ""}));
        assert_problem(&form.send().await, 400, "validation_failed");
        let form = machine.post(path).header("if-match", "\"9\"").json(json!({"x": 1}));
        assert_problem(&form.send().await, 400, "malformed_body");
        let size = with_text(machine.post(path), huge.clone());
        assert_problem(&size.send().await, 413, "body_too_large");
        let media = machine.post(path).header("content-type", "text/plain").body("{");
        assert_problem(&media.send().await, 415, "unsupported_media_type");
        let policy = ada.post(path).header("content-type", "text/plain").body("{");
        assert_problem(&policy.send().await, 403, "forbidden");
        let credential = nobody.post(path).header("content-type", "text/plain").body("{");
        assert_problem(&credential.send().await, 401, "authentication_failed");
    }
    assert_problem(&nobody.put(&here).send().await, 405, "method_not_allowed");
    assert_problem(&nobody.post("/orders/x/y/z").send().await, 404, "not_found");
    let named = ada.places(json!({"customer": "bob", "currency": "EUR", "lines": []})).await;
    assert_problem(&named, 400, "validation_failed");
}

#[tokio::test]
async fn of_paying_and_cancelling_at_once_one_wins() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    for _ in 0..10 {
        let id = ada.places_order("12.50").await;

        let (pay, cancel) = tokio::join!(machine.pay(&id), ada.cancel(&id));

        let (winner, loser, last) = match pay.status() {
            200 => (&pay, &cancel, "pay new->paid"),
            _ => (&cancel, &pay, "cancel new->cancelled"),
        };
        winner.assert_status(200);
        assert_problem(loser, 409, "illegal_transition");
        assert_eq!(ada.order(&id).await.json(), winner.json());
        assert_eq!(winner.json()["version"], 2);
        assert_eq!(ada.history(&id).await, ["place none->new", last]);
    }
}

#[tokio::test]
async fn of_twenty_payments_at_once_one_wins() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = ada.places_order("12.50").await;

    let mut payments = JoinSet::new();
    for _ in 0..20 {
        let (machine, id) = (machine.clone(), id.clone());
        payments.spawn(async move { machine.pay(&id).await });
    }
    let replies = payments.join_all().await;

    let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status() == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for reply in lost {
        assert_problem(reply, 409, "illegal_transition");
    }
    assert_eq!(ada.order(&id).await.json(), won[0].json());
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"]);
}

#[tokio::test]
async fn of_two_steps_on_the_same_version_one_wins_and_the_other_sees_that_it_changed() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = order_in_state(&ada, &machine, "paid").await;

    let ship = machine.post(&format!("/orders/{id}/ship")).header("if-match", "\"2\"");
    let (ship, cancel) = tokio::join!(ship.send(), cancel_if(&machine, &id, "\"2\""));

    let mut statuses = [ship.status(), cancel.status()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(ada.order(&id).await.json()["version"], 3);
    assert_eq!(ada.history(&id).await.len(), 3);
}

async fn order_in_state(ada: &Caller, machine: &Caller, state: &str) -> String {
    let id = ada.places_order("12.50").await;
    let steps: &[&str] = match state {
        "new" => &[],
        "paid" => &["pay"],
        "shipped" => &["pay", "ship"],
        "cancelled" => &["cancel"],
        other => panic!("{other}"),
    };
    for step in steps {
        take(machine, &id, step).await.assert_status(200);
    }
    id
}

async fn take(caller: &Caller, id: &str, step: &str) -> palisade_testing::Reply {
    let body: Value = match step {
        "pay" => json!({"payment_reference": "pi_3Nk1"}),
        _ => json!({}),
    };
    caller.post(&format!("/orders/{id}/{step}")).json(body).send().await
}

async fn cancel_if(caller: &Caller, id: &str, version: &str) -> palisade_testing::Reply {
    caller.post(&format!("/orders/{id}/cancel")).header("if-match", version).send().await
}
