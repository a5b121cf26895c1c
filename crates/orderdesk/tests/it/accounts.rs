//! Accounts through the public interface: sign-up, and what is kept of it.

use serde_json::json;

use crate::support::{TestService, violations};

#[tokio::test]
async fn signing_up_answers_the_account_in_its_stored_form() {
    let app = TestService::start().await;

    let body = r#"{"username":"  Alice42 ","email":"Alice@Example.COM","password":"correct horse battery staple"}"#;
    let reply = app
        .client()
        .post("/users")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;

    reply.assert_status(201);
    let account = reply.json();
    assert_eq!(account["username"], "alice42");
    assert_eq!(account["email"], "alice@example.com");
    assert_eq!(account["role"], "customer");
    let members: Vec<_> = account.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["created_at", "email", "id", "role", "username"]);
    let location = format!("/users/{}", account["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(location.as_str()));
    app.machine().get(&location).send().await.assert_status(200);
}

#[tokio::test]
async fn a_space_inside_a_username_is_named_with_its_place() {
    let app = TestService::start().await;

    let body = json!({"username": "a b", "email": "a@example.com", "password": "correct horse battery staple"});
    let reply = app.client().post("/users").json(body).send().await;

    reply.assert_status(400);
    assert_eq!(violations(&reply), [("/username".to_owned(), "characters".to_owned())]);
}
