//! Passwords that change, accounts that are disabled, roles, and proving oneself again.

use std::time::Duration;

use serde_json::json;

use crate::support::{PASSWORD, SECRET_KEY, Setup, TestService, assert_same_answer, text};

const NEW: &str = "an even longer horse battery";
const WRONG: &str = "incorrect horse battery staple";

#[tokio::test]
async fn a_changed_password_ends_every_other_session_and_is_the_only_one() {
    let app = TestService::start().await;
    let (phone, laptop) = (app.customer("ada").await, app.signed_in("ada").await);

    laptop.changes_password(PASSWORD, NEW).await.assert_status(204);

    assert!(laptop.is_known().await && !phone.is_known().await);
    app.sign_in("ada", PASSWORD).await.assert_status(401);
    app.sign_in("ada", NEW).await.assert_status(201);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_the_old_one_and_to_a_good_one_only() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let wrong = ada.changes_password(WRONG, NEW).await;
    assert_same_answer(&app.sign_in("ada", WRONG).await, &wrong);
    for (new, code) in [
        ("short", "length"),
        ("Password123456!", "common_password"),
        ("ada@example.com", "context"),
    ] {
        let refused = ada.changes_password(PASSWORD, new).await;
        let errors = refused.assert_status(400).json()["errors"].clone();
        assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&"/new".into(), &code.into()));
    }
    app.sign_in("ada", PASSWORD).await.assert_status(201);
}

/// A limit that is missing on another way to the same thing is none.
#[tokio::test]
async fn guesses_at_the_old_password_and_at_a_step_up_count_too() {
    let setup = Setup::default().setting("guesses.per_account", "6/h");
    let app = setup.start().await;
    let (ada, other) = (app.customer("ada").await, app.signed_in("ada").await);

    for _ in 0..3 {
        ada.changes_password(WRONG, NEW).await.assert_status(401);
        ada.steps_up(json!({"password": WRONG})).await.assert_status(401);
    }

    ada.changes_password(PASSWORD, NEW).await.assert_status(401);
    ada.steps_up(json!({"password": PASSWORD})).await.assert_status(401);
    other.steps_up(json!({"password": PASSWORD})).await.assert_status(204);
}

#[tokio::test]
async fn a_reset_token_sets_a_password_once_and_ends_what_was_open() {
    let app = TestService::start().await;
    let (ada, root) = (app.customer("ada").await, app.operator("root").await);
    let key = app.bearer(text(&ada.makes_key("x", &["orders:read"]).await, "key"));
    let reset = async || {
        let made = root.does("reset", &ada.id).await.assert_status(201).json();
        assert!(text(&made, "token").starts_with("odr_") && made["expires_at"].is_string());
        text(&made, "token").to_owned()
    };
    let (older, token) = (reset().await, reset().await);

    app.reset_password(&older, NEW).await.assert_status(401);
    app.reset_password(&token, "short").await.assert_status(400);
    let (first, second) =
        tokio::join!(app.reset_password(&token, NEW), app.reset_password(&token, NEW));

    let mut statuses = [first.status(), second.status()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401], "of two at once one wins");
    assert!(!ada.is_known().await && !key.is_known().await);
    app.sign_in("ada", PASSWORD).await.assert_status(401);
    app.sign_in("ada", NEW).await.assert_status(201);
}

#[tokio::test]
async fn a_reset_token_that_is_over_made_up_or_overtaken_is_like_any_other() {
    let app = TestService::start().await;
    let (ada, root) = (app.customer("ada").await, app.operator("root").await);
    let token = root.does("reset", &ada.id).await.json();
    let refused = app.reset_password("odr_made-up", NEW).await;
    assert_eq!(refused.assert_status(401).problem_code(), "authentication_failed");

    assert_eq!(app.folder.tamper("UPDATE password_resets SET expires_at = 1"), Ok(1));
    assert_same_answer(&refused, &app.reset_password(text(&token, "token"), NEW).await);
    let token = root.does("reset", &ada.id).await.json();
    ada.changes_password(PASSWORD, NEW).await.assert_status(204);
    assert_same_answer(&refused, &app.reset_password(text(&token, "token"), NEW).await);
    let token = root.does("reset", &ada.id).await.json();
    root.does("disable", &ada.id).await.assert_status(204);
    assert_same_answer(&refused, &app.reset_password(text(&token, "token"), NEW).await);
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_back_only_by_signing_in() {
    let app = TestService::start().await;
    let (ada, root) = (app.customer("ada").await, app.operator("root").await);
    let key = app.bearer(text(&ada.makes_key("x", &["orders:read"]).await, "key"));
    assert!(ada.is_known().await && key.is_known().await);

    for _ in 0..2 {
        root.does("disable", &ada.id).await.assert_status(204);
        assert!(!ada.is_known().await && !key.is_known().await);
        assert_same_answer(&app.sign_in("ada", WRONG).await, &app.sign_in("ada", PASSWORD).await);
    }

    root.does("enable", &ada.id).await.assert_status(204);
    assert!(!ada.is_known().await && !key.is_known().await);
    app.sign_in("ada", PASSWORD).await.assert_status(201);
    for what in ["disable", "enable", "reset"] {
        root.does(what, &"0".repeat(26)).await.assert_status(404);
    }
}

#[tokio::test]
async fn a_change_of_role_takes_the_old_one_from_whoever_has_it() {
    let app = TestService::start().await;
    let (root, boss) = (app.operator("root").await, app.operator("boss").await);
    let key = app.bearer(text(&boss.makes_key("x", &["accounts:read"]).await, "key"));
    let give = async |role: &str| {
        let path = format!("/users/{}/role", boss.id);
        root.put(&path).json(json!({"role": role})).send().await.assert_status(204);
    };

    give("operator").await;
    boss.get("/users").send().await.assert_status(200);
    give("customer").await;

    boss.get("/users").send().await.assert_status(401);
    key.get("/users").send().await.assert_status(401);
    let boss = app.signed_in("boss").await;
    boss.get("/users").send().await.assert_status(403);
    assert_eq!(boss.get("/users/me").send().await.json()["role"], "customer");
}

#[tokio::test]
async fn what_could_take_the_account_over_asks_for_a_recent_proof() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let ask = async || {
        let key = json!({"name": "x", "scopes": ["orders:read"], "expires_in_days": 1});
        [
            ada.changes_password(PASSWORD, PASSWORD).await,
            ada.post("/api-keys").json(key).send().await,
            ada.post("/users/me/totp").send().await,
            ada.confirms("000000").await,
            ada.delete("/users/me/totp").send().await,
        ]
    };
    app.age_proofs(11);
    // What is remembered of a session is a second old at most.
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    for refused in ask().await {
        assert_eq!(refused.assert_status(403).problem_code(), "step_up_required");
    }
    assert!(ada.is_known().await, "everything else goes on");
    ada.steps_up(json!({"password": WRONG})).await.assert_status(401);
    ada.steps_up(json!({"password": PASSWORD})).await.assert_status(204);
    let statuses: Vec<_> = ask().await.iter().map(|reply| reply.status()).collect();
    assert_eq!(statuses, [204, 201, 201, 401, 204]);
}

#[tokio::test]
async fn the_commands_do_what_operators_do() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let run = async |what: &str, name: &str| {
        app.folder.command(["user", what, "--username", name]).run().await
    };

    run("disable", " ADA ").await.assert_code(0);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!ada.is_known().await, "another process ends it within a second");
    app.sign_in("ada", PASSWORD).await.assert_status(401);
    run("enable", "ada").await.assert_code(0);
    app.sign_in("ada", PASSWORD).await.assert_status(201);
    let reset = run("reset", "ada").await;
    let token = reset.assert_code(0).stdout.trim().to_owned();
    app.reset_password(&token, NEW).await.assert_status(204);

    let unknown = run("disable", "nobody").await;
    assert!(unknown.assert_code(1).stderr.contains("there is no account called nobody"));
    let wrong = run("reset", "a b").await;
    assert!(wrong.assert_code(1).stderr.contains("--username"), "{}", wrong.stderr);
}

/// A restart must not fill budgets up, and every process spends from the same ones.
#[tokio::test]
async fn budgets_of_guesses_survive_a_restart() {
    let mut app = Setup::default().setting("guesses.per_account", "5/h").start().await;
    app.sign_up("ada").await.assert_status(201);
    for _ in 0..5 {
        app.sign_in("ada", WRONG).await.assert_status(401);
    }

    app.restart().await;

    app.sign_in("ada", PASSWORD).await.assert_status(401);
}

#[tokio::test]
async fn an_address_that_guesses_too_often_is_told_to_wait_before_anything_is_computed() {
    let setup = Setup::default().setting("guesses.per_address", "3600/h burst 5");
    let app = setup.start().await;
    let known = app.customer("ada").await;
    let first = app.sign_in("ada", PASSWORD).await.assert_status(201).json();
    for number in 0..5 {
        app.sign_in(&format!("user{number}"), WRONG).await.assert_status(401);
    }

    let refused = app.sign_in("ada", PASSWORD).await;

    assert_eq!(refused.assert_status(429).problem_code(), "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let device = text(&first, "device_token");
    let body = json!({"username": "ada", "password": PASSWORD, "device_token": device});
    app.client().post("/sessions").json(body).send().await.assert_status(201);
    assert!(known.is_known().await);
}

#[tokio::test]
async fn guesses_at_once_count_exactly_the_budget_and_the_owner_comes_in_meanwhile() {
    let setup = Setup::default()
        .setting("guesses.per_account", "100/h")
        .setting("guesses.per_address", "10000/h")
        .setting("passwords.queue", "4096");
    let mut app = setup.start().await;
    let first = app.customer("ada").await;
    let device = app.sign_in("ada", PASSWORD).await.json();
    let device = text(&device, "device_token");

    let guesses = (0..200).map(|_| app.sign_in("ada", WRONG));
    let owner = async {
        let body = json!({"username": "ada", "password": PASSWORD, "device_token": device});
        app.client().post("/sessions").json(body).send().await
    };
    let (guesses, owner) = tokio::join!(futures_util::future::join_all(guesses), owner);

    assert!(guesses.iter().all(|guess| guess.status() == 401));
    owner.assert_status(201);
    assert!(first.is_known().await);
    // The log is written behind the requests.
    app.service.terminate().await;
    let refused = |reason: &str| {
        let said = app.service.stderr();
        said.lines().filter(|line| line.contains(&format!("\"reason\":\"{reason}\""))).count()
    };
    assert_eq!((refused("wrong_password"), refused("too_many_guesses")), (100, 100));
}

#[tokio::test]
async fn a_password_is_good_through_a_rotation_of_the_key_and_without_the_key_is_nothing() {
    let mut app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let (phone, _) = app.customer("bob").await.gets_factor().await;
    let next = "zL2f9Qx7Tz0wVb4RkNq8Yd3HsJm6CgEa1UoXiZ5_W-A";
    let with = async |app: &mut TestService, keys: &[(&str, &str)]| {
        app.service.terminate().await;
        let serve =
            keys.iter().fold(app.folder.serve(), |serve, (name, key)| serve.env(*name, *key));
        app.service = serve.start().await;
    };

    with(&mut app, &[("SECRET_KEY", next)]).await;
    app.sign_in("ada", PASSWORD).await.assert_status(401);
    app.service.wait_for_line(|line| line.contains("neither the present nor the previous")).await;
    with(&mut app, &[("SECRET_KEY", next), ("SECRET_KEY_PREVIOUS", SECRET_KEY)]).await;
    // Nobody has to sign in for that.
    app.service.wait_for_line(|line| line.contains("brought under the present key")).await;
    with(&mut app, &[("SECRET_KEY", next)]).await;
    app.sign_in("ada", PASSWORD).await.assert_status(201);
    app.sign_in_with("bob", &phone.code_in(1)).await.assert_status(201);
}
