//! A server that is measured: a child process of this program.

use std::fs::File;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use palisade_testing::{Call, Client};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::serve::{ANSWER, BODY};
use super::variant::Variant;

/// A server with what it writes to standard error in a file; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    token: Option<String>,
    folder: TempDir,
}

impl Server {
    /// Starts `variant` with as many workers as there are processors.
    pub(crate) async fn start(variant: Variant) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SUBCOMMAND, variant.name()]);
        Self::spawn(command, tempfile::tempdir()?).await
    }

    /// Starts `variant` with one worker under callgrind, which writes to `out`.
    pub(super) async fn start_counted(variant: Variant, out: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(std::env::current_exe()?)
            .args([SUBCOMMAND, variant.name(), "--workers", "1"]);
        Self::spawn(command, tempfile::tempdir()?).await
    }

    async fn spawn(mut command: Command, folder: TempDir) -> anyhow::Result<Self> {
        let log = File::create(log_of(&folder))?;
        command.current_dir(folder.path()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("the server cannot be started")?;
        let stdout = child.stdout.take().context("standard output is not piped")?;

        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let heard = stdout.read_line(&mut line);
        tokio::time::timeout(START, heard).await.context("the server does not listen")??;
        let said: Value = serde_json::from_str(&line).with_context(|| {
            let log = std::fs::read_to_string(log_of(&folder)).unwrap_or_default();
            format!("the server did not say where it listens:\n{log}")
        })?;
        let text = |key| said.get(key).and_then(Value::as_str);
        let address = text("address").context("no address")?.parse()?;
        let token = text("token").map(str::to_owned);
        Ok(Self { child, address, token, folder })
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the session token that it wants, if any.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns a folder that goes with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the user and system time that it has taken so far.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        cpu_ticks(&stat).map(|ticks| ticks / TICKS_A_SECOND)
    }

    /// Makes sure that the server does what is to be measured: takes what is valid, and only that.
    pub(super) async fn check_answer(&self) -> anyhow::Result<()> {
        self.ask(1).await?;
        let client = Client::http(self.address);
        let wrong = self.request(&client, BODY.replace('@', " at "));
        let status = wrong.try_send().await?.status();
        ensure!(status == 400, "a wrong body was answered {status}");
        Ok(())
    }

    /// Sends so many requests, one after the other on one connection.
    pub(super) async fn ask(&self, count: u32) -> anyhow::Result<()> {
        let client = Client::http(self.address);
        let mut connection = client.connect().await?;
        for _ in 0..count {
            let reply = self.request(&client, BODY.to_owned()).send_on(&mut connection).await?;
            let is_right = reply.status() == 200 && reply.body() == ANSWER.as_bytes();
            ensure!(is_right, "answered {} {}", reply.status(), reply.text());
        }
        Ok(())
    }

    fn request<'a>(&self, client: &'a Client, body: String) -> Call<'a> {
        let request = client.post("/users").header("content-type", "application/json").body(body);
        match &self.token {
            Some(token) => request.bearer(token),
            None => request,
        }
    }

    /// Ends the server as it wants to be ended, and returns the lines that it has logged.
    pub(crate) async fn stop(mut self) -> anyhow::Result<f64> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        let status = ended.context("the server does not end")??;
        ensure!(status.success(), "the server ended with {status}");
        count_lines(&log_of(&self.folder))
    }
}

fn log_of(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

fn count_lines(file: &Path) -> anyhow::Result<f64> {
    let mut lines = 0.0;
    for line in std::io::BufReader::new(File::open(file)?).split(b'\n') {
        line?;
        lines += 1.0;
    }
    Ok(lines)
}

/// Reads user and system time, the 14th and 15th field of `/proc/PID/stat` (proc(5)).
fn cpu_ticks(stat: &str) -> anyhow::Result<f64> {
    // The second field is the program's name in brackets, which may hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().context("stat is too short");
    Ok(next()?? + next()??)
}

/// What `main` knows the child by; not in the usage, because it is no scenario.
pub(crate) const SUBCOMMAND: &str = "edge-server";
/// What Linux counts in towards programs, on every architecture that matters here.
const TICKS_A_SECOND: f64 = 100.0;
/// Under callgrind a start takes seconds.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 150 9 9 20 0 4 0 12 1 2";

        assert!((cpu_ticks(stat).unwrap() - 400.0).abs() < 1e-9);
        assert!(cpu_ticks("7 (a) S 1 7").is_err());
    }
}
