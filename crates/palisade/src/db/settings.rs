//! How a database is opened; every default is the safe choice.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::telemetry::metrics::Metrics;

/// Why the database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve requests: takes the lock that only one process can hold.
    Serve,
    /// To run one command, also beside a process that serves.
    Command,
}

crate::settings! {
    /// The database. Its address is a secret, `DATABASE_URL`.
    pub struct DatabaseSection in "database" {
        /// Whether serving brings the tables to this version first. If not, it refuses to start
        /// on older ones; newer ones are always refused.
        pub migrate: bool = true;
        /// Writes that may wait; a further one is answered 503 at once.
        pub queue: usize = 1024, in 1..=65_536;
        /// Reads that run at once, each on a connection of its own.
        pub readers: usize = 4, in 1..=64;
        /// Connections to a PostgreSQL server for transactions; look-ups have two more. A server
        /// allows 100 in all unless told otherwise, for all processes together.
        pub connections: usize = 10, in 1..=500;
        /// How long to wait for a lock that another program holds.
        pub busy_timeout: Duration = Duration::from_secs(5),
            in Duration::from_millis(10)..=Duration::from_secs(60);
        /// How long a statement may take. It is ended then, and its request answered 503.
        pub statement_timeout: Duration = Duration::from_secs(30),
            in Duration::from_millis(100)..=Duration::from_secs(3600);
        /// Statements and commits that take this long or longer are logged and counted. With `0s`
        /// those are all, each with its text and never with a value: to find out what is asked.
        pub slow_statement: Duration = Duration::from_millis(500),
            in Duration::ZERO..=Duration::from_secs(3600);
        /// Commits without waiting for the disk. A power cut may then take back the last orders
        /// and payments that were already acknowledged.
        pub danger_lose_last_commits_on_power_cut: bool = false;
    }
}

impl DatabaseSection {
    /// Returns how to open the database for `purpose`.
    pub fn open_settings(&self, purpose: Purpose) -> DbSettings {
        let mut settings = DbSettings::new(purpose);
        settings.queue = self.queue;
        settings.readers = self.readers;
        settings.connections = self.connections;
        settings.busy_timeout = self.busy_timeout;
        settings.statement_timeout = self.statement_timeout;
        settings.slow_statement = self.slow_statement;
        settings.danger_lose_last_commits_on_power_cut = self.danger_lose_last_commits_on_power_cut;
        settings
    }
}

/// How a database is opened.
///
/// ```
/// use palisade::db::{DbSettings, Purpose};
///
/// let mut settings = DbSettings::new(Purpose::Serve);
/// settings.readers = 2;
/// assert!(!settings.danger_lose_last_commits_on_power_cut);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DbSettings {
    /// Why the database is opened.
    pub purpose: Purpose,
    /// Writes that may wait for the writer; default 1024, a few batches. One more is refused.
    pub queue: usize,
    /// Reads that run at once, each on its own connection and thread; default 4, at least 1.
    pub readers: usize,
    /// Connections to a server for transactions; default 10, at least 1. Look-ups have two more.
    pub connections: usize,
    /// How long work waits for a free connection; default 2 s, then it is refused. Writes to a file
    /// have none to wait for.
    pub reader_wait: Duration,
    /// How long to wait for a lock that another program holds; default 5 s.
    pub busy_timeout: Duration,
    /// How long a statement may take until it is ended; default 30 s, more than any request may.
    /// Migrations are not ended on SQLite.
    pub statement_timeout: Duration,
    /// From when on a statement or commit is logged and counted as slow; default 500 ms.
    pub slow_statement: Duration,
    /// Where is counted what the database does; default nowhere.
    pub metrics: Option<Metrics>,
    /// Commits without waiting for the disk; default off. They survive the end of the process,
    /// and a power cut may take back the last ones that were already acknowledged.
    pub danger_lose_last_commits_on_power_cut: bool,
    /// Dates the migrations that are applied; default the machine's clock.
    pub clock: Arc<dyn Clock>,
}

impl DbSettings {
    /// Makes the default settings for `purpose`.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            queue: 1024,
            readers: 4,
            connections: 10,
            reader_wait: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            slow_statement: Duration::from_millis(500),
            metrics: None,
            danger_lose_last_commits_on_power_cut: false,
            clock: Arc::new(SystemClock),
        }
    }
}
