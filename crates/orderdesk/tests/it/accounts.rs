//! Sign-up through the public interface: what is taken, what is refused, and what is kept of it.

use palisade_testing::Reply;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestService, sign_up_body, text, violations};

#[tokio::test]
async fn signing_up_answers_the_account_in_its_stored_form() {
    let app = TestService::start().await;

    let body = r#"{"username":"  Alice42 ","email":"Alice@Example.COM","password":"correct horse battery staple"}"#;
    let client = app.client();
    let sign_up = client.post("/users").header("content-type", "application/json").body(body);
    let reply = sign_up.send().await;

    reply.assert_status(201);
    let account = reply.json();
    assert_eq!(account["username"], "alice42");
    assert_eq!(account["email"], "alice@example.com");
    assert_eq!(account["role"], "customer");
    let members: Vec<_> = account.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["created_at", "email", "id", "role", "username"]);
    let location = format!("/users/{}", text(&account, "id"));
    assert_eq!(reply.header("location"), Some(location.as_str()));
    let read_back = app.machine().get(&location).send().await;
    assert_eq!(read_back.assert_status(200).json(), account);
}

#[tokio::test]
async fn an_account_has_an_opaque_id_and_a_moment_in_utc_with_milliseconds() {
    let app = TestService::start().await;

    let account = app.sign_up("ada").await.assert_status(201).json();

    let id = text(&account, "id");
    assert!((1..=40).contains(&id.len()), "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{id}");
    let shape: String = text(&account, "created_at")
        .chars()
        .map(|symbol| if symbol.is_ascii_digit() { '0' } else { symbol })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

#[tokio::test]
async fn a_space_inside_a_username_is_named_with_its_place() {
    let app = TestService::start().await;

    let reply = sign_up(&app, &[("username", json!("a b"))]).await;

    reply.assert_status(400);
    assert_eq!(violations(&reply), pairs(&[("/username", "characters")]));
}

#[tokio::test]
async fn every_violation_is_told_at_once() {
    let app = TestService::start().await;

    let all_wrong = json!({"username": "a b", "email": "nobody", "password": "short"});
    let wrong = app.client().post("/users").json(all_wrong).send().await;
    let missing = app.client().post("/users").json(json!({"password": "short"})).send().await;
    let empty = app.client().post("/users").json(json!({})).send().await;

    let expected = [("/email", "format"), ("/password", "length"), ("/username", "characters")];
    assert_eq!(violations(wrong.assert_status(400)), pairs(&expected));
    let expected = [("/email", "required"), ("/password", "length"), ("/username", "required")];
    assert_eq!(violations(missing.assert_status(400)), pairs(&expected));
    let expected = [("/email", "required"), ("/password", "required"), ("/username", "required")];
    assert_eq!(violations(empty.assert_status(400)), pairs(&expected));
}

#[tokio::test]
async fn a_password_that_is_the_username_is_told_together_with_a_bad_address() {
    let app = TestService::start().await;

    let body =
        json!({"username": "whatshallwecallher", "email": "x", "password": "WhatShallWeCallHer"});
    let reply = app.client().post("/users").json(body).send().await;

    let expected = [("/email", "format"), ("/password", "context")];
    assert_eq!(violations(reply.assert_status(400)), pairs(&expected));
}

#[tokio::test]
async fn no_refusal_repeats_what_was_sent_as_the_password() {
    let app = TestService::start().await;

    for password in ["unguessabl3", "WhatShallWeCallHer"] {
        let body = json!({"username": "whatshallwecallher", "email": "x", "password": password});
        let reply = app.client().post("/users").json(body).send().await;

        assert!(!reply.assert_status(400).text().contains(password), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_username_has_1_to_32_ascii_letters_and_digits() {
    let app = TestService::start().await;

    for good in
        ["a", "7", &"Ab3".repeat(10), &"x".repeat(32), &format!("\t {}\r\n", "y".repeat(32))]
    {
        let reply = sign_up(&app, &[("username", json!(good))]).await;
        let expected = good.trim().to_lowercase();
        assert_eq!(reply.assert_status(201).json()["username"], expected);
    }

    for (bad, code) in [
        ("", "length"),
        ("   ", "length"),
        (&"x".repeat(33), "length"),
        ("a-b", "characters"),
        ("a_b", "characters"),
        ("ada\u{0}", "characters"),
        ("ädä", "characters"),
        ("\u{430}", "characters"),
        ("\u{212a}", "characters"),
        ("\u{661}", "characters"),
        ("ad\u{200b}a", "characters"),
    ] {
        let reply = sign_up(&app, &[("username", json!(bad))]).await;
        assert_eq!(violations(reply.assert_status(400)), pairs(&[("/username", code)]), "{bad:?}");
    }
}

#[tokio::test]
async fn a_password_has_15_to_256_characters_after_composition() {
    let app = TestService::start().await;
    let distinct = |count: usize| ('!'..='z').cycle().take(count).collect();
    // Two characters as they are sent, one after NFC.
    let decomposed = |count: usize| "e\u{301}".repeat(count);

    let accepted: [String; 6] = [
        distinct(15),
        distinct(256),
        decomposed(15),
        decomposed(256),
        "пароль из пяти слов 🔑".to_owned(),
        "   \u{3000}              \u{2003}".to_owned(),
    ];
    for (at, good) in accepted.iter().enumerate() {
        let name = format!("good{at}");
        let reply = sign_up(&app, &[("username", json!(name)), ("password", json!(good))]).await;
        reply.assert_status(201);
    }

    let refused: [String; 6] = [
        String::new(),
        distinct(14),
        distinct(257),
        decomposed(14),
        decomposed(257),
        "x".repeat(60_000),
    ];
    for bad in &refused {
        let reply = sign_up(&app, &[("password", json!(bad))]).await;
        assert_eq!(violations(reply.assert_status(400)), pairs(&[("/password", "length")]));
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_its_accents_are_composed() {
    let app = TestService::start().await;
    let composed = "un p\u{e9}tale de ros\u{e9}e";
    sign_up(&app, &[("password", json!(composed))]).await.assert_status(201);

    let decomposed = app.sign_in("grace", "un pe\u{301}tale de rose\u{301}e").await;
    let plain = app.sign_in("grace", "un petale de rosee").await;
    let trimmed = app.sign_in("grace", &format!("{composed} ")).await;

    decomposed.assert_status(201);
    plain.assert_status(401);
    trimmed.assert_status(401);
}

#[tokio::test]
async fn passwords_that_many_people_use_are_refused() {
    let app = TestService::start().await;

    for common in [
        "passwordpassword",
        "Password1234567",
        "123456789012345",
        "1234567890123456",
        "qwertyuiopasdfgh",
        "qwerty123456789",
        "iloveyouiloveyou",
        "1q2w3e4r5t6y7u8i",
        "abcdefghijklmnop",
        "administrator123",
    ] {
        let reply = sign_up(&app, &[("password", json!(common))]).await;
        let expected = pairs(&[("/password", "common_password")]);
        assert_eq!(violations(reply.assert_status(400)), expected, "{common}");
    }
}

#[tokio::test]
async fn a_password_is_not_the_username_or_the_address_in_any_case() {
    let app = TestService::start().await;

    for password in ["Whatshallwecallher", "WHATSHALLWECALLHER", "Her.Address@Example.com"] {
        let body = json!({
            "username": "  WhatShallWeCallHer ",
            "email": "Her.Address@example.COM",
            "password": password,
        });
        let reply = app.client().post("/users").json(body).send().await;

        assert_eq!(violations(reply.assert_status(400)), pairs(&[("/password", "context")]));
    }
}

#[tokio::test]
async fn reserved_names_are_refused_at_sign_up_however_they_are_written() {
    let app = TestService::start().await;

    for name in ["operator", "admin", "root", "system", "me", " Admin", "ROOT", "Me "] {
        let reply = sign_up(&app, &[("username", json!(name))]).await;
        let expected = pairs(&[("/username", "reserved")]);
        assert_eq!(violations(reply.assert_status(400)), expected, "{name}");
    }
}

#[tokio::test]
async fn an_address_is_judged_by_its_syntax_and_need_not_be_unique() {
    let app = TestService::start().await;

    for (name, address) in [("first", "both@example.com"), ("second", "  Both@EXAMPLE.com ")] {
        let reply = sign_up(&app, &[("username", json!(name)), ("email", json!(address))]).await;
        assert_eq!(reply.assert_status(201).json()["email"], "both@example.com");
    }
    let too_long = format!("{}@{}.{}", "l".repeat(64), "d".repeat(63), "e".repeat(126));
    for bad in ["nobody", "@example.com", "a@", "a b@example.com", "a@b@c", &too_long, "a@b\nc"] {
        let reply = sign_up(&app, &[("email", json!(bad))]).await;
        let found = violations(reply.assert_status(400));
        assert_eq!(found.len(), 1, "{bad}");
        assert_eq!(found[0].0, "/email", "{bad}");
    }
}

#[tokio::test]
async fn a_username_is_taken_in_every_spelling() {
    let app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);

    for again in ["ada", "ADA", " Ada "] {
        let reply = sign_up(&app, &[("username", json!(again))]).await;
        assert_eq!(reply.assert_status(409).problem_code(), "username_taken");
    }
}

#[tokio::test]
async fn of_racing_sign_ups_for_one_name_exactly_one_wins() {
    let app = TestService::start().await;

    let racers = ["ada", "Ada", "ADA", " ada", "aDa", "adA"].map(|name| {
        let client = app.client();
        tokio::spawn(
            async move { client.post("/users").json(sign_up_body(name)).send().await.status() },
        )
    });
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }

    answers.sort_unstable();
    assert_eq!(answers, [201, 409, 409, 409, 409, 409]);
    let accounts = app.machine().get("/users").send().await.assert_status(200).json();
    assert_eq!(accounts["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn members_that_only_the_service_sets_are_refused() {
    let app = TestService::start().await;

    for (member, value) in [
        ("role", json!("operator")),
        ("id", json!("mine")),
        ("created_at", json!("2020-01-01T00:00:00.000Z")),
        ("disabled_at", Value::Null),
        ("__proto__", json!({})),
    ] {
        let reply = sign_up(&app, &[(member, value)]).await;
        assert_eq!(reply.assert_status(400).problem_code(), "malformed_body", "{member}");
    }
    let accounts = app.machine().get("/users").send().await.json();
    assert_eq!(accounts["items"], json!([]));
}

#[tokio::test]
async fn members_of_another_json_type_are_a_malformed_body() {
    let app = TestService::start().await;

    for wrong in [Value::Null, json!(1), json!(true), json!(["ada"]), json!({"name": "ada"})] {
        let reply = sign_up(&app, &[("username", wrong.clone())]).await;
        assert_eq!(reply.assert_status(400).problem_code(), "malformed_body", "{wrong}");
    }
    let reply = app.client().post("/users").json(json!([])).send().await;
    assert_eq!(reply.assert_status(400).problem_code(), "malformed_body");
}

#[tokio::test]
async fn accounts_are_listed_in_pages_newest_first() {
    let app = TestService::start().await;
    for name in ["ada", "bob", "cyd"] {
        app.sign_up(name).await.assert_status(201);
    }
    let operator = app.machine();

    let first = operator.get("/users?limit=2").send().await.assert_status(200).json();
    let cursor = text(&first, "next_cursor");
    let path = format!("/users?limit=2&cursor={cursor}");
    let second = operator.get(&path).send().await.assert_status(200).json();

    assert_eq!(names(&first), ["cyd", "bob"]);
    assert_eq!(names(&second), ["ada"]);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[tokio::test]
async fn the_database_holds_passwords_and_tokens_only_as_hashes() {
    let app = TestService::start().await;
    let password = "nine lavender umbrellas sing";
    sign_up(&app, &[("password", json!(password))]).await.assert_status(201);
    let session = app.sign_in("grace", password).await.assert_status(201).json();

    let bytes = app.folder.database_bytes();

    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("grace@example.com"), "the search looks at the wrong files");
    assert!(holds("$argon2id$v=19$m=19456,t=2,p=1"));
    let random = |token: &str| token.get(4..47).unwrap().to_owned();
    for secret in [
        password,
        text(&session, "token"),
        &random(text(&session, "token")),
        text(&session, "device_token"),
    ] {
        assert!(!holds(secret), "{secret}");
    }
}

/// Signs up as grace with some members replaced or added.
async fn sign_up(app: &TestService, members: &[(&str, Value)]) -> Reply {
    let mut body = json!({"username": "grace", "email": "grace@example.com", "password": PASSWORD});
    for (name, value) in members {
        body[*name] = value.clone();
    }
    app.client().post("/users").json(body).send().await
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|account| text(account, "username")).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
}
