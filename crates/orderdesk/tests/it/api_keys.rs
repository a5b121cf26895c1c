//! API keys: what they open, and what they never open.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestService, order_body, text};

#[tokio::test]
async fn a_key_is_shown_once_and_opens_its_scopes_and_nothing_else() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let made = ada.makes_key(" nightly ", &["orders:write", "orders:read", "orders:read"]).await;

    let members: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["created_at", "expires_at", "id", "key", "name", "scopes"]);
    let (key, token) = (app.bearer(text(&made, "key")), text(&made, "key"));
    assert!(token.starts_with("odk_") && token.len() == 4 + 43 + 6);
    assert_eq!(made["scopes"], json!(["orders:read", "orders:write"]));
    let id = key.places_order("1.00").await;
    key.order(&id).await.assert_status(200);
    for path in ["/users/me", "/sessions", "/api-keys"] {
        let refused = key.get(path).send().await;
        assert_eq!(refused.assert_status(403).problem_code(), "forbidden", "{path}");
    }
    let listed = ada.get("/api-keys").send().await.assert_status(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert!(
        listed["items"][0].get("key").is_none() && listed["items"][0]["last_used_at"].is_string()
    );
}

/// A scope is no right: the account's own role is asked as well.
#[tokio::test]
async fn a_key_never_does_more_than_its_account_may() {
    let app = TestService::start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    let scopes =
        ["accounts:read", "accounts:write", "orders:read", "orders:write", "imports:write"];
    let key = app.bearer(text(&ada.makes_key("all", &scopes).await, "key"));
    let foreign = bob.places_order("1.00").await;
    let own = ada.places_order("1.00").await;

    key.order(&foreign).await.assert_status(404);
    key.pay(&own).await.assert_status(403);
    key.get("/users").send().await.assert_status(403);
    key.get("/orders/export").send().await.assert_status(403);
    let upload = key.post("/imports").header("content-type", "text/csv").body("x");
    upload.send().await.assert_status(403);
    let mut order = order_body("1.00");
    order["customer"] = json!("bob");
    key.post("/orders").json(order).send().await.assert_status(403);
    let listed = key.get("/orders").send().await.assert_status(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_was_deleted_or_is_over_opens_nothing() {
    let app = TestService::start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    let made = ada.makes_key("x", &["orders:read"]).await;
    let (key, path) = (app.bearer(text(&made, "key")), format!("/api-keys/{}", text(&made, "id")));
    assert!(key.is_known().await);

    bob.delete(&path).send().await.assert_status(404);
    assert!(key.is_known().await);
    ada.delete(&path).send().await.assert_status(204);
    assert!(!key.is_known().await);
    ada.delete(&path).send().await.assert_status(404);

    let key = app.bearer(text(&ada.makes_key("y", &["orders:read"]).await, "key"));
    assert!(key.is_known().await);
    assert_eq!(app.folder.tamper("UPDATE palisade_api_keys SET expires_at = 1"), Ok(1));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!key.is_known().await);
    let listed = ada.get("/api-keys").send().await.json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_key_that_is_no_key_is_told_what_is_wrong_with_it() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let good = json!({"name": "x", "scopes": ["orders:read"], "expires_in_days": 30});

    for (member, value, pointer, code) in [
        ("name", json!(""), "/name", "length"),
        ("name", json!("x".repeat(101)), "/name", "length"),
        ("scopes", json!([]), "/scopes", "length"),
        ("scopes", json!(["orders:read", "everything"]), "/scopes/1", "choice"),
        ("expires_in_days", json!(0), "/expires_in_days", "range"),
        ("expires_in_days", json!(366), "/expires_in_days", "range"),
        ("expires_in_days", Value::Null, "/expires_in_days", ""),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refused = ada.post("/api-keys").json(body).send().await.assert_status(400).json();
        if code.is_empty() {
            assert_eq!(refused["code"], "malformed_body");
        } else {
            let error = &refused["errors"][0];
            assert_eq!((&error["pointer"], &error["code"]), (&pointer.into(), &code.into()));
        }
    }
}

#[tokio::test]
async fn an_account_has_fifty_keys_at_most() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    for number in 0..50 {
        ada.makes_key(&format!("key {number}"), &["orders:read"]).await;
    }

    let body = json!({"name": "one too many", "scopes": ["orders:read"], "expires_in_days": 1});
    let refused = ada.post("/api-keys").json(body).send().await;

    assert_eq!(refused.assert_status(400).json()["errors"][0]["code"], "too_many");
}

#[tokio::test]
async fn a_key_is_stored_as_a_hash_only() {
    let app = TestService::start().await;
    let made = app.customer("ada").await.makes_key("x", &["orders:read"]).await;
    let token = text(&made, "key").as_bytes().to_vec();

    let bytes = app.folder.database_bytes();

    assert!(!bytes.windows(token.len()).any(|window| window == token));
}
