//! What the variants are asked: one `POST /users` after the other.

use super::child::Server;
use super::serve::BODY;
use crate::wrk::{self, Asking, Load};

/// Connections that are open at a time.
pub(crate) const CONNECTIONS: u32 = 64;

/// Asks `server` for so many seconds.
///
/// # Errors
/// When wrk is missing, or one answer failed or was not 2xx or 3xx.
pub(crate) async fn run(server: &Server, seconds: u32) -> anyhow::Result<Load> {
    wrk::run(Asking {
        url: &format!("http://{}/users", server.address()),
        script: &script_for(server.token()),
        folder: server.folder(),
        connections: CONNECTIONS,
        seconds,
    })
    .await
}

fn script_for(token: Option<&str>) -> String {
    let authorization = token.map_or_else(String::new, |token| {
        format!("wrk.headers[\"Authorization\"] = \"Bearer {token}\"\n")
    });
    format!(
        r#"wrk.method = "POST"
wrk.body = [[{BODY}]]
wrk.headers["Content-Type"] = "application/json"
{authorization}"#
    )
}
