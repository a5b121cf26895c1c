//! wrk: so many keep-alive connections that ask as fast as they are answered.

use std::path::Path;

use anyhow::{Context as _, ensure};
use palisade_testing::Service;
use serde_json::Value;

use crate::orderdesk;

/// What wrk counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    /// Returns the requests that were answered in a second.
    pub(crate) fn per_second(self) -> f64 {
        self.requests / self.seconds
    }
}

/// What wrk is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Where to.
    pub(crate) url: &'a str,
    /// What is asked, in Lua.
    pub(crate) script: &'a str,
    /// A folder for the script.
    pub(crate) folder: &'a Path,
    /// Connections that are open at a time.
    pub(crate) connections: u32,
    /// How long.
    pub(crate) seconds: u32,
}

/// Asks as fast as it is answered, from one thread.
///
/// # Errors
/// When wrk is missing, or one answer failed or was not 2xx or 3xx.
pub(crate) async fn run(asking: Asking<'_>) -> anyhow::Result<Load> {
    let Asking { url, script, folder, connections, seconds } = asking;
    let file = folder.join("load.lua");
    std::fs::write(&file, format!("{script}{TELL}"))?;
    let wrk = Service::builder(Path::new("wrk"))
        .args(["-t1".to_owned(), format!("-c{connections}"), format!("-d{seconds}s"), "-s".into()])
        .args([file.into_os_string(), url.into()]);

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
const TELL: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local form = '{"requests":%d,"duration_us":%d,"p99_us":%d,"failed":%d}\n'
  io.write(form:format(summary.requests, summary.duration, latency:percentile(99.0), failed))
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_wrk_is_read() {
        let said = "Running 8s test\n\
                    {\"requests\":400,\"duration_us\":2000000,\"p99_us\":950,\"failed\":0}\n";

        let load = read(said).unwrap();

        assert_eq!((load.requests, load.seconds, load.p99_us), (400.0, 2.0, 950.0));
        assert!((load.per_second() - 200.0).abs() < 1e-9);
    }

    #[test]
    fn one_refused_request_makes_the_run_worthless() {
        let said = "{\"requests\":400,\"duration_us\":2000000,\"p99_us\":950,\"failed\":1}\n";

        let error = read(said).unwrap_err().to_string();

        assert!(error.starts_with("1 requests failed or were refused"), "{error}");
        assert!(read("Running 8s test\n").is_err());
    }
}
