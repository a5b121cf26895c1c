//! A PostgreSQL server of its own that waits for the disk, gone when dropped.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use palisade_testing::{Finished, Service};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::database::Database;
use crate::orderdesk;

/// A server that the script of the tests started.
#[derive(Debug)]
pub(super) struct Cluster {
    child: Child,
    address: String,
}

impl Cluster {
    /// Starts it; `None` if PostgreSQL is not installed.
    ///
    /// # Errors
    /// When the script cannot be run.
    pub(super) async fn start() -> anyhow::Result<Option<Self>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/postgresql.sh");
        let mut command = Command::new(script);
        // It lasts as long as its standard input, on which nothing ever comes.
        command.args(["sh", "-c", "echo \"$ORDERDESK_TEST_POSTGRES\"; cat"]);
        command.env("POSTGRESQL_DURABLE", "yes").kill_on_drop(false);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("tests/postgresql.sh cannot be run")?;
        let stdout = child.stdout.take().context("standard output is not piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let line = tokio::time::timeout(START, lines.next_line()).await;
            match line.context("PostgreSQL does not start")?? {
                Some(line) if line.starts_with("postgres://") => break line,
                Some(_) => {}
                None => return Ok(None),
            }
        };
        Ok(Some(Self { child, address }))
    }

    /// Makes a database with the service's tables.
    ///
    /// # Errors
    /// When the server fails.
    pub(super) async fn database(&self) -> anyhow::Result<Database> {
        let begin = "DROP DATABASE IF EXISTS bench WITH (FORCE)";
        let administration = format!("{}/postgres", self.address);
        let arguments = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", begin, "-c"];
        let psql = Service::builder(Path::new("psql"))
            .args(arguments)
            .args(["CREATE DATABASE bench", &administration]);
        let finished = orderdesk::with_home(psql).try_run().await?;
        ensure!(finished.status.success(), "no database: {}", finished.stderr);
        Database::prepare(format!("{}/bench", self.address)).await
    }

    /// Runs pgbench with `arguments`, and returns what it said.
    ///
    /// # Errors
    /// When it is missing or failed.
    pub(super) async fn pgbench(&self, arguments: Vec<String>) -> anyhow::Result<Finished> {
        let pgbench = Service::builder(Path::new("pgbench")).args(arguments);
        let finished = orderdesk::with_home(pgbench).try_run().await?;
        ensure!(finished.status.success(), "pgbench failed: {}", finished.stderr);
        Ok(finished)
    }

    /// Ends it, and waits until its folder is gone.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        tokio::time::timeout(STOP, self.child.wait())
            .await
            .context("PostgreSQL does not end")??;
        Ok(())
    }
}

/// Installing it takes a while.
const START: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(60);
