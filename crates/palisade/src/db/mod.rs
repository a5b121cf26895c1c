//! The database: transactions that are whole or never were, and nothing of a driver in sight.
//!
//! The rules of this module:
//!
//! 1. Who is told `Ok` finds the write on the disk; who is not finds nothing of it.
//! 2. Work never owns a transaction. It is handed to [`Db::write`] or [`Db::read`], runs there
//!    to its end, and may be run again: it does nothing but use its [`Tx`]. So a caller that goes
//!    away leaves nothing half open.
//! 3. SQL is written in the source and values are bound, never formatted in.
//! 4. What is stored is read back as the type it was stored as, or the row is corrupt.
//!
//! On SQLite, one thread writes and commits what has queued together; reads have connections of
//! their own. On PostgreSQL a few connections each run one transaction after the other. It leaves
//! out the queue of jobs so far.

pub mod backup;
mod batch;
mod connection;
mod error;
mod inspect;
mod log;
mod migrate;
mod place;
mod portable;
mod postgres;
mod readers;
mod retention;
mod row;
mod settings;
#[cfg(test)]
mod tests;
mod tx;
mod url;
mod value;
mod watch;
mod work;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use error::{ConstraintKind, DbError};
pub use inspect::{Inspection, Integrity, Schema, inspect};
pub use migrate::{Migration, SchemaState};
pub use retention::{Retention, RetentionSection, Sweeper};
pub use row::{Column, FromValue, Row, Stored};
pub use settings::{DatabaseSection, DbSettings, Purpose};
pub use tx::Tx;
pub(crate) use url::files_of;
pub use url::{DatabaseUrl, DatabaseUrlError};
pub use value::{Args, ToValue, Value};

use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;
use connection::Location;
use migrate::Step;
use postgres::{Address, Pool, PoolSettings};
use readers::Readers;
use watch::{Use, Watch};
use writer::Writer;

/// An open database; a clone is the same one.
///
/// Dropping the last clone lets the writer finish what is queued; [`Db::close`] also waits for it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    clock: Arc<dyn Clock>,
    watch: Watch,
    generation: Arc<AtomicU64>,
}

/// What all connections of a database have in common.
type Shared = (Watch, Arc<AtomicU64>);

/// What runs the transactions.
enum Engine {
    Sqlite {
        writer: Writer,
        readers: Readers,
        lookups: Readers,
    },
    Postgres {
        pool: Pool,
        /// Connections that long transactions never hold.
        lookups: Pool,
    },
}

/// Connections for look-ups: each takes microseconds, so two serve thousands a second.
const LOOKUPS: usize = 2;

impl Db {
    /// Opens the database, and creates its file (readable by its owner only) if there is none.
    ///
    /// # Errors
    ///
    /// [`DbError::Open`] says what is missing: the folder, the rights, or the lock that another
    /// process holds which serves from the same file.
    pub async fn open(url: &DatabaseUrl, settings: DbSettings) -> Result<Self, DbError> {
        let (url, clock) = (url.clone(), Arc::clone(&settings.clock));
        let generation = Arc::new(AtomicU64::new(0));
        let (longest, slow) = (settings.statement_timeout, settings.slow_statement);
        let watch = Watch::new(longest, slow, settings.metrics.as_ref().unwrap_or(&Metrics::new()))
            .map_err(|error| DbError::open("what it counts is counted already", error))?;
        let shared = (watch.clone(), Arc::clone(&generation));
        let opening = tokio::task::spawn_blocking(move || match url.server() {
            Some(server) => Engine::on_a_server(server, &settings, &shared),
            None => Engine::in_a_file(&url, &settings, &shared),
        });
        let engine = opening.await.unwrap_or(Err(DbError::Closed))?;
        let db = Self { inner: Arc::new(Inner { engine, clock, watch, generation }) };
        if matches!(db.inner.engine, Engine::Postgres { .. }) {
            // Nothing was asked yet: a server that cannot be reached is told now.
            db.read(async |tx| tx.query_one("SELECT 1", &[], |_| Ok(())).await).await?;
        }
        Ok(db)
    }

    /// Runs `work` in a transaction and returns its result once that is on the disk.
    ///
    /// If `work` returns an error, panics, or waits for anything but its `tx`, nothing of it
    /// stays. It may be run again, so what it captures is borrowed or cloned, not moved out.
    ///
    /// ```
    /// use palisade::args;
    /// use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Purpose, Tx};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let text = format!("sqlite://{}/notes.db", folder.path().display());
    /// let db = Db::open(&DatabaseUrl::parse(&text)?, DbSettings::new(Purpose::Serve)).await?;
    /// let text = String::from("milk");
    /// let count: i64 = db
    ///     .write(async move |tx: &mut Tx<'_>| -> Result<i64, DbError> {
    ///         tx.execute("CREATE TABLE notes (text TEXT NOT NULL) STRICT", args![]).await?;
    ///         tx.execute("INSERT INTO notes (text) VALUES ($1)", args![text]).await?;
    ///         tx.query_one("SELECT count(*) FROM notes", args![], |row| row.get(0)).await
    ///     })
    ///     .await?;
    /// assert_eq!(count, 1);
    /// # db.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What `work` returns, or a [`DbError`]: [`DbError::Overloaded`] at once if too much is
    /// waiting, [`DbError::Full`] and the like if the commit fails.
    pub async fn write<F, T, E>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let begun = Instant::now();
        let outcome = match &self.inner.engine {
            Engine::Sqlite { writer, .. } => {
                let (request, answer) = work::request(work);
                match writer.submit(request) {
                    Ok(()) => answer.await.unwrap_or(Err(DbError::Closed)),
                    Err(error) => Err(error),
                }
            }
            Engine::Postgres { pool, .. } => pool.run_write(work).await,
        };
        self.inner.watch.answered(Use::Write, begun, &outcome);
        outcome?
    }

    /// Runs `work` on one snapshot of what was committed, beside the writer.
    ///
    /// # Errors
    ///
    /// What `work` returns, or a [`DbError`]: [`DbError::Overloaded`] if no connection was free
    /// in time, [`DbError::ReadOnly`] if `work` tries to write.
    pub async fn read<F, T, E>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let begun = Instant::now();
        let outcome = match &self.inner.engine {
            Engine::Sqlite { readers, .. } => readers.run(work).await,
            Engine::Postgres { pool, .. } => pool.run_read(work).await,
        };
        self.inner.watch.answered(Use::Read, begun, &outcome);
        outcome?
    }

    /// Runs `work` as [`Db::read`] does, on connections that long reads never hold: for finding a
    /// few rows by their key, such as the session of a request.
    ///
    /// # Errors
    ///
    /// Those of [`Db::read`].
    pub async fn look_up<F, T, E>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let begun = Instant::now();
        let outcome = match &self.inner.engine {
            Engine::Sqlite { lookups, .. } => lookups.run(work).await,
            Engine::Postgres { lookups, .. } => lookups.run_read(work).await,
        };
        self.inner.watch.answered(Use::LookUp, begun, &outcome);
        outcome?
    }

    /// Applies the migrations of `component` that are missing and returns how many those were.
    ///
    /// Each is a transaction of its own. Two processes may do this at once.
    ///
    /// # Errors
    ///
    /// [`DbError::Schema`] if the list has a gap or an applied text was changed,
    /// [`DbError::TooNew`] if a newer release was here, [`DbError::Migration`] if one fails.
    pub async fn migrate(
        &self,
        component: &'static str,
        migrations: &[Migration],
    ) -> Result<usize, DbError> {
        migrate::check(component, migrations)?;
        let mut count = 0;
        while let Some(step) = self.migrate_once(component, migrations).await? {
            let Step::Applied(Migration { version, name, .. }) = step else { continue };
            tracing::info!(component, version, name, "schema migrated");
            count += 1;
        }
        Ok(count)
    }

    /// Compares the schema of `component` in the database with `migrations`, without writing.
    ///
    /// # Errors
    ///
    /// [`DbError::Schema`] as [`Db::migrate`]; a newer schema is no error here.
    pub async fn schema_state(
        &self,
        component: &'static str,
        migrations: &[Migration],
    ) -> Result<SchemaState, DbError> {
        migrate::check(component, migrations)?;
        let migrations: Arc<[Migration]> = migrations.into();
        self.read(async move |tx| migrate::state(tx, component, &migrations).await).await
    }

    /// Returns a number that changes when a transaction of this process took something away that
    /// was remembered ([`Tx::outdate`]). What was read before the number was the present one may
    /// be wrong. Other processes do not change it.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::SeqCst)
    }

    /// Tells whether other processes may change what this one reads: a server is for several.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.inner.engine, Engine::Postgres { .. })
    }

    /// Tells whether a write would be taken and answered within `deadline`; it writes nothing.
    ///
    /// # Errors
    ///
    /// [`DbError::Overloaded`] if there is no answer in time, or why there cannot be one.
    pub async fn ping(&self, deadline: Duration) -> Result<(), DbError> {
        let asked = self.write(async |tx: &mut Tx<'_>| tx.demand_writable().await);
        tokio::time::timeout(deadline, asked).await.unwrap_or(Err(DbError::Overloaded))
    }

    /// Refuses new work, finishes what is queued, and leaves one file without a log beside it.
    ///
    /// # Errors
    ///
    /// [`DbError::Closed`] if the writer did not end as it should. Closing twice is no error.
    pub async fn close(&self) -> Result<(), DbError> {
        match &self.inner.engine {
            Engine::Sqlite { writer, readers, lookups } => {
                lookups.close().await;
                readers.close().await;
                writer.close().await
            }
            Engine::Postgres { pool, lookups } => {
                lookups.close().await?;
                pool.close().await
            }
        }
    }

    async fn migrate_once(
        &self,
        component: &'static str,
        migrations: &[Migration],
    ) -> Result<Option<Step>, DbError> {
        if self.schema_state(component, migrations).await? == SchemaState::UpToDate {
            return Ok(None);
        }
        self.prepare_to_migrate().await?;
        let migrations: Arc<[Migration]> = migrations.into();
        let now = self.inner.clock.now();
        self.write(async move |tx| migrate::apply_next(tx, component, &migrations, now).await).await
    }

    async fn prepare_to_migrate(&self) -> Result<(), DbError> {
        let prepare = async || self.write(async |tx| migrate::prepare(tx).await).await;
        match prepare().await {
            // Another process made the table in the same moment: it is there the second time.
            Err(DbError::Unique { .. }) => prepare().await,
            prepared => prepared,
        }
    }
}

impl Engine {
    fn in_a_file(
        url: &DatabaseUrl,
        settings: &DbSettings,
        shared: &Shared,
    ) -> Result<Self, DbError> {
        let (location, lock) = Location::prepare(url, settings)?;
        let writer = Writer::start((location.clone(), lock), settings.queue, shared.clone())?;
        let watched = || (location.clone(), shared.0.clone());
        let lookups = Readers::new(watched(), LOOKUPS, settings.reader_wait);
        let readers = Readers::new(watched(), settings.readers, settings.reader_wait);
        Ok(Self::Sqlite { writer, readers, lookups })
    }

    fn on_a_server(
        server: &Address,
        settings: &DbSettings,
        shared: &Shared,
    ) -> Result<Self, DbError> {
        let server = server.clone().with_deadline(settings.statement_timeout);
        let start = |connections| {
            let (queue, wait) = (settings.queue, settings.reader_wait);
            let settings =
                PoolSettings { connections, queue, wait, longest: settings.statement_timeout };
            Pool::start(server.clone(), settings, shared.clone())
        };
        Ok(Self::Postgres { pool: start(settings.connections)?, lookups: start(LOOKUPS)? })
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.inner.engine {
            Engine::Sqlite { .. } => "Db(sqlite)",
            Engine::Postgres { .. } => "Db(postgres)",
        })
    }
}
