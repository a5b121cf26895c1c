//! A PostgreSQL server that a test may stop, crash and configure; `tests/postgresql.sh` puts its
//! programs where they are found.
#![expect(clippy::disallowed_types, reason = "tests manage the server by its own programs")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{give, is_root};

/// A server on a port of loopback, with its data in a folder of its own; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// It ends its connections and writes everything down.
    Fast,
    /// It ends at once, and has to recover when it starts again.
    Crash,
}

impl Cluster {
    /// Starts one with what stands in the server's own file of defaults.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        give(folder.path(), other_than_root());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let given = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"];
        let mut make = program("initdb", folder.path());
        let made = make.args(given).args(["--locale=C.UTF-8", "--no-sync"]).output();
        let made = made.expect("PostgreSQL's programs: run this by tests/postgresql.sh");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut cluster = Self { folder, port, server: None };
        cluster.run();
        cluster
    }

    /// Returns its address without a database, as its administrator.
    pub(crate) fn address(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes into its settings; they count after a [`Self::restart`] or [`Self::reload`].
    pub(crate) fn configure(&self, lines: &str) {
        let file = self.folder.path().join("data/postgresql.auto.conf");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{before}\n{lines}\n")).unwrap();
    }

    /// Replaces the file that says who may come in.
    pub(crate) fn admit(&self, lines: &str) {
        fs::write(self.folder.path().join("data/pg_hba.conf"), format!("{lines}\n")).unwrap();
    }

    pub(crate) fn reload(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Starts the server that was stopped and waits until it lets somebody in.
    pub(crate) fn run(&mut self) {
        self.launch();
        self.wait_until_it_answers();
    }

    /// Starts the server and waits for nothing.
    pub(crate) fn launch(&mut self) {
        let log = self.folder.path().join("log");
        let log = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        let (port, folder) = (self.port.to_string(), self.folder.path().display().to_string());
        let mut server = program("postgres", self.folder.path());
        server.args(["-D", "data", "-p", &port, "-k", &folder]);
        server.args(["-c", "listen_addresses=127.0.0.1"]).stderr(log).stdout(Stdio::null());
        self.server = Some(server.spawn().unwrap());
    }

    #[expect(clippy::disallowed_methods, reason = "pg_isready is asked, which waits for nothing")]
    pub(crate) fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_there() {
            assert!(Instant::now() < deadline, "no server: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_there(&self) -> bool {
        let port = self.port.to_string();
        let asked = program("pg_isready", self.folder.path())
            .args(["-q", "-h", "127.0.0.1", "-p", &port])
            .status();
        asked.unwrap().success()
    }

    /// Ends the server and waits until it is gone.
    pub(crate) fn stop(&mut self, how: Stop) {
        let signal = match how {
            Stop::Fast => Signal::INT,
            Stop::Crash => Signal::QUIT,
        };
        kill_process(self.pid(), signal).unwrap();
        self.server.take().unwrap().wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.stop(Stop::Fast);
        self.run();
    }

    /// Restarts it as a standby, which takes no writes, until it is promoted.
    pub(crate) fn become_standby(&mut self) {
        self.stop(Stop::Fast);
        let signal = self.folder.path().join("data/standby.signal");
        fs::write(&signal, "").unwrap();
        give(&signal, other_than_root());
        self.run();
    }

    /// Has the standby take writes.
    pub(crate) fn promote(&self) {
        self.ask("SELECT pg_promote()");
    }

    /// Runs `sql` as the administrator and returns the lines of what it answers.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        self.ask_in("postgres", sql)
    }

    /// Runs `sql` as the administrator in one database.
    pub(crate) fn ask_in(&self, database: &str, sql: &str) -> Vec<String> {
        let address = format!("{}/{database}", self.address());
        let given = ["-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, &address];
        let done = program("psql", self.folder.path()).args(given).output().unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
    }

    /// Runs a script as the administrator, to its first error.
    pub(crate) fn script(&self, sql: &str) {
        let file = self.folder.path().join("script.sql");
        fs::write(&file, sql).unwrap();
        let given = ["-Xq", "-v", "ON_ERROR_STOP=1", "-f", "script.sql"];
        let address = format!("{}/postgres", self.address());
        let done = program("psql", self.folder.path()).args(given).arg(address).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Runs `sql` at `address`, and returns why the server does not do it.
    pub(crate) fn refusal(&self, address: &str, sql: &str) -> String {
        let given = ["-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, address];
        let done = program("psql", self.folder.path()).args(given).output().unwrap();
        assert!(!done.status.success(), "{sql} is done");
        String::from_utf8_lossy(&done.stderr).into_owned()
    }

    /// Kills one process that serves a connection to `database`, as a fault in it would.
    pub(crate) fn kill_a_backend_of(&self, database: &str) {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{database}' LIMIT 1");
        let pid = self.ask(&sql).first().expect("a connection").parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    /// Returns everything that the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        let pid = self.server.as_ref().expect("a running server").id();
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let pid = Pid::from_raw(i32::try_from(server.id()).unwrap_or_default());
            pid.and_then(|pid| kill_process(pid, Signal::QUIT).ok());
            server.wait().ok();
        }
    }
}

/// PostgreSQL does not run as root.
pub(crate) fn other_than_root() -> Option<u32> {
    is_root().then_some(65_534)
}

fn program(name: &str, folder: &Path) -> Command {
    let mut program = Command::new(name);
    program.current_dir(folder);
    if let Some(user) = other_than_root() {
        program.uid(user).gid(user);
    }
    program
}

/// Far beyond what a recovery takes here, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
