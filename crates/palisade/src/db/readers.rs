//! Reading: a few read-only connections, each used by one blocking thread at a time.
//!
//! A read sees one snapshot and never waits for the writer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::Location;
use super::error::DbError;
use super::tx::Tx;
use super::watch::Watch;
use super::work::{Outcome, run_in_place};
use crate::telemetry::RequestScope;

/// The connections that read, opened when they are first needed.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    count: u32,
    wait: Duration,
    pool: Arc<Pool>,
}

struct Pool {
    location: Location,
    watch: Watch,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new((location, watch): (Location, Watch), count: usize, wait: Duration) -> Self {
        // More would not be faster, and the number must fit what the semaphore counts.
        let count = u32::try_from(count.clamp(1, 1024)).unwrap_or(1);
        let permits = Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1)));
        let pool = Arc::new(Pool { location, watch, idle: Mutex::default() });
        Self { permits, count, wait, pool }
    }

    /// Runs `work` on a connection of its own. If the caller goes away it ends by itself.
    pub(super) async fn run<F, T, E>(&self, work: F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = match tokio::time::timeout(self.wait, permit).await {
            Ok(permit) => permit.map_err(|_| DbError::Closed)?,
            Err(_) => return Err(DbError::Overloaded),
        };
        let (pool, scope) = (Arc::clone(&self.pool), RequestScope::current());
        let reading = tokio::task::spawn_blocking(move || {
            let _entered = scope.enter();
            let outcome = pool.run(&work);
            drop(permit);
            outcome
        });
        // Panics of the work are caught inside: what is left is a runtime that shuts down.
        reading.await.unwrap_or(Err(DbError::Closed))
    }

    /// Refuses new reads, waits a while for those under way, and closes the idle connections.
    pub(super) async fn close(&self) {
        let all = tokio::time::timeout(self.wait, self.permits.acquire_many(self.count)).await;
        self.permits.close();
        drop(all);
        self.pool.idle().clear();
    }
}

impl Pool {
    fn run<F, T, E>(&self, work: &F) -> Outcome<T, E>
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.location.open_reader()?,
        };
        connection.execute_batch("BEGIN DEFERRED").map_err(DbError::from_driver)?;
        let outcome = run_in_place(work, &mut Tx::new(&connection, Some(&self.watch)));
        // One that cannot end its transaction is dropped, and the next read opens another.
        if connection.execute_batch("COMMIT").is_ok() && connection.is_autocommit() {
            self.idle().push(connection);
        }
        outcome
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
