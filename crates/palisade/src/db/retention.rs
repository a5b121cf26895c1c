//! Removing what is over: a few rows at a time, while the service runs.
//!
//! Each part of a service says how its own rows are removed once they are over. What nobody
//! registers stays: nothing here knows a table.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Db, DbError, Tx};
use crate::clock::{Clock, Timestamp};
use crate::crypto::random_bytes;
use crate::telemetry::metrics::{Counter, Gauge, MetricError, Metrics};

crate::settings! {
    /// Removing what is over, such as sessions that have expired. Orders and their history stay.
    pub struct RetentionSection in "retention" {
        /// How often that is looked for, give or take a quarter. What has expired counts for
        /// nothing long before it is removed, so this only bounds how much of it lies about.
        pub every: Duration = Duration::from_secs(600),
            in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// Rows that are removed in one transaction at most. It shares its commit with the
        /// requests of that moment, which so many rows do not hold up for long.
        pub batch: usize = 500, in 1..=10_000;
    }
}

/// The pause between two transactions, in which requests have the writer to themselves.
const PAUSE: Duration = Duration::from_millis(50);

type Removing<'a> = Pin<Box<dyn Future<Output = Result<u64, DbError>> + Send + 'a>>;
type Remove = Arc<dyn Fn(Db, Timestamp, i64) -> Removing<'static> + Send + Sync>;

/// What a service removes once it is over, by name.
pub struct Retention {
    db: Db,
    clock: Arc<dyn Clock>,
    section: RetentionSection,
    policies: Vec<(&'static str, Remove)>,
}

impl Retention {
    /// Removes nothing yet.
    pub fn new(db: Db, clock: Arc<dyn Clock>, section: &RetentionSection) -> Self {
        Self { db, clock, section: section.clone(), policies: Vec::new() }
    }

    /// Has `work` remove rows that are over at the given moment, at most as many as it is told, and
    /// return how many that were. It is called again while those were as many as it was told.
    ///
    /// `rows` names them in the log and the metrics, such as `sessions`.
    #[must_use]
    pub fn remove<F>(mut self, rows: &'static str, work: F) -> Self
    where
        F: AsyncFn(&mut Tx<'_>, Timestamp, i64) -> Result<u64, DbError>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let remove: Remove = Arc::new(move |db, now, most| {
            let work = work.clone();
            Box::pin(async move {
                db.write(async move |tx: &mut Tx<'_>| work(tx, now, most).await).await
            })
        });
        self.policies.push((rows, remove));
        self
    }

    /// Starts to remove, in a task that ends with [`Sweeper::stop`].
    ///
    /// # Errors
    ///
    /// If something of this name is counted already.
    pub fn start(self, metrics: &Metrics) -> Result<Sweeper, MetricError> {
        let policies = self.policies.into_iter();
        let policies = policies.map(|(rows, remove)| Policy::counted(rows, remove, metrics));
        let policies = policies.collect::<Result<Vec<_>, _>>()?;
        let (stop, stopped) = oneshot::channel();
        let batch = i64::try_from(self.section.batch).unwrap_or(i64::MAX);
        let sweep = Sweep { db: self.db, clock: self.clock, batch, policies };
        let task = tokio::spawn(sweep.run(self.section.every, stopped));
        Ok(Sweeper { stop, task })
    }
}

impl fmt::Debug for Retention {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.policies.iter().map(|(name, _)| *name).collect();
        out.debug_tuple("Retention").field(&names).finish()
    }
}

/// The task that removes.
#[derive(Debug)]
pub struct Sweeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Waits for the transaction under way, which is short, and ends.
    pub async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::error!("the task that removes what is over has panicked");
        }
    }
}

struct Policy {
    rows: &'static str,
    remove: Remove,
    removed: Counter,
    failures: Counter,
    /// Seconds since 1970.
    last_success: Gauge,
}

impl Policy {
    fn counted(rows: &'static str, remove: Remove, metrics: &Metrics) -> Result<Self, MetricError> {
        let labels = [("rows", rows)];
        let removed = metrics.counter(
            "palisade_retention_removed_total",
            "Rows that were over and were removed.",
            &labels,
        )?;
        let failures = metrics.counter(
            "palisade_retention_failures_total",
            "Times that rows could not be removed.",
            &labels,
        )?;
        let last_success = metrics.gauge(
            "palisade_retention_last_success_timestamp_seconds",
            "When nothing that was over was left, for the last time; 0 before the first.",
            &labels,
        )?;
        Ok(Self { rows, remove, removed, failures, last_success })
    }
}

struct Sweep {
    db: Db,
    clock: Arc<dyn Clock>,
    batch: i64,
    policies: Vec<Policy>,
}

impl Sweep {
    async fn run(self, every: Duration, mut stopped: oneshot::Receiver<()>) {
        // Not at the start, when there is enough to do.
        while !is_stopped(&mut stopped, jittered(every)).await {
            for policy in &self.policies {
                if !self.work_off(policy, &mut stopped).await {
                    return;
                }
            }
        }
    }

    /// Removes until nothing is left or something fails; false if it was stopped.
    async fn work_off(&self, policy: &Policy, stopped: &mut oneshot::Receiver<()>) -> bool {
        let now = self.clock.now();
        let mut count = 0;
        loop {
            match (policy.remove)(self.db.clone(), now, self.batch).await {
                Ok(removed) => {
                    count += removed;
                    policy.removed.add(removed);
                    if i64::try_from(removed).unwrap_or(i64::MAX) < self.batch {
                        policy.last_success.set(self.clock.now().as_millis() / 1000);
                        break;
                    }
                }
                Err(error) => {
                    policy.failures.add(1);
                    tracing::warn!(name = policy.rows, %error, "cannot remove what is over");
                    break;
                }
            }
            if is_stopped(stopped, PAUSE).await {
                return false;
            }
        }
        if count > 0 {
            tracing::info!(name = policy.rows, count, "removed what was over");
        }
        true
    }
}

/// Waits, and tells whether it is to end instead. Nothing is lost when the wait is cut short.
async fn is_stopped(stopped: &mut oneshot::Receiver<()>, wait: Duration) -> bool {
    tokio::time::timeout(wait, stopped).await.is_ok()
}

/// Returns the time give or take a quarter, so that processes with one database do not keep step.
fn jittered(every: Duration) -> Duration {
    let [random] = random_bytes::<1>();
    every * 3 / 4 + every / 2 * u32::from(random) / 255
}
