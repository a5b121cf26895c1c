//! Opening the database file: who may, how it is locked, and what every connection is told.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::error::DbError;
use super::log::bring_to_disk;
use super::place::Place;
use super::settings::{DbSettings, Purpose};
use super::url::DatabaseUrl;
use super::watch::obey_deadlines;

/// The first SQLite without the bug that could corrupt a file when its WAL is reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// For its owner only.
const PRIVATE: u32 = 0o600;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

/// Memory for pages is 2 MiB a connection, and a WAL file is cut back to 16 MiB.
const MEMORY: &str = "PRAGMA cache_size = -2000; PRAGMA journal_size_limit = 16777216;";

/// The file, and how to connect to it.
#[derive(Debug, Clone)]
pub(super) struct Location {
    path: PathBuf,
    busy_timeout: Duration,
    synchronous: &'static str,
    /// Whether this process serves from the file.
    is_served: bool,
}

impl Location {
    /// Makes sure that the file is there, and takes the lock if the purpose is to serve.
    ///
    /// The lock lasts as long as the file that is returned with it.
    pub(super) fn prepare(
        url: &DatabaseUrl,
        settings: &DbSettings,
    ) -> Result<(Self, Option<File>), DbError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            let what = "the SQLite library is older than 3.51.3, which can corrupt a database";
            return Err(DbError::Open { what, source: None });
        }
        let path = file_of(url)?;
        if !path.parent().is_some_and(Path::is_dir) {
            let what = "the folder for the database file does not exist: create it first";
            return Err(DbError::Open { what, source: None });
        }
        demand_writable(url)?;
        let lock = match settings.purpose {
            Purpose::Serve => Some(lock(&path)?),
            Purpose::Command => None,
        };
        create_private(&path)
            .map_err(|error| DbError::open("the database file cannot be created", error))?;
        let synchronous = match settings.danger_lose_last_commits_on_power_cut {
            false => "PRAGMA synchronous = FULL;",
            true => "PRAGMA synchronous = NORMAL;",
        };
        let is_served = lock.is_some();
        Ok((Self { path, busy_timeout: settings.busy_timeout, synchronous, is_served }, lock))
    }

    /// Leads to a file that is there, and makes nothing.
    pub(super) fn existing(url: &DatabaseUrl, busy_timeout: Duration) -> Result<Self, DbError> {
        Ok(Self { path: file_of(url)?, busy_timeout, synchronous: "", is_served: false })
    }

    /// Leads to a database that is there, which this user may write.
    pub(super) fn writable(url: &DatabaseUrl, busy_timeout: Duration) -> Result<Self, DbError> {
        demand_writable(url)?;
        Self::existing(url, busy_timeout)
    }

    /// Opens a connection that only reads, whoever else comes and goes meanwhile.
    ///
    /// It has the right to write, because the log cannot be made, read after a crash, or merged
    /// without it.
    pub(super) fn open_beside_writers(&self) -> Result<Connection, DbError> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch("PRAGMA query_only = ON;").map_err(DbError::from_driver)?;
        Ok(connection)
    }

    /// Opens a connection that reads and leaves nothing behind.
    ///
    /// Without a log beside the file nobody has it open, and SQLite would make one only to read;
    /// it is told that nothing changes instead.
    pub(super) fn open_onlooker(&self) -> Result<Connection, DbError> {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        if Path::new(&log).exists() {
            return self.open_reader();
        }
        // A path of `DatabaseUrl` has none of the characters that mean something in a URI.
        let uri = format!("file:{}?immutable=1", self.path.display());
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        self.connect_to(Path::new(&uri), access)
    }

    /// Opens the connection that writes.
    pub(super) fn open_writer(&self) -> Result<Connection, DbError> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // SQLite falls back to reading when it may not write, on a read-only disk for one.
        if connection.is_readonly("main").map_err(DbError::from_driver)? {
            let what = "this user may not write to the database file";
            return Err(DbError::Open { what, source: None });
        }
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        let mode: String = mode.map_err(DbError::from_driver)?;
        if mode != "wal" {
            let what = "the file system cannot hold a write-ahead log: use a local one";
            return Err(DbError::Open { what, source: None });
        }
        connection
            .execute_batch(self.synchronous)
            .and_then(|()| connection.execute_batch("PRAGMA foreign_keys = ON;"))
            .map_err(DbError::from_driver)?;
        if self.is_served {
            keep_temporary_files(&connection, &self.path).map_err(DbError::from_driver)?;
        }
        Ok(connection)
    }

    /// Opens the connection that writes, at the start, on a log that the disk is known to hold.
    pub(super) fn open_first_writer(&self) -> Result<Connection, DbError> {
        let connection = self.open_writer()?;
        if self.is_served {
            bring_to_disk(&connection, &self.path)?;
        }
        Ok(connection)
    }

    /// Remembers which files these are.
    pub(super) fn place(&self) -> Place {
        Place::of(&self.path)
    }

    /// Opens a connection that reads.
    pub(super) fn open_reader(&self) -> Result<Connection, DbError> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA query_only = ON;").map_err(DbError::from_driver)?;
        Ok(connection)
    }

    fn connect(&self, access: OpenFlags) -> Result<Connection, DbError> {
        self.connect_to(&self.path, access)
    }

    fn connect_to(&self, path: &Path, access: OpenFlags) -> Result<Connection, DbError> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| DbError::open("SQLite cannot open the file", error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        harden(&connection, self.busy_timeout)
            .and_then(|()| obey_deadlines(&connection))
            .map_err(|error| DbError::open(what_stops(&error), error))?;
        Ok(connection)
    }
}

/// Says why a connection cannot be used, and what to do about it.
fn what_stops(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "the file is damaged or no database of SQLite: keep a copy of it, and restore the last \
             good backup"
        }
        _ => "SQLite cannot set up the connection",
    }
}

fn file_of(url: &DatabaseUrl) -> Result<PathBuf, DbError> {
    let what = "it is no file, which this is for";
    url.path().map(Path::to_owned).ok_or(DbError::Open { what, source: None })
}

/// Has large sorts spill beside the database: a service that is locked down can write nowhere else,
/// and rows are not left where everybody keeps files. SQLite has one such folder for a process.
fn keep_temporary_files(connection: &Connection, database: &Path) -> rusqlite::Result<()> {
    let folder = database.parent().and_then(Path::to_str).unwrap_or_default();
    connection.pragma_update(None, "temp_store_directory", folder)
}

/// Lets a crafted file or statement do less, and refuses `"text"` for `'text'`.
pub(super) fn harden(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.execute_batch(MEMORY)
}

/// Takes the lock of the one process that serves, in a file beside the database: the database's
/// own file is SQLite's to lock.
pub(super) fn lock(database: &Path) -> Result<File, DbError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(PRIVATE);
    let file = options
        .open(name)
        .map_err(|error| DbError::open("its lock file cannot be opened", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = "another process already serves from this file: stop that one first";
            Err(DbError::Open { what, source: None })
        }
        Err(TryLockError::Error(error)) => Err(DbError::open("it cannot be locked", error)),
    }
}

/// Refuses what is no file, and a file that this user may not write before SQLite opens it, which
/// would leave files beside it that nobody may write either.
fn demand_writable(url: &DatabaseUrl) -> Result<(), DbError> {
    if let Some((file, fault)) = url.misplaced().into_iter().next() {
        let what = "something else is where one of its files belongs";
        let named = format!("{} {fault}", file.display());
        return Err(DbError::open(what, std::io::Error::other(named)));
    }
    if let Some(file) = url.foreign().into_iter().next() {
        let what = "one of its files belongs to another user, or anybody may write to it";
        return Err(DbError::open(what, std::io::Error::other(file.display().to_string())));
    }
    for file in url.files() {
        match access(&file, Access::WRITE_OK) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => {
                let what = "this user may not write to its file, or to one beside it that has the \
                            same name and -wal, -shm, -journal or .lock behind it";
                return Err(DbError::open(what, error));
            }
        }
    }
    Ok(())
}

/// Creates the file for its owner only; SQLite gives its other files the same mode.
///
/// A file that is there is not touched: closing any handle to it would take away the locks that
/// SQLite holds on it in this process.
fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
