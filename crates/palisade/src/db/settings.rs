//! How a database is opened; every default is the safe choice.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// Why the database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve requests: takes the lock that only one process can hold.
    Serve,
    /// To run one command, also beside a process that serves.
    Command,
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
    /// How long a read waits for a free connection; default 2 s, then it is refused.
    pub reader_wait: Duration,
    /// How long to wait for a lock that another program holds; default 5 s.
    pub busy_timeout: Duration,
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
            reader_wait: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(5),
            danger_lose_last_commits_on_power_cut: false,
            clock: Arc::new(SystemClock),
        }
    }
}
