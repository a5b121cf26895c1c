//! The service as it is served, on a fresh database, with a customer who is signed in.

use std::path::Path;

use anyhow::{Context as _, ensure};
use palisade::config::KeyMaterial;
use palisade::secret::Secret;
use palisade_testing::{Client, Program, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::sample::{CURRENCY, LINES};
use crate::orderdesk;

/// A running service, and who asks it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) service: Service,
    pub(crate) folder: TempDir,
    /// The customer's session.
    pub(crate) token: String,
    /// The operator's key.
    pub(crate) api_key: Secret<String>,
}

impl Site {
    /// Starts the program on an empty database.
    ///
    /// # Errors
    /// When it does not start, or nobody can sign in.
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = unhindered(orderdesk::serve(binary, folder.path()).await?);
        let api_key = KeyMaterial::generate();
        let service = program.env("API_KEY", api_key.expose()).try_start().await?;
        let client = Client::http(service.public());
        let password = "an engine that weaves";
        let account = json!({"username": "ada", "email": "ada@example.com", "password": password});
        let opened = client.post("/users").json(account).try_send().await?;
        ensure!(opened.status() == 201, "no account: {}", opened.text());
        let who = json!({"username": "ada", "password": password});
        let signed_in = client.post("/sessions").json(who).try_send().await?;
        let session: Value = signed_in.json();
        let token = session.get("token").and_then(Value::as_str);
        let token = token.with_context(|| format!("no session: {}", signed_in.text()))?.to_owned();
        Ok(Self { service, folder, token, api_key })
    }

    /// Returns the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service.public())
    }

    /// Ends it as it wants to be ended.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.service.terminate().await;
        ensure!(status.success(), "the service ended with {status}:\n{}", self.service.stderr());
        Ok(())
    }
}

/// Lets one address and one account ask as fast as they can: the limiters work and never refuse.
fn unhindered(program: Program) -> Program {
    program
        .env("ORDERDESK__RATE__PER_IP", "10000000/s")
        .env("ORDERDESK__RATE__PER_ACCOUNT", "10000000/s")
        .env("ORDERDESK__LIMITS__REQUESTS_PER_CONNECTION", "1000000000")
}

/// Returns the body of every order.
pub(super) fn order() -> Value {
    let lines = LINES.map(|(sku, quantity, price)| {
        let unit_price = format!("{}.{:02}", price / 100, price % 100);
        json!({"sku": sku, "quantity": quantity, "unit_price": unit_price})
    });
    json!({"currency": CURRENCY, "reference": "spring-00000042", "lines": lines})
}

/// Returns what wrk runs to place one order after the other, each with a key of its own.
pub(super) fn script(token: &str, keys: &str) -> String {
    let body = order();
    format!(
        r#"local head, tail
local n = 0
init = function()
  local headers = {{
    ["Authorization"] = "Bearer {token}",
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = "@",
  }}
  local text = wrk.format("POST", "/orders", headers, [[{body}]])
  local at = text:find("@", 1, true)
  head, tail = text:sub(1, at - 1) .. "{keys}", text:sub(at + 1)
end
request = function()
  n = n + 1
  return head .. string.format("%010d", n) .. tail
end
"#
    )
}
