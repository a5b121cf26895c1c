//! What people do with their credentials: keys, second factors, proofs.

use palisade::clock::{Clock, SystemClock, Timestamp};
use palisade::crypto::TotpSecret;
use palisade::secret::Secret;
use palisade_testing::Reply;
use serde_json::{Value, json};

use crate::support::{Caller, PASSWORD, TestService, text};

/// An authenticator app.
#[derive(Debug, Clone)]
pub(crate) struct App(TotpSecret);

impl App {
    /// Sets one up with the secret that the service showed.
    pub(crate) fn with(secret: &str) -> Self {
        let bytes = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
        Self(TotpSecret::from_bytes(Secret::new(bytes)).unwrap())
    }

    /// Returns the present code.
    pub(crate) fn code(&self) -> String {
        self.0.code_at(SystemClock.now())
    }

    /// Returns the code of so many half minutes later.
    pub(crate) fn code_in(&self, steps: i64) -> String {
        self.0.code_at(Timestamp::from_millis(SystemClock.now().as_millis() + steps * 30_000))
    }
}

impl Caller {
    /// Makes an API key and returns what is answered.
    pub(crate) async fn makes_key(&self, name: &str, scopes: &[&str]) -> Value {
        let body = json!({"name": name, "scopes": scopes, "expires_in_days": 30});
        let made = self.post("/api-keys").json(body).send().await;
        made.assert_status(201).json()
    }

    /// Has a second factor made, which does not count yet.
    pub(crate) async fn enrols(&self) -> App {
        let made = self.post("/users/me/totp").send().await.assert_status(201).json();
        App::with(text(&made, "secret"))
    }

    /// Sends the first code of a second factor.
    pub(crate) async fn confirms(&self, code: &str) -> Reply {
        self.post("/users/me/totp/confirm").json(json!({"code": code})).send().await
    }

    /// Sets a second factor up and returns it with the recovery codes.
    pub(crate) async fn gets_factor(&self) -> (App, Vec<String>) {
        let app = self.enrols().await;
        let answer = self.confirms(&app.code()).await.assert_status(200).json();
        let codes = answer["recovery_codes"].as_array().unwrap();
        (app, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
    }

    pub(crate) async fn changes_password(&self, current: &str, new: &str) -> Reply {
        let body = json!({"current": current, "new": new});
        self.put("/users/me/password").json(body).send().await
    }

    pub(crate) async fn steps_up(&self, body: Value) -> Reply {
        self.post("/sessions/current/step-up").json(body).send().await
    }

    /// Does something as an operator with an account, such as `disable`.
    pub(crate) async fn does(&self, what: &str, account: &str) -> Reply {
        self.post(&format!("/users/{account}/{what}")).send().await
    }

    pub(crate) async fn is_known(&self) -> bool {
        match self.get("/orders").send().await.status() {
            200 => true,
            401 => false,
            status => panic!("{status}"),
        }
    }
}

impl TestService {
    /// Asks for a session with a password and a code.
    pub(crate) async fn sign_in_with(&self, username: &str, code: &str) -> Reply {
        let body = json!({"username": username, "password": PASSWORD, "code": code});
        self.client().post("/sessions").json(body).send().await
    }

    /// Makes every session look as if it had been proved that long ago.
    pub(crate) fn age_proofs(&self, minutes: i64) {
        let age = format!("UPDATE palisade_sessions SET proved_at = proved_at - {minutes} * 60000");
        assert!(self.folder.tamper(&age).unwrap() > 0);
    }

    pub(crate) async fn reset_password(&self, token: &str, new: &str) -> Reply {
        let body = json!({"token": token, "new": new});
        self.client().post("/password-resets").json(body).send().await
    }
}
