//! The ways of placing orders that are compared, each in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use palisade_testing::{Finished, Service};

use super::TURN;
use super::callers::{Found, Turn};
use super::database::Database;
use crate::orderdesk;

/// One way of placing orders.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Palisade's database and Orderdesk's orders.
    Service,
    /// A bare loop, 64 orders in a commit.
    Limit,
    /// The usual way, by the program at this place.
    Sqlx(PathBuf),
}

impl Way {
    /// Builds the program of the usual way.
    ///
    /// # Errors
    /// When it does not build.
    pub(super) fn sqlx() -> anyhow::Result<Self> {
        let manifest = "peers/sqlx-orders/Cargo.toml";
        let arguments = ["--manifest-path", manifest, "--target-dir", "../target/peers"];
        orderdesk::build_program("sqlx-orders", &arguments).map(Self::Sqlx)
    }

    /// Places orders in `database`.
    ///
    /// # Errors
    /// When one could not be placed.
    pub(super) async fn take(&self, database: &Database, turn: Turn) -> anyhow::Result<Found> {
        let (program, arguments) = self.command(database, turn)?;
        let finished = Service::builder(&program).args(arguments).try_run().await?;
        read(&finished)
    }

    /// Returns the program, and what it is told.
    pub(super) fn command(
        &self,
        database: &Database,
        turn: Turn,
    ) -> anyhow::Result<(PathBuf, Vec<String>)> {
        let Turn { callers, warm_up, measured } = turn;
        let Database { url, customer } = database;
        let seconds = [warm_up, measured].map(|span| span.as_secs_f64().to_string());
        let [warm_up, measured] = seconds;
        let rest = [customer.clone(), callers.to_string(), warm_up, measured];
        let own = |way: &str| [TURN.to_owned(), way.to_owned(), url.clone()].to_vec();
        let (program, mut arguments) = match self {
            Self::Service => (std::env::current_exe()?, own("service")),
            Self::Limit => (std::env::current_exe()?, own("limit")),
            Self::Sqlx(program) => (program.clone(), vec![database.path()?.to_owned()]),
        };
        arguments.extend(rest);
        Ok((program, arguments))
    }
}

/// Reads the last line of a program.
///
/// # Errors
/// When it failed, or did not tell what it found.
pub(super) fn read(finished: &Finished) -> anyhow::Result<Found> {
    ensure!(finished.status.success(), "a turn failed: {}", finished.stderr);
    parse(&finished.stdout).with_context(|| format!("it told nothing: {}", finished.stdout))
}

fn parse(said: &str) -> Option<Found> {
    let mut numbers = said.lines().last()?.split(' ').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some(Found { per_second: next()?, p50_us: next()?, p99_us: next()? })
}

/// Makes a database in a folder of its own on the disk, and places orders there.
///
/// # Errors
/// When the folder is no disk, or an order could not be placed.
pub(super) async fn in_a_file(way: &Way, turn: Turn) -> anyhow::Result<Found> {
    let folder = tempfile::tempdir()?;
    let database = Database::in_a_file(Path::new(folder.path())).await?;
    way.take(&database, turn).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_turn_is_read() {
        let found = Found { per_second: 7.5, p50_us: 100.0, p99_us: 1500.25 };

        let read = parse(&format!("warming up\n{}\n", found.to_line())).unwrap();

        assert_eq!((read.per_second, read.p50_us, read.p99_us), (7.5, 100.0, 1500.25));
        assert!(parse("no numbers").is_none());
        assert!(parse("").is_none());
    }
}
