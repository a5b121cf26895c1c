//! After whatever ends credentials, every one that was ever issued is shown again: to the same process,
//! after a restart, and to a second process.

use std::time::Duration;

use palisade_testing::{Client, Service};
use serde_json::json;

use crate::support::{Caller, PASSWORD, TestService, text};

const NEW: &str = "an even longer horse battery";

/// Everything that an account was ever given.
#[derive(Debug, Default)]
struct Wallet {
    tokens: Vec<String>,
    resets: Vec<String>,
}

impl Wallet {
    /// Takes two sessions, a key and a token for a new password.
    async fn fill(&mut self, app: &TestService, root: &Caller, password: &str) -> Caller {
        let mut last = None;
        for _ in 0..2 {
            let session = app.sign_in("ada", password).await.assert_status(201).json();
            let caller = app.bearer(text(&session, "token"));
            self.tokens.push(text(&session, "token").to_owned());
            last = Some(caller);
        }
        let last = last.unwrap();
        let account = last.get("/users/me").send().await.assert_status(200).json();
        let last = Caller { id: text(&account, "id").to_owned(), ..last };
        let key = last.makes_key("x", &["orders:read"]).await;
        self.tokens.push(text(&key, "key").to_owned());
        let reset = root.does("reset", &last.id).await.assert_status(201).json();
        self.resets.push(text(&reset, "token").to_owned());
        last
    }

    /// Returns the tokens that still open something.
    async fn open(&self, process: &Client) -> Vec<&str> {
        let mut open = Vec::new();
        for token in &self.tokens {
            let status = process.get("/orders").bearer(token).send().await.status();
            assert!([200, 401].contains(&status), "{status}");
            if status == 200 {
                open.push(token.as_str());
            }
        }
        for token in &self.resets {
            let body = json!({"token": token, "new": NEW});
            let status = process.post("/password-resets").json(body).send().await.status();
            if status != 401 {
                open.push(token);
            }
        }
        open
    }
}

#[tokio::test]
async fn what_was_ended_stays_ended_here_after_a_restart_and_elsewhere() {
    let mut app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let (mut wallet, mut password, mut checked) = (Wallet::default(), PASSWORD, 0);
    for event in ["password", "reset", "disable", "role", "factor", "sign-out and key"] {
        let root = app.machine();
        let ada = wallet.fill(&app, &root, password).await;
        let other = second_process(&app).await;
        // What is remembered must be forgotten.
        for process in [Some(app.client()), other.as_ref().map(client_of)].into_iter().flatten() {
            let token = ada.token.as_deref().unwrap();
            process.get("/orders").bearer(token).send().await.assert_status(200);
        }

        let kept = end_by(event, &app, &ada, &mut wallet, &mut password).await;

        assert_eq!(wallet.open(&app.client()).await, kept, "{event}");
        checked += wallet.tokens.len() + wallet.resets.len();
        if let Some(other) = &other {
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            assert_eq!(wallet.open(&client_of(other)).await, kept, "{event}, elsewhere");
        }
        app.restart().await;
        assert_eq!(wallet.open(&app.client()).await, kept, "{event}, after a restart");
        end_rest(&app, &kept).await;
    }
    println!("{checked} credentials were shown again after 6 events");
}

/// Does what ends credentials, and returns those that stay.
async fn end_by(
    event: &str,
    app: &TestService,
    ada: &Caller,
    wallet: &mut Wallet,
    password: &mut &'static str,
) -> Vec<String> {
    let root = app.machine();
    let key = wallet.tokens.last().unwrap().clone();
    let own = ada.token.clone().unwrap();
    match event {
        "password" => {
            ada.changes_password(password, NEW).await.assert_status(204);
            *password = NEW;
            // The session that changed it, and the keys, which have no password.
            vec![own, key]
        }
        "reset" => {
            let reset = wallet.resets.last().unwrap();
            app.reset_password(reset, PASSWORD).await.assert_status(204);
            *password = PASSWORD;
            Vec::new()
        }
        "disable" => {
            root.does("disable", &ada.id).await.assert_status(204);
            assert!(wallet.open(&app.client()).await.is_empty());
            root.does("enable", &ada.id).await.assert_status(204);
            Vec::new()
        }
        "role" => {
            for role in ["operator", "customer"] {
                let path = format!("/users/{}/role", ada.id);
                root.put(&path).json(json!({"role": role})).send().await.assert_status(204);
            }
            Vec::new()
        }
        "factor" => {
            wallet.resets.clear();
            ada.gets_factor().await;
            ada.delete("/users/me/totp").send().await.assert_status(204);
            vec![own, key]
        }
        _ => {
            wallet.resets.clear();
            let keys = ada.get("/api-keys").send().await.json();
            for key in keys["items"].as_array().unwrap() {
                let path = format!("/api-keys/{}", text(key, "id"));
                ada.delete(&path).send().await.assert_status(204);
            }
            let sessions = ada.get("/sessions").send().await.json();
            let others = sessions["items"].as_array().unwrap();
            for session in others.iter().filter(|session| session["current"] == false) {
                let path = format!("/sessions/{}", text(session, "id"));
                ada.delete(&path).send().await.assert_status(204);
            }
            ada.delete("/sessions/current").send().await.assert_status(204);
            Vec::new()
        }
    }
}

/// Ends what an event has left, so that the next one begins with nothing.
async fn end_rest(app: &TestService, kept: &[String]) {
    for token in kept.iter().filter(|token| token.starts_with("ods_")) {
        let session = app.bearer(token);
        for key in session.get("/api-keys").send().await.json()["items"].as_array().unwrap() {
            let path = format!("/api-keys/{}", text(key, "id"));
            session.delete(&path).send().await.assert_status(204);
        }
        session.delete("/sessions/current").send().await.assert_status(204);
    }
}

/// Starts another process on the same server; a file has one.
async fn second_process(app: &TestService) -> Option<Service> {
    match app.folder.is_on_a_server() {
        true => Some(app.folder.serve().start().await),
        false => None,
    }
}

fn client_of(process: &Service) -> Client {
    Client::http(process.public())
}
