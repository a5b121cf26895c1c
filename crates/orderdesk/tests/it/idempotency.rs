//! Idempotency keys: what is sent again is answered again and done once, for its own caller only.

use palisade_testing::Reply;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Caller, Setup, TestService, assert_same_answer, order_body, text};
use crate::support_orders::{assert_problem, order_in, refused_values};

#[tokio::test]
async fn a_request_sent_again_gets_its_first_answer_whatever_happened_since() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    let placed = ada.keyed("k1", "/orders", Some(order_body("12.50"))).await;
    placed.assert_status(201);
    let id = text(&placed.json(), "id").to_owned();
    let (pay, ship) = (format!("/orders/{id}/pay"), format!("/orders/{id}/ship"));
    let paid = machine.keyed("k2", &pay, Some(payment())).await;
    let shipped = machine.keyed("k3", &ship, None).await;

    let again = ada.keyed("k1", "/orders", Some(order_body("12.50"))).await;
    assert_replayed(&again, &placed, 201);
    assert_eq!(again.header("location"), Some(format!("/orders/{id}").as_str()));
    assert_eq!(again.header("etag"), Some("\"1\""));
    assert_replayed(&machine.keyed("k2", &pay, Some(payment())).await, &paid, 200);
    assert_replayed(&machine.keyed("k3", &ship, None).await, &shipped, 200);
    assert_eq!(shipped.header("etag"), Some("\"3\""));

    assert_eq!(ada.page("/orders").await.0.len(), 1);
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid", "ship paid->shipped"]);
}

#[tokio::test]
async fn an_answer_is_given_again_after_a_kill_and_to_who_cancels_twice() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;
    let cancel = format!("/orders/{id}/cancel");
    let body = json!({"reason": "ordered twice"});
    let cancelled = ada.keyed("k", &cancel, Some(body.clone())).await;

    app.kill_and_restart().await;

    let again = app.again(&ada).keyed("k", &cancel, Some(body)).await;
    assert_replayed(&again, &cancelled, 200);
    assert_problem(&app.again(&ada).cancel(&id).await, 409, "illegal_transition");
}

#[tokio::test]
async fn the_largest_order_is_kept_like_any_other() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut body = order_body("1.00");
    let sku = "A".repeat(64);
    let line = json!({"sku": sku, "quantity": 1_000_000, "unit_price": "9000.00"});
    body["lines"] = Value::Array(vec![line; 100]);
    body["reference"] = json!("\u{1F375}".repeat(200));

    let placed = ada.keyed("k", "/orders", Some(body.clone())).await;

    assert_replayed(&ada.keyed("k", "/orders", Some(body)).await, &placed, 201);
}

#[tokio::test]
async fn a_key_for_another_request_is_a_conflict_and_changes_nothing() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let placed = ada.keyed("k", "/orders", Some(order_body("1.00"))).await;
    let id = text(&placed.json(), "id").to_owned();
    let (other, cancel) = (ada.places_order("1.00").await, format!("/orders/{id}/cancel"));
    machine.keyed("m", &format!("/orders/{id}/pay"), Some(payment())).await.assert_status(200);
    let spaced = order_body("1.00").to_string().replacen(':', ": ", 1);

    let conflicts = [
        ada.keyed("k", "/orders", Some(order_body("1.01"))).await,
        ada.keyed("k", "/orders?x=1", Some(order_body("1.00"))).await,
        ada.keyed("k", &format!("/orders/{other}/cancel"), None).await,
        ada.keyed("k", &cancel, Some(json!({}))).await,
        // The same meaning in other bytes.
        ada.post("/orders")
            .header("idempotency-key", "k")
            .header("content-type", "application/json")
            .body(spaced)
            .send()
            .await,
        machine.keyed("m", &format!("/orders/{other}/pay"), Some(payment())).await,
        machine.keyed("m", &format!("/orders/{id}/ship"), Some(payment_as_shipment())).await,
    ];

    for conflict in &conflicts {
        assert_problem(conflict, 409, "idempotency_conflict");
    }
    assert_eq!(ada.history(&id).await.len(), 2);
    assert_eq!(ada.history(&other).await, ["place none->new"]);
    assert_eq!(ada.page("/orders").await.0.len(), 2);
    // The key still stands for what it stood for.
    assert_replayed(&ada.keyed("k", "/orders", Some(order_body("1.00"))).await, &placed, 201);
}

#[tokio::test]
async fn the_same_key_of_another_caller_is_another_key() {
    let app = TestService::start().await;
    let (ada, bob, machine) = (app.customer("ada").await, app.customer("bob").await, app.machine());
    let mut named = order_body("1.00");
    named["customer"] = json!("ada");

    let placed = ada.keyed("k", "/orders", Some(order_body("1.00"))).await.json();
    let of_bob = bob.keyed("k", "/orders", Some(order_body("1.00"))).await;
    let of_machine = machine.keyed("k", "/orders", Some(named)).await;
    // Another session of one account is the same caller.
    let elsewhere = app.signed_in("ada").await;
    let again = elsewhere.keyed("k", "/orders", Some(order_body("1.00"))).await;

    assert_eq!(of_bob.assert_status(201).json()["customer_id"], bob.id.as_str());
    assert_ne!(of_machine.assert_status(201).json()["id"], placed["id"]);
    assert_eq!(again.json(), placed);
    let unknown = format!("/orders/{}/cancel", text(&placed, "id"));
    assert_problem(&bob.keyed("k", &unknown, None).await, 404, "not_found");
}

#[tokio::test]
async fn fifty_equal_requests_at_once_have_one_effect_and_one_answer() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());

    let placed = at_once(&ada, "/orders", &order_body("1.00")).await;
    let id = text(&placed[0].json(), "id").to_owned();
    let paid = at_once(&machine, &format!("/orders/{id}/pay"), &payment()).await;

    for replies in [&placed, &paid] {
        for reply in replies {
            assert_replayed(reply, &replies[0], replies[0].status());
        }
    }
    assert_eq!((placed[0].status(), paid[0].status()), (201, 200));
    assert_eq!(ada.page("/orders").await.0.len(), 1);
    assert_eq!(ada.history(&id).await, ["place none->new", "pay new->paid"]);
}

#[tokio::test]
async fn a_step_that_was_refused_stays_refused_under_its_key_though_it_would_be_allowed_now() {
    let mut app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = ada.places_order("1.00").await;
    let ship = format!("/orders/{id}/ship");

    let refused = machine.keyed("k", &ship, None).await;
    let problem = assert_problem(&refused, 409, "illegal_transition");
    machine.pay(&id).await.assert_status(200);
    app.kill_and_restart().await;
    let machine = app.again(&machine);
    let again = machine.keyed("k", &ship, None).await;

    assert_ne!(
        assert_problem(&again, 409, "illegal_transition")["request_id"],
        problem["request_id"]
    );
    assert_same_answer(&again, &refused);
    machine.keyed("k2", &ship, None).await.assert_status(200);
}

#[tokio::test]
async fn what_did_nothing_is_not_kept() {
    let app = Setup::default().setting("database.busy_timeout", "10ms").start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let id = ada.places_order("1.00").await;
    let cancel = format!("/orders/{id}/cancel");

    assert_eq!(ada.keyed("k", "/orders", Some(order_in("EUR", 0, "1.00"))).await.status(), 400);
    assert_eq!(ada.keyed("k", "/orders/nosuchorder/cancel", None).await.status(), 404);
    assert_eq!(ada.keyed("k", &format!("/orders/{id}/pay"), Some(payment())).await.status(), 403);
    let other_version =
        ada.post(&cancel).header("idempotency-key", "k").header("if-match", "\"9\"");
    assert_problem(&other_version.send().await, 412, "precondition_failed");
    if !app.folder.is_on_a_server() {
        let database = app.folder.open_database();
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_problem(&ada.keyed("k", &cancel, None).await, 503, "overloaded");
        database.execute_batch("ROLLBACK").unwrap();
    }
    let mut unknown = order_body("1.00");
    unknown["customer"] = json!("nobodyyet");
    assert_eq!(machine.keyed("m", "/orders", Some(unknown.clone())).await.status(), 400);
    assert_eq!(rows(&app), 0);

    app.customer("nobodyyet").await;
    machine.keyed("m", "/orders", Some(unknown)).await.assert_status(201);
    ada.keyed("k", &cancel, None).await.assert_status(200);
    assert_eq!(rows(&app), 2);
}

#[tokio::test]
async fn a_retry_with_the_precondition_that_its_first_try_ended_is_answered_again() {
    let app = TestService::start().await;
    let (ada, machine) = (app.customer("ada").await, app.machine());
    let path = format!("/orders/{}/pay", ada.places_order("1.00").await);
    let pay = async || {
        let call = machine.post(&path).header("idempotency-key", "k").header("if-match", "\"1\"");
        call.json(payment()).send().await
    };

    let paid = pay().await;

    assert_replayed(&pay().await, &paid, 200);
}

#[tokio::test]
async fn each_key_of_a_client_that_retries_through_kills_has_exactly_one_order() {
    const ROUNDS: usize = 10;
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut keys = 0;

    for round in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            writers.spawn(place_until_killed(app.again(&ada), format!("{round}-{writer}")));
        }
        for number in 0..=round {
            let key = format!("main-{round}-{number}");
            app.again(&ada)
                .keyed(&key, "/orders", Some(order_body("1.00")))
                .await
                .assert_status(201);
            keys += 1;
        }
        app.service.kill().await;
        app.service = app.folder.serve().start().await;

        // What was under way when the kill came is sent again: it may have been done, or not.
        for (prefix, sent, last) in writers.join_all().await {
            let again = app.again(&ada);
            let key = format!("{prefix}-{sent}");
            let reply = again.keyed(&key, "/orders", Some(order_body("1.00"))).await;
            reply.assert_status(201);
            keys += sent + 1;
            if let Some(last) = last {
                let key = format!("{prefix}-{}", sent - 1);
                let reply = again.keyed(&key, "/orders", Some(order_body("1.00"))).await;
                assert_replayed(&reply, &last, 201);
            }
        }
    }

    let count = |sql| app.folder.number(sql);
    let expected = i64::try_from(keys).unwrap();
    assert_eq!(count("SELECT count(*) FROM orders"), expected);
    assert_eq!(count("SELECT count(*) FROM palisade_idempotency"), expected);
    assert_eq!(count("SELECT count(*) FROM palisade_idempotency WHERE status IS NULL"), 0);
    assert_eq!(count("SELECT count(*) FROM order_events"), expected);
}

#[tokio::test]
async fn an_answer_does_not_outlive_the_right_to_see_it() {
    let mut app = TestService::start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    let operator = app.operator("olga").await;
    let id = ada.places_order("1.00").await;
    let (pay, cancel) = (format!("/orders/{id}/pay"), format!("/orders/{id}/cancel"));
    let mut for_bob = order_body("1.00");
    for_bob["customer"] = json!("bob");
    operator.keyed("p", &pay, Some(payment())).await.assert_status(200);
    operator.keyed("o", "/orders", Some(for_bob.clone())).await.assert_status(201);
    assert_problem(&ada.keyed("c", &cancel, None).await, 409, "illegal_transition");

    // The role is lost.
    let whose = &operator.id;
    let demote =
        format!("UPDATE palisade_sessions SET role = 'customer' WHERE account = '{whose}'");
    app.folder.tamper(&demote).unwrap();
    // The order is somebody else's.
    let give = format!("UPDATE orders SET customer = '{}' WHERE id = '{id}'", bob.id);
    app.folder.tamper(&give).unwrap();
    app.restart().await;
    let (ada, operator) = (app.again(&ada), app.again(&operator));
    assert_problem(&operator.keyed("p", &pay, Some(payment())).await, 403, "forbidden");
    assert_problem(&operator.keyed("o", "/orders", Some(for_bob)).await, 403, "forbidden");
    assert_problem(&ada.keyed("c", &cancel, None).await, 404, "not_found");
    assert_problem(&ada.keyed("c", &cancel, Some(json!({}))).await, 404, "not_found");

    // The session is over.
    ada.keyed("k", "/orders", Some(order_body("1.00"))).await.assert_status(201);
    ada.delete("/sessions/current").send().await.assert_status(204);
    let again = ada.keyed("k", "/orders", Some(order_body("1.00"))).await;
    assert_problem(&again, 401, "authentication_failed");
}

#[tokio::test]
async fn a_disabled_account_does_not_get_its_kept_answers() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;
    ada.keyed("k", "/orders", Some(order_body("1.00"))).await.assert_status(201);

    // There is no command for this yet; the threat model says to do it so.
    for sql in [
        format!("UPDATE accounts SET disabled_at = 1 WHERE id = '{}'", ada.id),
        format!("DELETE FROM palisade_sessions WHERE account = '{}'", ada.id),
    ] {
        assert_eq!(app.folder.tamper(&sql).unwrap(), 1);
    }
    app.restart().await;

    let again = app.again(&ada).keyed("k", "/orders", Some(order_body("1.00"))).await;
    assert_problem(&again, 401, "authentication_failed");
    assert_eq!(app.sign_in("ada", crate::support::PASSWORD).await.status(), 401);
}

#[tokio::test]
async fn a_key_is_as_good_as_new_when_its_time_is_over() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let first = ada.keyed("k", "/orders", Some(order_body("1.00"))).await.json();
    let expires_at = app.folder.number("SELECT max(expires_at) FROM palisade_idempotency");
    let placed_at = text(&first, "created_at").to_owned();
    let day_later = palisade::clock::Timestamp::parse(&placed_at).unwrap().as_millis() + 86_400_000;
    assert!((day_later..day_later + 10_000).contains(&expires_at), "24 hours");

    app.folder.tamper("UPDATE palisade_idempotency SET expires_at = 1").unwrap();
    let second = ada.keyed("k", "/orders", Some(order_body("2.00"))).await;

    assert_ne!(second.assert_status(201).json()["id"], first["id"]);
    assert_replayed(&ada.keyed("k", "/orders", Some(order_body("2.00"))).await, &second, 201);
    assert_problem(
        &ada.keyed("k", "/orders", Some(order_body("1.00"))).await,
        409,
        "idempotency_conflict",
    );
}

#[tokio::test]
async fn answers_whose_time_is_over_are_removed_without_a_request() {
    let app = Setup::default().setting("retention.every", "1s").start().await;
    let ada = app.customer("ada").await;
    for key in ["old", "older", "new"] {
        ada.keyed(key, "/orders", Some(order_body("1.00"))).await.assert_status(201);
    }
    let age = "UPDATE palisade_idempotency SET expires_at = 1 WHERE key_hash IN
               (SELECT key_hash FROM palisade_idempotency ORDER BY expires_at LIMIT 2)";
    assert_eq!(app.folder.tamper(age).unwrap(), 2);

    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while rows(&app) != 1 {
        assert!(std::time::Instant::now() < deadline, "{} rows are left", rows(&app));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_is_one_header_of_visible_characters_and_named_when_it_is_not() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for bad in ["", "a b", "a\tb", "k\u{e4}", &"k".repeat(256)] {
        let reply = ada.keyed(bad, "/orders", Some(order_body("1.00"))).await;
        assert_eq!(refused_values(&reply), ["/Idempotency-Key format"], "{bad:?}");
    }
    let twice = ada.post("/orders").header("idempotency-key", "k").header("idempotency-key", "k");
    let reply = twice.json(order_body("1.00")).send().await;
    assert_eq!(refused_values(&reply), ["/Idempotency-Key duplicate"]);
    let both = ada.keyed("a b", "/orders", Some(order_in("EUR", 0, "1.00"))).await;
    assert_eq!(refused_values(&both), ["/Idempotency-Key format", "/lines/0/quantity range"]);
    assert_eq!(ada.page("/orders").await.0.len(), 0);

    let longest = "~".repeat(255);
    let placed = ada.keyed(&longest, "/orders", Some(order_body("1.00"))).await;
    assert_replayed(&ada.keyed(&longest, "/orders", Some(order_body("1.00"))).await, &placed, 201);
}

#[tokio::test]
async fn a_retry_spends_from_the_same_budgets_as_any_request() {
    let app = Setup::default().setting("rate.per_account", "5/m burst 5").start().await;
    let ada = app.customer("ada").await;

    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(ada.keyed("k", "/orders", Some(order_body("1.00"))).await.status());
    }

    assert_eq!(statuses.first(), Some(&201));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn neither_the_key_nor_a_kept_answer_is_written_where_others_read() {
    let mut app = Setup::default().setting("log.level", "trace").start().await;
    let ada = app.customer("ada").await;
    let key = "walnut-key-7391";
    let mut body = order_body("1.00");
    body["reference"] = json!("marzipan-reference");

    for price in ["1.00", "1.00", "2.00"] {
        body["lines"][0]["unit_price"] = json!(price);
        ada.keyed(key, "/orders", Some(body.clone())).await;
    }

    // Its end writes down what is left of both.
    assert!(app.service.terminate().await.success());
    let (log, database) = (app.service.stderr(), app.folder.database_bytes());
    let holds = |text: &str| database.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(
        log.contains("/orders") && holds("marzipan-reference"),
        "this looks at the right places"
    );
    assert!(!log.contains(key) && !log.contains("marzipan"));
    assert!(!holds(key), "only a hash of the key is stored");
}

#[tokio::test]
async fn what_becomes_of_keys_is_counted() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for price in ["1.00", "1.00", "1.00", "2.00"] {
        ada.keyed("k", "/orders", Some(order_body(price))).await;
    }
    ada.places_order("1.00").await;

    let metrics = app.admin().get("/metrics").send().await.text();
    for (outcome, count) in [("kept", 1), ("replayed", 2), ("conflict", 1)] {
        let line = format!("palisade_idempotency_keys_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn the_document_shows_the_header_where_it_counts_and_others_take_no_notice() {
    let app = TestService::start().await;
    let document = app.client().get("/openapi.json").send().await.json();

    let mut taking = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                taking.push(format!("{method} {path}"));
            }
        }
    }
    taking.sort();
    assert_eq!(
        taking,
        [
            "post /imports",
            "post /orders",
            "post /orders/{id}/cancel",
            "post /orders/{id}/pay",
            "post /orders/{id}/ship"
        ]
    );

    let nobody = app.nobody();
    for name in ["ada", "bob"] {
        let body = crate::support::sign_up_body(name);
        nobody.keyed("not a key", "/users", Some(body)).await.assert_status(201);
    }
}

impl Caller {
    /// Sends `POST path` with an idempotency key.
    pub(crate) async fn keyed(&self, key: &str, path: &str, body: Option<Value>) -> Reply {
        let call = self.post(path).header("idempotency-key", key);
        match body {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        }
    }
}

/// Asserts that `again` is `first` to the byte, its own request id aside.
#[track_caller]
fn assert_replayed(again: &Reply, first: &Reply, status: u16) {
    first.assert_status(status);
    assert_eq!(again.body(), first.body());
    assert_same_answer(again, first);
    assert_ne!(again.header("x-request-id"), None);
}

fn payment() -> Value {
    json!({"payment_reference": "pi_3Nk1"})
}

fn payment_as_shipment() -> Value {
    json!({"tracking": "pi_3Nk1"})
}

/// Sends one request fifty times at once, with one key.
async fn at_once(caller: &Caller, path: &str, body: &Value) -> Vec<Reply> {
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (caller, path, body) = (caller.clone(), path.to_owned(), body.clone());
        requests.spawn(async move { caller.keyed("k", &path, Some(body)).await });
    }
    requests.join_all().await
}

/// Places an order for each key of `prefix` until nothing answers any more. Returns how many were
/// answered, and the last answer.
async fn place_until_killed(ada: Caller, prefix: String) -> (String, usize, Option<Reply>) {
    let (mut sent, mut last) = (0, None);
    loop {
        let key = format!("{prefix}-{sent}");
        let call = ada.post("/orders").header("idempotency-key", &key).json(order_body("1.00"));
        let Ok(reply) = call.try_send().await else { return (prefix, sent, last) };
        reply.assert_status(201);
        (sent, last) = (sent + 1, Some(reply));
    }
}

fn rows(app: &TestService) -> i64 {
    let count = "SELECT count(*) FROM palisade_idempotency";
    app.folder.number(count)
}
