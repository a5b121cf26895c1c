//! A database on a PostgreSQL server, for the whole suite: `tests/postgresql.sh` starts one.
#![expect(clippy::disallowed_types, reason = "tests manage the server by its own programs")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

/// A database of its own on the PostgreSQL server that `ORDERDESK_TEST_POSTGRES` names, such as
/// `postgres://postgres@127.0.0.1:5433`; gone when dropped.
#[derive(Debug)]
pub(crate) struct ServerDatabase {
    server: String,
    name: String,
}

impl ServerDatabase {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the tests are asked is no setting of a service"
    )]
    pub(crate) fn new() -> Option<Self> {
        std::env::var("ORDERDESK_TEST_POSTGRES").ok().map(|server| Self::on(&server))
    }

    /// Makes a database on `server`, such as `postgres://postgres@127.0.0.1:5433`.
    pub(crate) fn on(server: &str) -> Self {
        let name = palisade::crypto::random_bytes::<12>();
        let name = format!("test_{}", data_encoding::HEXLOWER.encode(&name));
        let database = Self { server: server.to_owned(), name };
        database.manage(&format!("CREATE DATABASE {}", database.name));
        database
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `sql` as the administrator, in another database.
    pub(crate) fn manage(&self, sql: &str) {
        let done = psql(&format!("{}/postgres", self.server), sql);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) fn change(&self, sql: &str) -> Result<usize, String> {
        let done = psql(&self.url(), sql);
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stdout);
        Ok(said.split_whitespace().last().unwrap().parse().unwrap())
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        let done = psql(&self.url(), sql);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().parse().unwrap()
    }

    /// Runs statements, whatever they answer and however many they are.
    pub(crate) fn script(&self, sql: &str) {
        self.try_script(sql).unwrap();
    }

    /// Runs statements up to the first that fails, and returns why that does.
    pub(crate) fn try_script(&self, sql: &str) -> Result<(), String> {
        let mut script = Command::new("psql");
        script.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", "-", &self.url()]);
        let mut script = script.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        script.stdin.take().unwrap().write_all(sql.as_bytes()).ok();
        let done = script.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() { Ok(()) } else { Err(said) }
    }

    /// Runs `sql` in a transaction that stays open until what is returned is dropped.
    pub(crate) fn hold(&self, sql: &str) -> Held {
        let mut session = Command::new("psql");
        session.args(["-XAt", "-v", "ON_ERROR_STOP=1", &self.url()]);
        let mut session = session.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ask = session.stdin.take().unwrap();
        writeln!(ask, "BEGIN; {sql}; SELECT 'done';").unwrap();
        let mut answers = BufReader::new(session.stdout.take().unwrap()).lines();
        assert!(answers.any(|line| line.unwrap() == "done"), "{sql} failed");
        Held { session, ask }
    }

    pub(crate) fn dump(&self) -> Vec<u8> {
        let mut dump = Command::new("pg_dump");
        let done = dump.args(["--data-only", "--inserts", &self.url()]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }
}

/// A transaction of somebody else.
pub(crate) struct Held {
    session: Child,
    ask: ChildStdin,
}

impl Held {
    /// Runs a further statement, and waits for nothing.
    pub(crate) fn go_on(&mut self, sql: &str) {
        writeln!(self.ask, "{sql};").unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.session.kill().ok();
        self.session.wait().ok();
    }
}

fn psql(address: &str, sql: &str) -> Output {
    let given = ["-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql, address];
    Command::new("psql").args(given).output().unwrap()
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.manage(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}
