//! How long statements take: the slow ones are counted and named, and those past all patience end.
//!
//! SQLite asks every so many steps whether to go on, on the thread that runs the statement; a
//! PostgreSQL server has a deadline of its own, of the same length.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::error::DbError;
use crate::telemetry::metrics::{Counter, Counters, Histogram, Label, MetricError, Metrics};

/// How many steps of SQLite's machine lie between two looks at the clock: some microseconds.
const STEPS: i32 = 10_000;

/// From what a commit of a fast disk takes to what nobody waits for.
const BOUNDS: [Duration; 10] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_millis(2_500),
    Duration::from_secs(10),
];

crate::label! {
    /// What a transaction is for.
    pub(super) enum Use in "kind" {
        /// It changes something.
        Write = "write",
        /// It reads a snapshot.
        Read = "read",
        /// It finds a few rows by their key.
        LookUp = "lookup",
    }
}

thread_local! {
    /// When the statement that runs on this thread has to end.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What is looked at while transactions run; a clone is the same one.
#[derive(Clone)]
pub(super) struct Watch(Arc<Inner>);

struct Inner {
    longest: Duration,
    slow: Duration,
    slow_statements: Counter,
    ended_statements: Counter,
    commits: Counter,
    refused: Counters<Use>,
    durations: [Histogram; Use::ALL.len()],
}

impl Watch {
    /// Ends statements after `longest`, and counts in `metrics` those that take `slow` or longer.
    pub(super) fn new(
        longest: Duration,
        slow: Duration,
        metrics: &Metrics,
    ) -> Result<Self, MetricError> {
        let counter = |name, help| metrics.counter(name, help, &[]);
        let duration = |of: Use| {
            let labels = [(Use::NAME, of.value())];
            metrics.histogram(DURATIONS, "Transactions, with their wait.", &BOUNDS, &labels)
        };
        Ok(Self(Arc::new(Inner {
            longest,
            slow,
            slow_statements: counter(SLOW, "Statements and commits that were slow.")?,
            ended_statements: counter(ENDED, "Statements that were ended because of their time.")?,
            commits: counter(COMMITS, "Commits, each of one write or of several.")?,
            refused: metrics.counters(
                REFUSED,
                "Transactions with no place to wait or run.",
                &[],
            )?,
            durations: [duration(Use::Write)?, duration(Use::Read)?, duration(Use::LookUp)?],
        })))
    }

    /// Runs `statement` until its deadline, where the connection looks at that, and notes how long
    /// it took.
    pub(super) fn bounded<T>(
        &self,
        sql: &'static str,
        statement: impl FnOnce() -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let begun = Instant::now();
        DEADLINE.set(begun.checked_add(self.0.longest));
        let done = statement();
        DEADLINE.set(None);
        self.note(sql, begun, &done);
        done
    }

    /// Notes how long a statement took that began at `begun`.
    pub(super) fn note<T>(&self, sql: &'static str, begun: Instant, done: &Result<T, DbError>) {
        if matches!(done, Err(DbError::TooLong)) {
            self.0.ended_statements.add(1);
        }
        self.note_duration(sql, begun);
    }

    /// Notes how long it took, whatever became of it.
    pub(super) fn note_duration(&self, sql: &'static str, begun: Instant) {
        let taken = begun.elapsed();
        if taken >= self.0.slow {
            self.0.slow_statements.add(1);
            let milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(statement = sql, milliseconds, "a statement was slow");
        }
    }

    /// Counts a commit.
    pub(super) fn committed(&self) {
        self.0.commits.add(1);
    }

    /// Notes what became of a transaction that was asked for at `begun`.
    pub(super) fn answered<T>(&self, of: Use, begun: Instant, outcome: &Result<T, DbError>) {
        if matches!(outcome, Err(DbError::Overloaded)) {
            return self.0.refused.add(of, 1);
        }
        if let Some(durations) = self.0.durations.get(of.index()) {
            durations.observe(begun.elapsed());
        }
    }
}

/// Has `connection` end what is past its deadline.
pub(super) fn obey_deadlines(connection: &Connection) -> rusqlite::Result<()> {
    let is_over = || DEADLINE.get().is_some_and(|deadline| Instant::now() >= deadline);
    connection.progress_handler(STEPS, Some(is_over))
}

const DURATIONS: &str = "palisade_db_transaction_duration_seconds";
const SLOW: &str = "palisade_db_slow_statements_total";
const ENDED: &str = "palisade_db_ended_statements_total";
const COMMITS: &str = "palisade_db_commits_total";
const REFUSED: &str = "palisade_db_refused_total";
