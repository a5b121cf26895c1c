//! The one thread that writes: it commits what has queued together, and only then answers.
//!
//! A request that fails undoes its own part (a savepoint). A commit that fails fails all of its
//! requests. Nothing that a request does ends the thread.

use std::cell::Cell;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::connection::Location;
use super::error::DbError;
use super::tx::Tx;
use super::watch::Watch;
use super::work::Request;

/// Most requests that share one commit: past this, more of them no longer make it cheaper.
const BATCH: usize = 256;

enum Message {
    Work(Box<dyn Request>),
    Close,
}

/// The way to the thread. When the last one is dropped, the thread finishes and ends.
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the connection and starts the thread, which also keeps the `lock`.
    pub(super) fn start(
        (location, lock): (Location, Option<File>),
        queue: usize,
        (watch, generation): (Watch, Arc<AtomicU64>),
    ) -> Result<Self, DbError> {
        let connection = location.open_writer()?;
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || {
                let is_outdated = Cell::new(false);
                Loop { connection, location, watch, generation, is_outdated }.run(receiver);
                // After the connection, so that who serves next finds the file at rest.
                drop(lock);
            })
            .map_err(|error| DbError::open("its writer thread cannot be started", error))?;
        Ok(Self { sender, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a request, or refuses it at once.
    pub(super) fn submit(&self, request: Box<dyn Request>) -> Result<(), DbError> {
        self.sender.try_send(Message::Work(request)).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Overloaded,
            TrySendError::Closed(_) => DbError::Closed,
        })
    }

    /// Waits until the thread has done what is queued, and ended. It takes on nothing new.
    pub(super) async fn close(&self) -> Result<(), DbError> {
        // An error says that the thread has ended before, which is what is wanted.
        drop(self.sender.send(Message::Close).await);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(|| thread.join()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(DbError::Closed),
        }
    }
}

/// What runs on the thread.
struct Loop {
    connection: Connection,
    location: Location,
    watch: Watch,
    generation: Arc<AtomicU64>,
    /// Whether the transaction takes something away that others may remember.
    is_outdated: Cell<bool>,
}

impl Loop {
    fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH);
        while receiver.blocking_recv_many(&mut messages, BATCH) > 0 {
            let mut batch = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Work(request) => batch.push(request),
                    Message::Close => receiver.close(),
                }
            }
            self.work_off(batch);
        }
        let merge = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(merge, [], |_| Ok(())) {
            tracing::error!(%error, "the write-ahead log was not merged at the end");
        }
    }

    /// Runs every request, in as few transactions as it takes: one, if nothing breaks it.
    fn work_off(&mut self, batch: Vec<Box<dyn Request>>) {
        let mut waiting = batch.into_iter();
        while waiting.len() > 0 {
            if let Err(error) = self.begin() {
                let requests = waiting.len();
                tracing::error!(%error, requests, "no write transaction could begin");
                waiting.for_each(|request| request.answer(Err(error.clone())));
                return;
            }
            let mut done = Vec::with_capacity(waiting.len());
            let committed = self.run_some(&mut waiting, &mut done);
            // Even if it failed: nobody knows whether a failed commit is on the disk.
            if self.is_outdated.take() {
                self.generation.fetch_add(1, Ordering::SeqCst);
            }
            if let Err(error) = &committed {
                tracing::error!(%error, requests = done.len(), "a batch of writes was rolled back");
            }
            done.into_iter().for_each(|request| request.answer(committed.clone()));
        }
    }

    /// Begins a transaction, on a new connection if the old one is beyond repair.
    fn begin(&mut self) -> Result<(), DbError> {
        match self.control("BEGIN IMMEDIATE") {
            Ok(()) => return Ok(()),
            Err(DbError::Busy) => return Err(DbError::Busy),
            Err(error) => tracing::error!(%error, "the database connection is replaced"),
        }
        self.connection = self.location.open_writer()?;
        self.control("BEGIN IMMEDIATE")
    }

    /// Moves requests from `waiting` to `done` while running them, and commits.
    ///
    /// Stops early if a failure takes the transaction away: what is left needs another one.
    fn run_some(
        &self,
        waiting: &mut std::vec::IntoIter<Box<dyn Request>>,
        done: &mut Vec<Box<dyn Request>>,
    ) -> Result<(), DbError> {
        for mut request in waiting {
            if request.is_abandoned() {
                request.answer(Err(DbError::Closed));
                continue;
            }
            let kept = self.run_one(request.as_mut());
            done.push(request);
            if let Err(error) = kept {
                self.roll_back();
                return Err(error);
            }
        }
        let begun = Instant::now();
        let committed = self.control("COMMIT").inspect_err(|_| self.roll_back());
        self.watch.note("COMMIT", begun, &committed);
        self.watch.committed();
        committed
    }

    /// Runs one request in its savepoint; an error means that the whole transaction is lost.
    fn run_one(&self, request: &mut dyn Request) -> Result<(), DbError> {
        self.control("SAVEPOINT request")?;
        let mut tx = Tx::new(&self.connection, Some(&self.watch));
        let keep = request.run(&mut tx);
        if tx.is_outdating() {
            self.is_outdated.set(true);
        }
        if let Some(error) = tx.take_loss() {
            return Err(error);
        }
        if !keep {
            self.control("ROLLBACK TO request")?;
        }
        self.control("RELEASE request")
    }

    fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.control("ROLLBACK") {
            tracing::error!(%error, "a write transaction could not be rolled back");
        }
    }

    fn control(&self, statement: &'static str) -> Result<(), DbError> {
        let mut prepared =
            self.connection.prepare_cached(statement).map_err(DbError::from_driver)?;
        prepared.raw_execute().map(|_| ()).map_err(DbError::from_driver)
    }
}
