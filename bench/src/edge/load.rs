//! wrk: so many keep-alive connections that ask as fast as they are answered.

use std::path::Path;

use anyhow::{Context as _, ensure};
use palisade_testing::Service;
use serde_json::Value;

use super::child::Server;
use super::serve::BODY;
use crate::orderdesk;

/// Connections that are open at a time.
pub(super) const CONNECTIONS: u32 = 64;

/// What wrk counted.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    pub(super) p99_us: f64,
}

/// Asks `server` for so many seconds.
///
/// # Errors
/// When wrk is missing, or one answer failed or was not 2xx or 3xx.
pub(super) async fn run(server: &Server, seconds: u32) -> anyhow::Result<Load> {
    let script = server.folder().join("load.lua");
    std::fs::write(&script, script_for(server.token()))?;
    let wrk = Service::builder(Path::new("wrk"))
        .args(["-t1".to_owned(), format!("-c{CONNECTIONS}"), format!("-d{seconds}s"), "-s".into()])
        .args([script.into_os_string(), format!("http://{}/users", server.address()).into()]);

    let finished = orderdesk::with_home(wrk).try_run().await.context("`apt-get install wrk`")?;

    ensure!(finished.status.success(), "wrk failed: {}{}", finished.stdout, finished.stderr);
    read(&finished.stdout)
}

fn read(said: &str) -> anyhow::Result<Load> {
    let result = said.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let number = |key| result.as_ref()?.get(key)?.as_f64();
    let number = |key| number(key).with_context(|| format!("wrk did not tell {key}:\n{said}"));
    let failed = number("failed")?;
    ensure!(failed == 0.0, "{failed} requests failed or were refused:\n{said}");
    Ok(Load {
        requests: number("requests")?,
        seconds: number("duration_us")? / 1e6,
        p99_us: number("p99_us")?,
    })
}

/// `status` counts the answers that are not 2xx or 3xx.
fn script_for(token: Option<&str>) -> String {
    let authorization = token.map_or_else(String::new, |token| {
        format!("wrk.headers[\"Authorization\"] = \"Bearer {token}\"\n")
    });
    format!(
        r#"wrk.method = "POST"
wrk.body = [[{BODY}]]
wrk.headers["Content-Type"] = "application/json"
{authorization}done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local form = '{{"requests":%d,"duration_us":%d,"p99_us":%d,"failed":%d}}\n'
  io.write(form:format(summary.requests, summary.duration, latency:percentile(99.0), failed))
end
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_wrk_is_read() {
        let said = "Running 8s test\n\
                    {\"requests\":400,\"duration_us\":2000000,\"p99_us\":950,\"failed\":0}\n";

        let load = read(said).unwrap();

        assert_eq!((load.requests, load.seconds, load.p99_us), (400.0, 2.0, 950.0));
    }

    #[test]
    fn one_refused_request_makes_the_run_worthless() {
        let said = "{\"requests\":400,\"duration_us\":2000000,\"p99_us\":950,\"failed\":1}\n";

        let error = read(said).unwrap_err().to_string();

        assert!(error.starts_with("1 requests failed or were refused"), "{error}");
        assert!(read("Running 8s test\n").is_err());
    }
}
