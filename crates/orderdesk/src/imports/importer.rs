//! Working an import off, transaction by transaction, while its lease lasts.

use std::sync::Arc;
use std::time::Duration;

use palisade::clock::{Clock, Timestamp};
use palisade::crypto::random_bytes;
use palisade::db::{Db, DbError, Tx};
use palisade::telemetry::metrics::{Counters, Gauge, MetricError, Metrics};

use super::apply::apply;
use super::source::{ATTEMPTS, Batch, Source};
use super::store::{self, Progressed};
use super::{ImportId, ImportStatus, Lease, Uploads};

palisade::settings! {
    /// Files of orders, which are worked off in the background.
    pub struct ImportsSection in "imports" {
        /// Imports that may be open at once, uploads included; a further one is answered 503. Each
        /// takes up to 64 MiB in the database until it is done.
        pub open: usize = 20, in 1..=1000;
        /// How long the outcome of an import is kept, with its rejections.
        pub keep: Duration = Duration::from_secs(30 * 86_400),
            in Duration::from_secs(3600)..=Duration::from_secs(3650 * 86_400);
        /// How long the process that works on an import may give no sign until another goes on
        /// with it.
        pub lease: Duration = Duration::from_secs(10),
            in Duration::from_secs(1)..=LONGEST_LEASE;
    }
}

/// How long an upload may rest until it counts as given up.
const ABANDONED: Duration = Duration::from_secs(3600);
/// The longest lease that a process gives.
const LONGEST_LEASE: Duration = Duration::from_secs(600);

palisade::label! {
    /// What became of a row.
    pub enum RowOutcome in "outcome" {
        /// It is part of an order now, or was before.
        Taken = "taken",
        /// It was rejected.
        Rejected = "rejected",
    }
}

palisade::label! {
    /// How an import ended.
    pub enum ImportOutcome in "outcome" {
        /// With its last row.
        Done = "done",
        /// Before.
        Failed = "failed",
    }
}

/// How work on an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is over.
    Over,
    /// It was asked to stop; the next goes on.
    Stopped,
    /// Somebody else has the lease.
    Lost,
}

/// What works imports off; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Importer {
    db: Db,
    clock: Arc<dyn Clock>,
    lease: Duration,
    rows: Counters<RowOutcome>,
    imports: Counters<ImportOutcome>,
    waiting: Gauge,
}

/// Why a transaction was undone.
enum Undone {
    /// The lease is somebody else's.
    Lost,
    /// The database failed.
    Db(DbError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl Importer {
    /// Makes one that counts in `metrics`.
    ///
    /// # Errors
    ///
    /// If the same is counted already.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        settings: &ImportsSection,
        metrics: &Metrics,
    ) -> Result<Self, MetricError> {
        let rows =
            metrics.counters("orderdesk_import_rows_total", "Rows of imports, by outcome.", &[])?;
        let imports =
            metrics.counters("orderdesk_imports_total", "Imports that ended, by outcome.", &[])?;
        let waiting = metrics.gauge(
            "orderdesk_imports_oldest_waiting_seconds",
            "Since when the import is there that waits longest for its turn; 0 if none waits.",
            &[],
        )?;
        Ok(Self { db, clock, lease: settings.lease, rows, imports, waiting })
    }

    /// Takes the lease of the import that waits longest, or of `only`, if it is to be had.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn claim(&self, only: Option<ImportId>) -> Result<Option<Lease>, DbError> {
        let token: String = random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let now = self.clock.now();
        let (until, latest) = (now.after(self.lease), now.after(LONGEST_LEASE));
        let claim = store::Claim { only, token, attempts: ATTEMPTS, now, until, latest };
        self.db.write(async move |tx: &mut Tx<'_>| store::claim(tx, &claim).await).await
    }

    /// Works an import off, until it is over, the lease is lost, or `is_stopped` says so.
    ///
    /// # Errors
    ///
    /// What the database answers; the lease is still held then.
    pub async fn work(
        &self,
        lease: Lease,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Ended, DbError> {
        let lease = Arc::new(lease);
        let id = lease.import.id;
        let mut source = Source::open(self.db.clone(), &lease);
        loop {
            let made = match self.make(&lease, &mut source, &is_stopped).await {
                Ok(Some(made)) => made,
                Ok(None) => {
                    self.release(&lease, false).await?;
                    return Ok(Ended::Stopped);
                }
                Err(Undone::Lost) => return Ok(Ended::Lost),
                Err(Undone::Db(error)) => return Err(error),
            };
            self.count(&made);
            let status = made.status;
            if status != ImportStatus::Running {
                tracing::info!(import = %id, outcome = %status, "an import ended");
                self.remove_chunks(&is_stopped).await;
                return Ok(Ended::Over);
            }
            if is_stopped() {
                self.release(&lease, false).await?;
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Works the rows of the next transaction off; `None` if it was stopped before.
    async fn make(
        &self,
        lease: &Arc<Lease>,
        source: &mut Source,
        is_stopped: &impl Fn() -> bool,
    ) -> Result<Option<Progressed>, Undone> {
        if lease.is_one_too_many {
            return self.apply(lease, source.given_up()).await.map(Some);
        }
        let mut reading = std::pin::pin!(source.next_batch());
        // One reference can have all rows of a file, and reading them outlast the lease.
        loop {
            if let Ok(batch) = tokio::time::timeout(self.lease / 4, &mut reading).await {
                return self.apply(lease, batch?).await.map(Some);
            }
            if is_stopped() {
                return Ok(None);
            }
            self.renew(lease).await?;
        }
    }

    async fn renew(&self, lease: &Arc<Lease>) -> Result<(), Undone> {
        let (lease, now) = (Arc::clone(lease), self.clock.now());
        let span = (now, now.after(self.lease));
        let renewed =
            self.db.write(async move |tx: &mut Tx<'_>| store::renew(tx, &lease, span).await);
        if renewed.await? { Ok(()) } else { Err(Undone::Lost) }
    }

    /// Gives the lease back; the attempt counts if it failed.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn release(&self, lease: &Lease, counts: bool) -> Result<(), DbError> {
        let (lease, now) = (lease.clone(), self.clock.now());
        self.db
            .write(async move |tx: &mut Tx<'_>| store::release(tx, &lease, counts, now).await)
            .await
    }

    async fn apply(&self, lease: &Arc<Lease>, batch: Batch) -> Result<Progressed, Undone> {
        let (lease, now) = (Arc::clone(lease), self.clock.now());
        let span = (now, now.after(self.lease));
        self.db
            .write(async move |tx: &mut Tx<'_>| -> Result<Progressed, Undone> {
                let made = apply(tx, &lease, &batch, now).await?;
                match store::progress(tx, &lease, &made, span).await? {
                    true => Ok(made),
                    false => Err(Undone::Lost),
                }
            })
            .await
    }

    fn count(&self, made: &Progressed) {
        self.rows.add(RowOutcome::Rejected, made.rows_rejected);
        self.rows.add(RowOutcome::Taken, made.rows_read.saturating_sub(made.rows_rejected));
        match made.status {
            ImportStatus::Done => self.imports.add(ImportOutcome::Done, 1),
            ImportStatus::Failed => self.imports.add(ImportOutcome::Failed, 1),
            ImportStatus::Queued | ImportStatus::Running => {}
        }
    }

    /// Removes what is left of uploads that have ended, and measures how long imports wait.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn tidy(&self, uploads: &Uploads) -> Result<(), DbError> {
        let oldest = self.db.read(async |tx: &mut Tx<'_>| store::oldest_waiting(tx).await).await?;
        let now = self.clock.now().as_millis();
        self.waiting.set(oldest.map_or(0, |since| (now - since.as_millis()).max(0) / 1000));
        uploads.remove_ended(&self.db).await
    }

    /// Removes files that nobody needs any more; what fails here is done by the retention later.
    async fn remove_chunks(&self, is_stopped: &impl Fn() -> bool) {
        const MOST: i64 = 16;
        while !is_stopped() {
            let remove = async move |tx: &mut Tx<'_>| store::remove_chunks(tx, MOST).await;
            let removed = self.db.write(remove);
            if removed.await.map_or(true, |removed| removed == 0) {
                return;
            }
        }
    }
}

/// Removes up to `most` pieces of files that nobody needs any more at `now`.
pub(crate) async fn remove_chunks(
    tx: &mut Tx<'_>,
    now: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    store::give_up_resting(tx, now.before(ABANDONED)).await?;
    store::remove_chunks(tx, most).await
}
