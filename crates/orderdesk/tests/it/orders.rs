//! An order from its placing to its end, as customers and operators see it.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{TestService, order_body, text};
use crate::support_orders::{Answer, assert_problem};

#[tokio::test]
async fn placing_an_order_answers_all_of_it_and_where_it_is() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let placed = ada
        .places(json!({
            "currency": "EUR",
            "reference": "spring-42",
            "lines": [
                {"sku": "TEA-100", "quantity": 2, "unit_price": "12.50"},
                {"sku": "a._-Z", "quantity": 3, "unit_price": "0.00"},
            ],
        }))
        .await;

    placed.assert_status(201);
    Answer::from(&placed).assert_headers();
    let order = placed.json();
    let id = text(&order, "id");
    assert!((1..=40).contains(&id.len()));
    assert_eq!(placed.header("location"), Some(format!("/orders/{id}").as_str()));
    assert_eq!(placed.header("etag"), Some("\"1\""));
    assert_eq!(placed.header("content-type"), Some("application/json"));
    assert_eq!(placed.header("cache-control"), Some("no-store"));
    assert_eq!(order["customer_id"], ada.id);
    assert_eq!(order["created_at"], order["updated_at"]);
    assert_moment(&order["created_at"]);
    assert_snapshot!(without_what_changes(order.clone()), @r#"{"created_at":"created_at","currency":"EUR","customer_id":"customer_id","id":"id","lines":[{"quantity":2,"sku":"TEA-100","unit_price":"12.50"},{"quantity":3,"sku":"a._-Z","unit_price":"0.00"}],"reference":"spring-42","status":"new","total":"25.00","updated_at":"updated_at","version":1}"#);

    let read = ada.order(id).await;
    assert_eq!(read.json(), order);
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(ada.page("/orders").await, (vec![order.clone()], None));
}

#[tokio::test]
async fn an_order_without_a_reference_shows_null() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let placed = ada.places(order_body("12.50")).await;

    assert_eq!(placed.json()["reference"], Value::Null);
}

#[tokio::test]
async fn an_order_is_paid_and_shipped_and_its_history_says_by_whom() {
    let app = TestService::start().await;
    let (ada, olga) = (app.customer("ada").await, app.operator("olga").await);
    let id = ada.places_order("12.50").await;

    let paid = olga.pay(&id).await;
    let shipped = app.machine().ship(&id).await;

    for (reply, status, version) in [(&paid, "paid", 2), (&shipped, "shipped", 3)] {
        reply.assert_status(200);
        let tag = format!("\"{version}\"");
        assert_eq!(reply.header("etag"), Some(tag.as_str()));
        assert_eq!(
            (&reply.json()["status"], &reply.json()["version"]),
            (&json!(status), &json!(version))
        );
    }
    assert_eq!(ada.order(&id).await.json(), shipped.json());
    let events = ada.get(&format!("/orders/{id}/events")).send().await;
    let items = events.json()["items"].clone();
    for (event, actor) in items.as_array().unwrap().iter().zip([&*ada.id, &*olga.id, "api_key"]) {
        assert_eq!(event["actor"], actor);
        assert_moment(&event["at"]);
        let members: Vec<_> = event.as_object().unwrap().keys().collect();
        assert_eq!(members, ["action", "actor", "at", "from", "to"]);
    }
    assert_eq!(events.json()["next_cursor"], Value::Null);
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid", "ship paid->shipped"]);
}

#[tokio::test]
async fn an_owner_cancels_while_the_order_is_new_and_an_operator_also_when_it_is_paid() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let (new, paid) = (ada.places_order("1.00").await, ada.places_order("2.00").await);
    machine.pay(&paid).await.assert_status(200);

    let cancelled = ada.cancel(&new).await;
    let refused = ada.cancel(&paid).await;

    cancelled.assert_status(200);
    assert_eq!(cancelled.json()["status"], "cancelled");
    assert_problem(&refused, 409, "illegal_transition");
    assert_eq!(ada.order(&paid).await.json()["status"], "paid");
    let by_operator = machine.cancel(&paid).await;
    by_operator.assert_status(200);
    assert_eq!(by_operator.json()["status"], "cancelled");
    assert_eq!(
        ada.history(&paid).await,
        ["place none->new", "pay new->paid", "cancel paid->cancelled"]
    );
}

#[tokio::test]
async fn only_operators_pay_and_ship() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("12.50").await;

    assert_problem(&ada.pay(&id).await, 403, "forbidden");
    assert_problem(&ada.ship(&id).await, 403, "forbidden");

    assert_eq!(ada.history(&id).await, ["place none->new"]);
}

#[tokio::test]
async fn anothers_order_is_answered_like_one_that_never_was() {
    let app = TestService::start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    let id = ada.places_order("12.50").await;

    let nothing = bob.order("01kg9v3q6m5zr8w0c2e4t7yhnd").await;
    assert_problem(&nothing, 404, "not_found");

    for path in [format!("/orders/{id}"), format!("/orders/{id}/events"), "/orders/!".into()] {
        let reply = bob.get(&path).send().await;
        assert_problem(&reply, 404, "not_found");
        assert_eq!(reply.without_request_id(), nothing.without_request_id());
    }
    let cancel = bob.cancel(&id).await;
    assert_problem(&cancel, 404, "not_found");
    assert_eq!(cancel.without_request_id(), nothing.without_request_id());
    assert_eq!(bob.page("/orders").await, (vec![], None));
    assert_eq!(ada.history(&id).await, ["place none->new"]);
}

#[tokio::test]
async fn an_operator_orders_for_a_customer_who_then_owns_the_order() {
    let app = TestService::start().await;
    let (ada, olga) = (app.customer("ada").await, app.operator("olga").await);
    let mut body = order_body("12.50");
    body["customer"] = json!(" ADA ");

    for operator in [&olga, &app.machine()] {
        let placed = operator.places(body.clone()).await;

        placed.assert_status(201);
        assert_eq!(placed.json()["customer_id"], ada.id);
        let id = text(&placed.json(), "id").to_owned();
        assert_eq!(ada.order(&id).await.json(), placed.json());
        ada.cancel(&id).await.assert_status(200);
    }

    let own = olga.places(order_body("1.00")).await;
    assert_eq!(own.json()["customer_id"], olga.id);
}

fn assert_moment(value: &Value) {
    let moment = value.as_str().unwrap();
    assert_eq!(moment.len(), "2026-01-31T09:30:00.000Z".len(), "{moment}");
    assert!(moment.ends_with('Z') && moment.as_bytes()[19] == b'.', "{moment}");
}

fn without_what_changes(mut order: Value) -> String {
    for name in ["id", "customer_id", "created_at", "updated_at"] {
        order[name] = json!(name);
    }
    order.to_string()
}
