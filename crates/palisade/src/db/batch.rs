//! Requests that share a commit: each leaves all of its work or nothing, whatever the others do.
//!
//! Most succeed, and so they run one after the other with nothing between them. If one fails after
//! it wrote, those before it are run again from the start, each behind a savepoint: that is what
//! undoes the part of one, and what makes SQLite copy every page that it changes. A commit that
//! fails fails all of its requests. Nothing that a request does ends the thread.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::Connection;

use super::connection::Location;
use super::error::DbError;
use super::log::Log;
use super::place::Place;
use super::tx::Tx;
use super::watch::Watch;
use super::work::Request;

/// Transactions with savepoints after one that had to begin again. Where failures are frequent,
/// running again costs one in so many at the most.
const CAREFUL: u32 = 32;

/// The connection that writes.
pub(super) struct Batches {
    connection: Connection,
    log: Log,
    place: Place,
    location: Location,
    watch: Watch,
    generation: Arc<AtomicU64>,
    /// Whether the transaction takes something away that others may remember.
    is_outdated: Cell<bool>,
    /// Transactions to come that have savepoints.
    careful: u32,
}

/// How a transaction ended.
enum End {
    /// What its requests answered counts.
    Settled,
    /// It was rolled back, and its requests are to run again behind savepoints.
    Again,
}

/// What a request leaves in the transaction.
enum Left {
    /// All of its work, or nothing.
    Whole,
    /// A part of what it gave up.
    Part,
}

impl Batches {
    pub(super) fn new(
        (connection, location): (Connection, Location),
        (watch, generation): (Watch, Arc<AtomicU64>),
    ) -> Self {
        Log::follow(&connection);
        let (log, place) = (Log::default(), location.place());
        let is_outdated = Cell::new(false);
        Self { connection, log, place, location, watch, generation, is_outdated, careful: 0 }
    }

    /// Runs every request, in as few transactions as it takes: one, if nothing breaks it.
    pub(super) fn work_off(&mut self, mut waiting: VecDeque<Box<dyn Request>>) {
        while !waiting.is_empty() {
            if let Err(error) = self.begin() {
                let requests = waiting.len();
                tracing::error!(%error, requests, "no write transaction could begin");
                waiting.into_iter().for_each(|request| request.answer(Err(error.clone())));
                return;
            }
            let mut done = Vec::with_capacity(waiting.len());
            match self.run_some(&mut waiting, &mut done) {
                Ok(End::Again) => {
                    self.is_outdated.set(false);
                    self.careful = CAREFUL;
                    done.into_iter().rev().for_each(|request| waiting.push_front(request));
                }
                Ok(End::Settled) => self.answer(done, Ok(())),
                Err(error) => self.answer(done, Err(error)),
            }
        }
        self.log.merge_if_due(&self.connection, &self.watch);
    }

    /// Merges the log into the file: there is nothing more to come.
    pub(super) fn end(self) {
        self.log.end(&self.connection);
    }

    fn answer(&self, done: Vec<Box<dyn Request>>, committed: Result<(), DbError>) {
        // Even if it failed: nobody knows whether a failed commit is on the disk.
        if self.is_outdated.take() {
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        if let Err(error) = &committed {
            tracing::error!(%error, requests = done.len(), "a batch of writes was rolled back");
        }
        done.into_iter().for_each(|request| request.answer(committed.clone()));
    }

    /// Begins a transaction on files that somebody will find again.
    fn begin(&mut self) -> Result<(), DbError> {
        self.begin_anywhere()?;
        self.place.demand_unmoved().inspect_err(|_| self.roll_back())
    }

    /// Begins a transaction, on a new connection if the old one is beyond repair.
    fn begin_anywhere(&mut self) -> Result<(), DbError> {
        match self.control("BEGIN IMMEDIATE") {
            Ok(()) => return Ok(()),
            Err(DbError::Busy) => return Err(DbError::Busy),
            Err(error) => tracing::error!(%error, "the database connection is replaced"),
        }
        self.connection = self.location.open_writer()?;
        self.place = self.location.place();
        self.log.follow_anew(&self.connection);
        self.control("BEGIN IMMEDIATE")
    }

    /// Moves requests from `waiting` to `done` while running them, and commits.
    ///
    /// Stops early where what is left needs another transaction.
    fn run_some(
        &mut self,
        waiting: &mut VecDeque<Box<dyn Request>>,
        done: &mut Vec<Box<dyn Request>>,
    ) -> Result<End, DbError> {
        let is_careful = self.careful > 0;
        self.careful = self.careful.saturating_sub(1);
        while let Some(mut request) = waiting.pop_front() {
            if request.is_abandoned() {
                request.answer(Err(DbError::Closed));
                continue;
            }
            let is_first = done.is_empty();
            let left = match is_careful {
                true => self.run_apart(request.as_mut()),
                false => self.run_among(request.as_mut()),
            };
            done.push(request);
            match left.inspect_err(|_| self.roll_back())? {
                Left::Whole => {}
                Left::Part => {
                    self.roll_back();
                    return Ok(if is_first { End::Settled } else { End::Again });
                }
            }
        }
        let begun = Instant::now();
        let committed = self.control("COMMIT").inspect_err(|_| self.roll_back());
        self.watch.note("COMMIT", begun, &committed);
        self.watch.committed();
        committed.map(|()| End::Settled)
    }

    /// Runs one request in its savepoint; an error means that the whole transaction is lost.
    fn run_apart(&self, request: &mut dyn Request) -> Result<Left, DbError> {
        self.control("SAVEPOINT request")?;
        let (is_kept, _) = self.run_one(request)?;
        if !is_kept {
            self.control("ROLLBACK TO request")?;
        }
        self.control("RELEASE request")?;
        Ok(Left::Whole)
    }

    /// Runs one request behind those before it; an error means that the whole transaction is lost.
    fn run_among(&self, request: &mut dyn Request) -> Result<Left, DbError> {
        let (is_kept, has_written) = self.run_one(request)?;
        Ok(if has_written && !is_kept { Left::Part } else { Left::Whole })
    }

    /// Runs one request and tells whether its work is to be kept, and whether it wrote.
    fn run_one(&self, request: &mut dyn Request) -> Result<(bool, bool), DbError> {
        let mut tx = Tx::new(&self.connection, Some(&self.watch));
        let is_kept = request.run(&mut tx);
        if tx.is_outdating() {
            self.is_outdated.set(true);
        }
        match tx.take_loss() {
            Some(error) => Err(error),
            None => Ok((is_kept, tx.has_written())),
        }
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
