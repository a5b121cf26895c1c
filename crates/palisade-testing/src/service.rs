//! A running service: where it listens, what it said, and the two ways to end it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tokio::process::Child;

use crate::fail::fail;
use crate::output::Output;
use crate::program::{Folder, Program};

/// The real program as a child process; killed when dropped.
///
/// Its temporary folder lives as long as this value, also after [`Self::kill`], so that a test
/// may start another one on what the first left behind: `.dir(service.folder())`.
#[derive(Debug)]
pub struct Service {
    child: Child,
    pid: u32,
    public: SocketAddr,
    admin: SocketAddr,
    stdout: Output,
    stderr: Output,
    folder: Folder,
}

impl Service {
    /// Describes a service, or a command, to run from `binary`.
    pub fn builder(binary: &Path) -> Program {
        Program::new(binary)
    }

    /// Takes over a child just spawned and waits for its `listening` line.
    pub(crate) async fn adopt(
        mut child: Child,
        folder: Folder,
        name: String,
    ) -> anyhow::Result<Self> {
        let pid = child.id().context("the child has no process id")?;
        let stdout = Output::read(child.stdout.take().context("standard output is not piped")?);
        let mut stderr = Output::read(child.stderr.take().context("standard error is not piped")?);

        let heard = tokio::time::timeout(START, stderr.find(Listening::read)).await;
        let problem = match heard {
            Ok(Some(Listening { public, admin })) => {
                return Ok(Self { child, pid, public, admin, stdout, stderr, folder });
            }
            Ok(None) => match tokio::time::timeout(STOP, child.wait()).await {
                Ok(status) => format!("ended before it listened ({})", status?),
                Err(_) => "closed its standard error before it listened".to_owned(),
            },
            Err(_) => format!("did not say within {START:?} where it listens"),
        };
        child.kill().await.ok();
        stderr.close().await;
        bail!("{name} {problem}; its standard error:\n{}", stderr.text());
    }

    /// Returns the address of the public listener.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Returns the address of the admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Returns the process id, also after the process has ended.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the folder the service runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what the service has said on standard error so far, at most the last 4 MiB.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns what the service has said on standard output so far, at most the last 4 MiB.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Returns every byte that the service has said on standard error so far.
    ///
    /// # Panics
    /// When that is more than is kept, 4 MiB.
    pub fn stderr_bytes(&self) -> Vec<u8> {
        whole("standard error", &self.stderr)
    }

    /// Returns every byte that the service has said on standard output so far.
    ///
    /// # Panics
    /// When that is more than is kept, 4 MiB.
    pub fn stdout_bytes(&self) -> Vec<u8> {
        whole("standard output", &self.stdout)
    }

    /// Waits, at most 20 s, for a line on standard error, past ones included.
    ///
    /// # Panics
    /// When no such line comes.
    pub async fn wait_for_line(&self, matches: impl Fn(&str) -> bool) -> String {
        let find = self.stderr.find(|line| matches(line).then(|| line.to_owned()));
        match tokio::time::timeout(LINE, find).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                fail(format_args!("the service ended without that line:\n{}", self.stderr()))
            }
            Err(_) => fail(format_args!("no such line within {LINE:?}:\n{}", self.stderr())),
        }
    }

    /// Sends SIGTERM and waits, at most 60 s, for the service to end by itself.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(TERMINATE).await
    }

    /// Sends SIGTERM and waits for nothing.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL, as a power loss would, and waits for the end.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub async fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.ended(STOP).await
    }

    /// Sends SIGHUP, which asks a service to read its files again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits, at most `deadline`, for an end that somebody else has caused.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        match tokio::time::timeout(deadline, self.child.wait()).await {
            Ok(Ok(status)) => {
                self.stdout.close().await;
                self.stderr.close().await;
                status
            }
            Ok(Err(error)) => fail(format_args!("the service cannot be waited for: {error}")),
            Err(_) => fail(format_args!("still running after {deadline:?}:\n{}", self.stderr())),
        }
    }

    /// Sends SIGABRT, as a crash does to itself, and waits for the end.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub async fn crash(&mut self) -> ExitStatus {
        self.signal(Signal::ABORT);
        self.ended(STOP).await
    }

    /// Sends a signal unless the process has been waited for and its id may be another's.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.living() {
            // It may just have ended, and that is what the caller finds out next.
            kill_process(pid, signal).ok();
        }
    }

    fn living(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

impl Drop for Service {
    /// Kills and waits without reaping, so that the folder is removed behind a process that is gone.
    fn drop(&mut self) {
        if let Some(pid) = self.living() {
            kill_process(pid, Signal::KILL).ok();
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok();
        }
    }
}

fn whole(name: &str, output: &Output) -> Vec<u8> {
    let forgotten = || fail(format_args!("the beginning of {name} is forgotten already"));
    output.bytes().unwrap_or_else(forgotten)
}

/// What the `listening` line says.
struct Listening {
    public: SocketAddr,
    admin: SocketAddr,
}

impl Listening {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        if line.get("message")? != "listening" {
            return None;
        }
        let address = |name| line.get(name)?.as_str()?.parse().ok();
        Some(Self { public: address("public")?, admin: address("admin")? })
    }
}

/// Far beyond what a start takes, also on a loaded machine.
const START: Duration = Duration::from_secs(20);
const LINE: Duration = Duration::from_secs(20);
/// Longer than any drain a test configures.
const TERMINATE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENING: &str = r#"{"message":"listening","public":"127.0.0.1:4","admin":"[::1]:5"}"#;

    #[tokio::test]
    async fn the_addresses_are_read_from_the_listening_line_among_others() {
        let service =
            shell(&format!("echo hello >&2; echo '{LISTENING}' >&2; exec sleep 99")).start().await;

        assert_eq!(service.public(), "127.0.0.1:4".parse().unwrap());
        assert_eq!(service.admin(), "[::1]:5".parse().unwrap());
        assert_eq!(service.stderr(), format!("hello\n{LISTENING}\n"));
    }

    #[tokio::test]
    async fn a_service_that_ends_early_is_quoted() {
        let error = shell("echo 'no secret' >&2; exit 1").try_start().await.unwrap_err();

        let text = error.to_string();
        assert!(text.contains("ended before it listened (exit status: 1)"), "{text}");
        assert!(text.ends_with("no secret\n"), "{text}");
    }

    #[tokio::test]
    async fn terminate_lets_the_service_say_goodbye_and_kill_does_not() {
        let script = format!("trap 'echo bye >&2; exit 7' TERM; echo '{LISTENING}' >&2; {IDLE}");

        let mut polite = shell(&script).start().await;
        let ended = polite.terminate().await;
        assert_eq!(ended.code(), Some(7));
        assert!(polite.stderr().ends_with("bye\n"));

        let mut killed = shell(&script).start().await;
        let ended = killed.kill().await;
        assert_eq!(ended.code(), None);
        assert!(!killed.stderr().contains("bye"));
    }

    #[tokio::test]
    async fn the_folder_outlives_a_kill_and_serves_the_next_start() {
        let write = format!("echo kept > file; echo '{LISTENING}' >&2; exec sleep 99");
        let read = format!("cat file >&2; echo '{LISTENING}' >&2; exec sleep 99");

        let mut first = shell(&write).start().await;
        first.kill().await;
        let second = shell(&read).dir(first.folder()).start().await;

        assert_eq!(second.wait_for_line(|line| line == "kept").await, "kept");
        let folder = first.folder().to_owned();
        drop((second, first));
        assert!(!folder.exists());
    }

    /// A shell runs its trap only between commands.
    const IDLE: &str = "while :; do sleep 0.05; done";

    fn shell(script: &str) -> Program {
        Service::builder(Path::new("/bin/sh")).args(["-c", script])
    }
}
