//! The second factor: what it takes from then on, and that no code is good twice.

use serde_json::json;

use crate::support::{PASSWORD, Setup, TestService, assert_same_answer, text};
use crate::support_credentials::App;

#[tokio::test]
async fn a_factor_counts_once_a_code_of_it_was_seen_and_then_for_every_sign_in() {
    let app = TestService::start().await;
    let (ada, other) = (app.customer("ada").await, app.signed_in("ada").await);
    let made = ada.post("/users/me/totp").send().await.assert_status(201).json();
    let (secret, uri) = (text(&made, "secret"), text(&made, "uri"));
    assert!(uri.starts_with("otpauth://totp/Orderdesk:ada?secret=") && uri.contains(secret));
    let phone = App::with(secret);
    app.sign_in("ada", PASSWORD).await.assert_status(201);
    ada.confirms("000000").await.assert_status(401);

    let answer = ada.confirms(&phone.code()).await.assert_status(200).json();

    assert_eq!(answer["recovery_codes"].as_array().unwrap().len(), 10);
    assert!(ada.is_known().await && !other.is_known().await, "other sessions end");
    let without = app.sign_in("ada", PASSWORD).await;
    assert_same_answer(&app.sign_in("ada", "incorrect horse battery staple").await, &without);
    assert_same_answer(&without, &app.sign_in_with("ada", "000000").await);
    app.sign_in_with("ada", &phone.code_in(1)).await.assert_status(201);
}

#[tokio::test]
async fn a_code_is_good_once_also_for_two_at_once() {
    let app = TestService::start().await;
    let (phone, _) = app.customer("ada").await.gets_factor().await;

    app.sign_in_with("ada", &phone.code()).await.assert_status(401);
    let code = phone.code_in(1);
    let tries = futures_util::future::join_all((0..8).map(|_| app.sign_in_with("ada", &code)));
    let allowed = tries.await.iter().filter(|reply| reply.status() == 201).count();

    assert_eq!(allowed, 1);
    app.sign_in_with("ada", &phone.code_in(-1)).await.assert_status(401);
}

#[tokio::test]
async fn a_recovery_code_opens_the_account_once_however_it_is_typed() {
    let app = TestService::start().await;
    let (_, codes) = app.customer("ada").await.gets_factor().await;

    let typed = codes[0].to_uppercase().replace('-', " ");
    app.sign_in_with("ada", &typed).await.assert_status(201);
    app.sign_in_with("ada", &codes[0]).await.assert_status(401);
    let tries = futures_util::future::join_all((0..8).map(|_| app.sign_in_with("ada", &codes[1])));
    assert_eq!(tries.await.iter().filter(|reply| reply.status() == 201).count(), 1);
    app.customer("bob").await;
    let bobs = app.sign_in_with("bob", &codes[2]).await;
    bobs.assert_status(201);
    app.sign_in_with("ada", &codes[2]).await.assert_status(201);
}

#[tokio::test]
async fn a_step_up_and_a_new_factor_take_the_factor_too() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let (phone, codes) = ada.gets_factor().await;

    ada.steps_up(json!({"password": PASSWORD})).await.assert_status(401);
    ada.steps_up(json!({"password": PASSWORD, "code": codes[0]})).await.assert_status(204);
    let next = ada.enrols().await;
    app.sign_in_with("ada", &next.code()).await.assert_status(401);
    app.sign_in_with("ada", &phone.code_in(1)).await.assert_status(201);
    ada.confirms(&next.code()).await.assert_status(200);

    app.sign_in_with("ada", &codes[1]).await.assert_status(401);
    app.sign_in_with("ada", &next.code_in(1)).await.assert_status(201);
}

#[tokio::test]
async fn a_factor_that_was_removed_is_asked_for_no_more() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    ada.delete("/users/me/totp").send().await.assert_status(404);
    let (_, codes) = ada.gets_factor().await;
    let other = app.sign_in_with("ada", &codes[0]).await.json();
    let other = app.bearer(text(&other, "token"));

    ada.delete("/users/me/totp").send().await.assert_status(204);

    assert!(ada.is_known().await && !other.is_known().await);
    app.sign_in("ada", PASSWORD).await.assert_status(201);
}

#[tokio::test]
async fn an_operator_who_needs_a_factor_can_do_nothing_without_one_but_get_it() {
    let setup = Setup::default().setting("accounts.require_second_factor", "operators");
    let app = setup.start().await;
    let add = app.folder.user_add("boss", "operator");
    add.input(format!("{PASSWORD}\n")).run().await.assert_code(0);
    let session = app.sign_in("boss", PASSWORD).await.assert_status(201).json();
    let boss = app.bearer(text(&session, "token"));
    let customer = app.customer("ada").await;

    let key = json!({"name": "x", "scopes": ["orders:read"], "expires_in_days": 1});
    for refused in [
        boss.get("/users/me").send().await,
        boss.get("/orders").send().await,
        boss.get("/sessions").send().await,
        boss.post("/api-keys").json(key).send().await,
        boss.changes_password(PASSWORD, PASSWORD).await,
        boss.delete("/users/me/totp").send().await,
    ] {
        assert_eq!(refused.assert_status(403).problem_code(), "forbidden", "{}", refused.text());
    }
    assert!(customer.is_known().await, "customers need none");
    let (_, codes) = boss.gets_factor().await;
    boss.get("/users/me").send().await.assert_status(200);
    let again = app.sign_in_with("boss", &codes[0]).await.assert_status(201).json();
    app.bearer(text(&again, "token")).get("/users").send().await.assert_status(200);
    boss.delete("/users/me/totp").send().await.assert_status(204);
    boss.get("/users").send().await.assert_status(403);
    boss.delete("/sessions/current").send().await.assert_status(204);
}

#[tokio::test]
async fn neither_a_secret_nor_a_recovery_code_lies_in_the_database_or_the_log() {
    let app = Setup::default().setting("log.level", "trace").start().await;
    let ada = app.customer("ada").await;
    let made = ada.post("/users/me/totp").send().await.json();
    let secret = text(&made, "secret").to_owned();
    let answer = ada.confirms(&App::with(&secret).code()).await.json();
    let raw = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut hidden = vec![secret.clone().into_bytes(), raw];
    for code in answer["recovery_codes"].as_array().unwrap() {
        let code = code.as_str().unwrap();
        hidden.extend([code.as_bytes().to_vec(), code.replace('-', "").into_bytes()]);
    }
    app.sign_in_with("ada", answer["recovery_codes"][0].as_str().unwrap()).await.assert_status(201);

    let (stored, logged) = (app.folder.database_bytes(), app.service.stderr().into_bytes());

    for needle in hidden {
        for place in [&stored, &logged] {
            assert!(!place.windows(needle.len()).any(|window| window == needle));
        }
    }
}
