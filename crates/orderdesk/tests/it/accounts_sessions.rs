//! Sign-in and sessions: who gets a token, what it opens, and when it stops.

use palisade_testing::{Call, Reply};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Setup, TestService, assert_same_answer, text};

const WRONG: &str = "incorrect horse battery staple";

#[tokio::test]
async fn signing_in_answers_a_token_of_the_promised_shape_and_a_device_token() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);

    let reply = app.sign_in(" ADA ", PASSWORD).await;

    let session = reply.assert_status(201).json();
    let members: Vec<_> = session.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["device_token", "expires_at", "token"]);
    let token = text(&session, "token");
    assert!(token.starts_with("ods_"), "{token}");
    assert_eq!(token.len(), "ods_".len() + 43 + 6);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let again = app.sign_in("ada", PASSWORD).await.json();
    assert_ne!(text(&again, "token"), token);
}

#[tokio::test]
async fn a_refused_sign_in_does_not_tell_why() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    app.sign_up("bob").await.assert_status(201);
    let disable = "UPDATE accounts SET disabled_at = 1 WHERE username = 'bob'";
    assert_eq!(app.folder.tamper(disable).unwrap(), 1);

    let wrong_password = app.sign_in("ada", WRONG).await;
    let wrong_name = app.sign_in("nobody", PASSWORD).await;
    let reserved_name = app.sign_in("operator", PASSWORD).await;
    let disabled = app.sign_in("bob", PASSWORD).await;

    assert_eq!(wrong_password.assert_status(401).problem_code(), "authentication_failed");
    assert!(wrong_password.header("www-authenticate").is_some());
    assert_same_answer(&wrong_password, &wrong_name);
    assert_same_answer(&wrong_password, &reserved_name);
    assert_same_answer(&wrong_password, &disabled);
    assert_same_answer(&wrong_password, &app.client().get("/users/me").send().await);
}

#[tokio::test]
async fn a_sign_in_that_is_no_sign_in_is_told_what_is_wrong_with_it() {
    let app = TestService::start().await;
    let sign_in = async |body: Value| app.client().post("/sessions").json(body).send().await;

    let empty = sign_in(json!({"username": "", "password": ""})).await;
    let unknown = sign_in(json!({"username": "a", "password": "b", "role": "operator"})).await;
    let long = sign_in(json!({"username": "ada", "password": "x".repeat(257)})).await;

    assert_eq!(empty.assert_status(400).problem_code(), "validation_failed");
    assert_eq!(unknown.assert_status(400).problem_code(), "malformed_body");
    assert_eq!(long.assert_status(400).problem_code(), "validation_failed");
}

#[tokio::test]
async fn a_token_that_is_not_exactly_the_one_given_opens_nothing() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let token = ada.token.clone().unwrap();
    let refused = app.bearer("ods_nonsense").get("/users/me").send().await;
    refused.assert_status(401);

    let mut others = vec![
        String::new(),
        token.get(..token.len() - 1).unwrap().to_owned(),
        token.get(..token.len() - 6).unwrap().to_owned(),
        token.replacen("ods_", "", 1),
        format!("{token}0"),
        format!("{token}="),
        format!("{token} {token}"),
        format!(" {token}"),
        token.to_uppercase(),
        token.to_lowercase(),
        token.replacen("ods_", "odk_", 1),
        ada.id.clone(),
    ];
    others.extend((0..token.len()).step_by(3).map(|at| with_another_symbol(&token, at)));
    for other in others {
        assert_ne!(other, token);
        let reply = app.bearer(&other).get("/users/me").send().await;
        assert_same_answer(&refused, &reply);
    }
    ada.get("/users/me").send().await.assert_status(200);
}

#[tokio::test]
async fn a_credential_counts_only_in_one_bearer_header() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let token = ada.token.clone().unwrap();
    let ask = async |headers: &[(&str, &str)]| {
        let client = app.client();
        headers.iter().fold(client.get("/users/me"), add_header).send().await
    };

    for scheme in ["Bearer", "bearer", "BEARER"] {
        ask(&[("authorization", &format!("{scheme} {token}"))]).await.assert_status(200);
    }

    let bearer = format!("Bearer {token}");
    for headers in [
        &[("authorization", token.as_str())][..],
        &[("authorization", &format!("Basic {token}"))],
        &[("authorization", &format!("Token {token}"))],
        &[("authorization", &format!("Bearer{token}"))],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("authorization", &bearer), ("authorization", "Basic YTpi")],
        &[("cookie", &format!("token={token}"))],
        &[("x-api-key", &token)],
    ] {
        let reply = ask(headers).await;
        assert_eq!(reply.assert_status(401).problem_code(), "authentication_failed", "{headers:?}");
    }
    let in_the_query = format!("/users/me?access_token={token}");
    app.client().get(&in_the_query).send().await.assert_status(401);
}

#[tokio::test]
async fn sessions_are_listed_with_the_current_one_marked() {
    let app = TestService::start().await;
    let phone = app.customer("ada").await;
    let laptop = app.signed_in("ada").await;
    app.customer("bob").await;

    let page = laptop.get("/sessions").send().await;

    let page = page.assert_status(200).json();
    assert_eq!(page["next_cursor"], Value::Null);
    let sessions = page["items"].as_array().unwrap();
    assert_eq!(
        sessions.iter().map(|one| one["current"] == true).collect::<Vec<_>>(),
        [true, false]
    );
    let shown = page.to_string();
    assert!(!shown.contains(phone.token.as_deref().unwrap()) && !shown.contains("ods_"));
}

#[tokio::test]
async fn signing_out_ends_this_session_only_and_for_good() {
    let mut app = TestService::start().await;
    let phone = app.customer("ada").await;
    let laptop = app.signed_in("ada").await;

    let signed_out = phone.delete("/sessions/current").send().await;

    assert!(signed_out.assert_status(204).body().is_empty());
    phone.get("/users/me").send().await.assert_status(401);
    phone.delete("/sessions/current").send().await.assert_status(401);
    laptop.get("/users/me").send().await.assert_status(200);
    app.kill_and_restart().await;
    app.again(&phone).get("/users/me").send().await.assert_status(401);
    app.again(&laptop).get("/users/me").send().await.assert_status(200);
}

#[tokio::test]
async fn an_account_ends_its_other_sessions_by_their_id() {
    let app = TestService::start().await;
    let phone = app.customer("ada").await;
    let laptop = app.signed_in("ada").await;
    let path = format!("/sessions/{}", session_id(&phone.get("/sessions").send().await, true));

    laptop.delete(&path).send().await.assert_status(204);

    phone.get("/users/me").send().await.assert_status(401);
    laptop.delete(&path).send().await.assert_status(404);
    let left = laptop.get("/sessions").send().await.json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_of_another_account_is_as_unknown_as_one_that_never_was() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let bob = app.customer("bob").await;
    let operator = app.operator("boss").await;
    let id = session_id(&ada.get("/sessions").send().await, true);

    for caller in [&bob, &operator] {
        let delete = async |id: &str| caller.delete(&format!("/sessions/{id}")).send().await;
        let foreign = delete(&id).await;
        assert_eq!(foreign.assert_status(404).problem_code(), "not_found");
        assert_same_answer(&foreign, &delete(&"0".repeat(26)).await);
        assert_same_answer(&foreign, &delete("not.an.id").await);
    }
    ada.get("/users/me").send().await.assert_status(200);
}

#[tokio::test]
async fn strangers_cannot_lock_the_owner_out_of_a_known_device() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let first = app.sign_in("ada", PASSWORD).await.assert_status(201).json();
    let device = text(&first, "device_token");
    let with_device = async |username: &str, password: &str| {
        let body = json!({"username": username, "password": password, "device_token": device});
        app.client().post("/sessions").json(body).send().await
    };

    let guess = app.sign_in("ada", WRONG).await;
    for _ in 1..100 {
        assert_same_answer(&guess, &app.sign_in("ada", WRONG).await);
    }

    let right_but_late = app.sign_in("ada", PASSWORD).await;
    assert_same_answer(&guess, &right_but_late);
    assert_same_answer(&guess, &with_device("ada", WRONG).await);
    with_device("ada", PASSWORD).await.assert_status(201);
    app.sign_up("bob").await.assert_status(201);
    app.sign_in("bob", PASSWORD).await.assert_status(201);
    with_device("bob", PASSWORD).await.assert_status(201);
}

#[tokio::test]
async fn a_device_token_opens_nothing_by_itself_and_may_be_wrong() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let session = app.sign_in("ada", PASSWORD).await.json();
    let device = text(&session, "device_token");
    let with_device = async |device: &str| {
        let body = json!({"username": "ada", "password": PASSWORD, "device_token": device});
        app.client().post("/sessions").json(body).send().await
    };

    app.bearer(device).get("/users/me").send().await.assert_status(401);
    with_device(&with_another_symbol(device, 3)).await.assert_status(201);
    with_device("unknown").await.assert_status(201);
    with_device("").await.assert_status(400);
}

#[tokio::test]
async fn sessions_and_devices_survive_a_restart() {
    let mut app = TestService::start().await;
    let ada = app.customer("ada").await;

    app.restart().await;

    app.again(&ada).get("/users/me").send().await.assert_status(200);
    app.sign_in("ada", PASSWORD).await.assert_status(201);
}

#[tokio::test]
async fn sign_ins_over_the_rate_are_told_when_to_come_back() {
    let app = crate::support::Setup::default().setting("rate.login", "1/h").start().await;

    app.sign_in("nobody", PASSWORD).await.assert_status(401);
    let limited = app.sign_in("nobody", PASSWORD).await;

    assert_eq!(limited.assert_status(429).problem_code(), "rate_limited");
    let seconds: u32 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{seconds}");
}

/// Returns the token with one symbol exchanged for another that a token may have.
fn with_another_symbol(token: &str, at: usize) -> String {
    let other = |symbol| if symbol == 'A' { 'B' } else { 'A' };
    let exchange = |(place, symbol)| if place == at { other(symbol) } else { symbol };
    token.chars().enumerate().map(exchange).collect()
}

fn add_header<'a>(call: Call<'a>, (name, value): &(&str, &str)) -> Call<'a> {
    call.header(name, value)
}

/// Returns the id of the session that is, or is not, the current one.
fn session_id(list: &Reply, is_current: bool) -> String {
    let list = list.assert_status(200).json();
    let sessions = list["items"].as_array().unwrap();
    let found = sessions.iter().find(|session| session["current"] == is_current).unwrap();
    text(found, "id").to_owned()
}

#[tokio::test]
async fn a_name_that_no_account_can_have_is_refused_like_one_that_none_has() {
    let app = TestService::start().await;
    let unknown = app.sign_in("nobody", PASSWORD).await;
    unknown.assert_status(401);

    for name in ["no-such-user", "a b", "ghost@example.com", "é", &"x".repeat(200)] {
        assert_same_answer(&app.sign_in(name, PASSWORD).await, &unknown);
    }
}

#[tokio::test]
async fn a_full_queue_costs_the_owner_no_guesses() {
    let app = Setup::default()
        .setting("passwords.workers", "1")
        .setting("passwords.queue", "1")
        .start()
        .await;
    app.sign_up("ada").await.assert_status(201);

    // Far more than the budget of guesses, all of them right; most find the queue full.
    for _ in 0..8 {
        let flood = (0..40).map(|_| app.sign_in("ada", PASSWORD));
        for reply in futures_util::future::join_all(flood).await {
            assert!([201, 503].contains(&reply.status()), "{}", reply.status());
        }
    }

    app.sign_in("ada", PASSWORD).await.assert_status(201);
}
