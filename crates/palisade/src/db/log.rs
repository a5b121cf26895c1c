//! The write-ahead log: when it is merged into the database, and what is believed of a disk whose
//! flushes fail.
//!
//! A flush that fails may have lost what it should have brought to the disk, and the system forgets
//! that: what it lost counts as written, and the next flush succeeds without it. So
//!
//! 1. A failed flush of the log fails its commit. The next commit writes over the same place.
//! 2. After a failed flush of the database the log is merged no more and never cut: it has all that
//!    was lost. The next start merges the whole of it.
//! 3. A start writes again what it finds in the log, before anything comes behind it.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ffi};

use super::error::DbError;
use super::place::log_of;
use super::watch::Watch;

/// The length from which on the log is merged, in pages: SQLite's own default.
const DUE: i32 = 1000;

/// Merges what no reader and no writer has to wait for.
const MERGE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Bytes that are written again in one step.
const STEP: usize = 1 << 20;

thread_local! {
    /// How many pages the log had after the last commit of this thread.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// What is known of the log of the connection that writes.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is merged when it is long enough.
    #[default]
    Merged,
    /// Merging it failed, which has been told, and is tried again.
    Unmerged,
    /// A flush of the database failed: only the log is known to be whole.
    Kept,
}

impl Log {
    /// Has commits of `connection` tell how long the log is, where SQLite would merge it before
    /// anybody is answered and tell nobody how that went.
    pub(super) fn follow(connection: &Connection) {
        connection.wal_hook(Some(note_length));
    }

    /// Does the same for the connection that takes the place of another.
    pub(super) fn follow_anew(&self, connection: &Connection) {
        Self::follow(connection);
        if self.state == State::Kept {
            keep(connection);
        }
    }

    /// Merges the log if it is long enough. To be called behind the answers, which need not wait.
    pub(super) fn merge_if_due(&mut self, connection: &Connection, watch: &Watch) {
        if self.state != State::Kept && PAGES.get() >= DUE {
            let begun = Instant::now();
            let merged = run(connection, MERGE);
            watch.note_duration(MERGE, begun);
            self.note(connection, merged);
        }
    }

    /// Merges all of the log into the database, if that can be: there is nothing more to come.
    pub(super) fn end(mut self, connection: &Connection) {
        if self.state != State::Kept {
            let merged = run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
            self.note(connection, merged);
        }
    }

    fn note(&mut self, connection: &Connection, merged: rusqlite::Result<()>) {
        let Err(error) = merged else {
            self.state = State::Merged;
            return;
        };
        if is_failed_flush(&error) {
            self.state = State::Kept;
            tracing::error!(
                %error,
                "the database could not be flushed to the disk: what was acknowledged is kept in its \
                 log until the next start; look at the disk, then restart"
            );
            keep(connection);
        } else if self.state == State::Merged {
            self.state = State::Unmerged;
            tracing::error!(%error, "the write-ahead log was not merged, and is kept");
        }
    }
}

fn note_length(_: &Wal, pages: i32) -> rusqlite::Result<()> {
    PAGES.set(pages);
    Ok(())
}

fn run(connection: &Connection, merge: &'static str) -> rusqlite::Result<()> {
    connection.query_row(merge, [], |_| Ok(()))
}

/// Tells whether the system says that it does not know what is on the disk.
fn is_failed_flush(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&error.extended_code)
    })
}

/// Has SQLite not merge and remove the log when it closes the connection.
fn keep(connection: &Connection) {
    let without = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    if let Err(error) = without {
        tracing::error!(%error, "the write-ahead log may be merged at the end");
    }
}

/// Brings the log of `database` to the disk, as it is read now.
///
/// After a crash SQLite reads what the log was meant to be from memory. A part whose flush failed is
/// in memory only, and commits behind it would be cut off from it by a power cut.
///
/// # Errors
///
/// [`DbError::Open`] if the disk does not take it. One that is full is no error: reading goes on.
pub(super) fn bring_to_disk(connection: &Connection, database: &Path) -> Result<(), DbError> {
    let log = log_of(database);
    if std::fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
        return Ok(());
    }
    // Nobody else may write to the log meanwhile.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(DbError::from_driver)?;
    let written = write_again(&log);
    connection.execute_batch("ROLLBACK").map_err(DbError::from_driver)?;
    match written {
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            tracing::error!(%error, "the write-ahead log could not be written again");
            Ok(())
        }
        Err(error) => Err(DbError::open("its log cannot be brought to the disk", error)),
        Ok(()) => Ok(()),
    }
}

/// Writes what the file holds to where it is, and flushes it.
fn write_again(log: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(log)?;
    let mut step = vec![0; STEP];
    let mut at = 0;
    while let Some(length) = write_step(&file, &mut step, at)? {
        at = length.saturating_add(at);
    }
    file.sync_data()
}

/// Writes the part of `file` that begins at `at` again and returns its length; `None` at the end.
fn write_step(file: &File, step: &mut [u8], at: u64) -> std::io::Result<Option<u64>> {
    let length = file.read_at(step, at)?;
    let Some(read) = step.get(..length).filter(|read| !read.is_empty()) else {
        return Ok(None);
    };
    file.write_all_at(read, at)?;
    Ok(u64::try_from(length).ok())
}
