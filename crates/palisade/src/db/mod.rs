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
//! their own. It leaves out PostgreSQL so far, and the queue of jobs.

mod connection;
mod error;
mod inspect;
mod migrate;
mod portable;
mod readers;
mod row;
mod settings;
#[cfg(test)]
mod tests;
mod tx;
mod url;
mod value;
mod work;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use error::{ConstraintKind, DbError};
pub use inspect::{Inspection, Integrity, Schema, inspect};
pub use migrate::{Migration, SchemaState};
pub use row::{Column, FromValue, Row, Stored};
pub use settings::{DatabaseSection, DbSettings, Purpose};
pub use tx::Tx;
pub(crate) use url::files_of;
pub use url::{DatabaseUrl, DatabaseUrlError};
pub use value::{Args, ToValue, Value};

use crate::clock::Clock;
use connection::Location;
use readers::Readers;
use writer::Writer;

/// An open database; a clone is the same one.
///
/// Dropping the last clone lets the writer finish what is queued; [`Db::close`] also waits for it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    lookups: Readers,
    clock: Arc<dyn Clock>,
    generation: Arc<AtomicU64>,
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
        let url = url.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let (location, lock) = Location::prepare(&url, &settings)?;
            let generation = Arc::new(AtomicU64::new(0));
            let writer =
                Writer::start((location.clone(), lock), settings.queue, Arc::clone(&generation))?;
            let lookups = Readers::new(location.clone(), LOOKUPS, settings.reader_wait);
            let readers = Readers::new(location, settings.readers, settings.reader_wait);
            let clock = settings.clock;
            Ok(Self { inner: Arc::new(Inner { writer, readers, lookups, clock, generation }) })
        });
        opening.await.unwrap_or(Err(DbError::Closed))
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
        let (request, answer) = work::request(work);
        self.inner.writer.submit(request)?;
        answer.await.unwrap_or(Err(DbError::Closed))?
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
        self.inner.readers.run(work).await?
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
        self.inner.lookups.run(work).await?
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
        while let Some(done) = self.migrate_once(component, migrations).await? {
            tracing::info!(component, version = done.version, name = done.name, "schema migrated");
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

    /// Tells whether a write would be taken and answered within `deadline`; it writes nothing.
    ///
    /// # Errors
    ///
    /// [`DbError::Overloaded`] if there is no answer in time, or why there cannot be one.
    pub async fn ping(&self, deadline: Duration) -> Result<(), DbError> {
        let asked = self.write(async |tx| tx.query_one("SELECT 1", &[], |_| Ok(())).await);
        tokio::time::timeout(deadline, asked).await.unwrap_or(Err(DbError::Overloaded))
    }

    /// Refuses new work, finishes what is queued, and leaves one file without a log beside it.
    ///
    /// # Errors
    ///
    /// [`DbError::Closed`] if the writer did not end as it should. Closing twice is no error.
    pub async fn close(&self) -> Result<(), DbError> {
        self.inner.lookups.close().await;
        self.inner.readers.close().await;
        self.inner.writer.close().await
    }

    async fn migrate_once(
        &self,
        component: &'static str,
        migrations: &[Migration],
    ) -> Result<Option<Migration>, DbError> {
        let migrations: Arc<[Migration]> = migrations.into();
        let now = self.inner.clock.now();
        self.write(async move |tx| migrate::apply_next(tx, component, &migrations, now).await).await
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Db(sqlite)")
    }
}
