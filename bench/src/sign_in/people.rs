//! A service with accounts that sign in, and one that reads an order meanwhile.

use std::path::Path;

use anyhow::{Context as _, ensure};
use palisade_testing::{Client, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::unhindered;
use crate::orderdesk;

pub(super) const PASSWORD: &str = "an engine that weaves";
/// Accounts, so that no account has to make room for sessions all the time.
const ACCOUNTS: u64 = 16;

/// A running service and its people.
#[derive(Debug)]
pub(super) struct People {
    pub(super) service: Service,
    /// A session that is used while others sign in.
    pub(super) token: String,
    /// An order of that account.
    pub(super) order: String,
    _folder: TempDir,
}

impl People {
    /// Starts the program on an empty database, and signs everybody up.
    ///
    /// # Errors
    /// When it does not start, or somebody is refused.
    pub(super) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = unhindered(orderdesk::serve(binary, folder.path()).await?);
        let service = program.try_start().await?;
        let client = Client::http(service.public());
        for number in 0..ACCOUNTS {
            let name = format!("user{number}");
            let email = format!("{name}@example.com");
            let account = json!({"username": name, "email": email, "password": PASSWORD});
            let made = client.post("/users").json(account).try_send().await?;
            ensure!(made.status() == 201, "no account: {}", made.text());
        }
        let who = json!({"username": "user0", "password": PASSWORD});
        let session = client.post("/sessions").json(who).try_send().await?;
        let token = text(&session.json(), "token")?;
        let lines = json!([{"sku": "TEA-100", "quantity": 2, "unit_price": "12.50"}]);
        let order = json!({"currency": "EUR", "lines": lines});
        let placed = client.post("/orders").bearer(&token).json(order).try_send().await?;
        let order = text(&placed.json(), "id")?;
        Ok(Self { service, token, order, _folder: folder })
    }

    pub(super) fn client(&self) -> Client {
        Client::http(self.service.public())
    }

    /// Returns the most memory that the service ever had, in MiB.
    pub(super) fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.service.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: f64 = line.context("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends it as it wants to be ended.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.service.terminate().await;
        ensure!(status.success(), "the service ended with {status}:\n{}", self.service.stderr());
        Ok(())
    }
}

fn text(body: &Value, member: &str) -> anyhow::Result<String> {
    let text = body.get(member).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {member} in {body}"))?.to_owned())
}

/// Signs one of the accounts in and returns the status.
///
/// # Errors
/// When there is no answer.
pub(super) async fn sign_in(client: &Client, number: u64) -> anyhow::Result<u16> {
    let who = json!({"username": format!("user{}", number % ACCOUNTS), "password": PASSWORD});
    Ok(client.post("/sessions").json(who).try_send().await?.status())
}
