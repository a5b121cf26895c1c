//! `serve --dev`: one command from nothing to a service that only this machine can reach.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use palisade_testing::Client;
use serde_json::json;

use crate::support::{Setup, TestService, text};

#[tokio::test]
async fn a_first_start_shows_an_operator_and_a_key_once_and_both_work() {
    let mut app = Setup::default().dev().start().await;
    let said = app.service.stderr();
    let (password, key) = (shown(&said, "operator password:"), shown(&said, "API key:"));

    let session = app.sign_in("operator", &password).await.assert_status(201).json();
    let operator = app.bearer(text(&session, "token"));
    let account = operator.get("/users/me").send().await.assert_status(200).json();
    assert_eq!(account["role"], "operator");
    app.bearer(&key).get("/users").send().await.assert_status(200);

    app.restart().await;
    let said_again = app.service.stderr();
    for secret in [password.as_str(), key.as_str(), "password", "API key"] {
        assert!(!said_again.contains(secret), "{said_again}");
    }
    app.sign_in("operator", &password).await.assert_status(201);
    app.again(&operator).get("/users/me").send().await.assert_status(200);
    app.bearer(&key).get("/users").send().await.assert_status(200);
}

#[tokio::test]
async fn what_is_made_is_for_its_owner_only() {
    let app = Setup::default().dev().start().await;
    let data = app.folder.path().join("orderdesk-data");

    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_public = ["certificate.pem", "not-after"].contains(&name);
        assert_eq!(mode(&path), if is_public { 0o644 } else { 0o600 }, "{name}");
    }
    assert!(data.join("key.pem").exists() && data.join("orderdesk.db").exists());
}

#[tokio::test]
async fn the_certificate_is_good_for_this_machine_over_both_versions_of_http() {
    let app = Setup::default().dev().start().await;
    let pem = fs::read(app.folder.path().join("orderdesk-data/certificate.pem")).unwrap();
    let by_address = Client::https(app.service.public(), &pem).unwrap();
    let by_name = by_address.clone().server_name("localhost");

    for client in [&by_address, &by_address.clone().http2(), &by_name, &by_name.clone().http2()] {
        let document = client.get("/openapi.json").send().await;
        document.assert_status(200);
        assert_eq!(document.header("strict-transport-security"), None);
    }
    let plain = Client::http(app.service.public()).get("/openapi.json").try_send().await;
    assert!(plain.is_err(), "{plain:?}");
}

#[tokio::test]
async fn an_order_goes_its_whole_way_on_a_development_service() {
    let app = Setup::default().dev().start().await;
    let key = shown(&app.service.stderr(), "API key:");
    let ada = app.customer("ada").await;
    let machine = app.bearer(&key);

    let order = ada.places_order("12.50").await;
    machine.ship(&order).await.assert_status(409);
    machine.pay(&order).await.assert_status(200);
    machine.ship(&order).await.assert_status(200);
    ada.cancel(&order).await.assert_status(409);

    let order = ada.order(&order).await;
    assert_eq!(order.assert_status(200).json()["status"], "shipped");
}

#[tokio::test]
async fn a_folder_that_others_can_look_into_is_refused() {
    let folder = Setup::default().dev().folder();
    let data = folder.path().join("orderdesk-data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();

    let refused = folder.serve().run().await;

    assert!(refused.assert_code(1).stderr.contains("chmod 700"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

#[tokio::test]
async fn a_development_service_does_not_leave_this_machine() {
    let folder = Setup::default().dev().setting("server.listen", "0.0.0.0:0").folder();

    let refused = folder.serve().run().await;

    assert!(refused.assert_code(1).stderr.contains("--dev"), "{}", refused.stderr);
    assert!(!folder.path().join("orderdesk-data").exists());
}

#[tokio::test]
async fn without_dev_nothing_is_invented() {
    let folder = Setup::default().dev().folder();

    let refused = folder.command(["serve"]).run().await;

    refused.assert_code(1);
    for name in ["DATABASE_URL", "API_KEY", "SECRET_KEY"] {
        assert!(refused.stderr.contains(&format!("the secret {name} is missing")), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn secrets_that_are_given_are_used_also_in_development() {
    let setup = Setup::default().dev().variable("API_KEY", crate::support::API_KEY);
    let app = setup.start().await;

    assert!(!app.service.stderr().contains("API key:"));
    app.machine().get("/users").send().await.assert_status(200);
    assert!(!app.folder.path().join("orderdesk-data/API_KEY").exists());
}

#[tokio::test]
async fn a_reserved_operator_is_not_open_to_a_stranger_who_signs_up() {
    let app: TestService = Setup::default().dev().start().await;

    let sign_up =
        json!({"username": "operator", "email": "a@b", "password": "correct horse battery staple"});
    let reply = app.client().post("/users").json(sign_up).send().await;

    assert_eq!(reply.assert_status(400).problem_code(), "validation_failed");
}

fn shown(stderr: &str, label: &str) -> String {
    let line = stderr.lines().find(|line| line.contains(label)).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
