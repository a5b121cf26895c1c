//! Why there is no backup, or none that can be put back, in words for whoever is called at night.

use std::io;

use rusqlite::ErrorCode;

use crate::db::DbError;

/// Why a backup was not taken, judged or put back. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The database cannot be used, or somebody serves from the one to be replaced.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The database is a server's, which has tools of its own.
    #[error("DATABASE_URL names a server: use pg_dump or pg_basebackup (docs/operate/backup.md)")]
    Server,
    /// There is no database to back up.
    #[error("there is no database yet at the address that DATABASE_URL names")]
    NoDatabase,
    /// The file is part of the database itself.
    #[error("it belongs to the database itself: name another file")]
    OfDatabase,
    /// Something has the name already.
    #[error("it exists: name another file, or add --force to replace it")]
    Exists,
    /// What has the name is no file, or only leads to one.
    #[error("it is no plain file, but {0}: name a file in a folder")]
    NotPlain(&'static str),
    /// Two runs have one target.
    #[error("another run is writing to it: wait for that one")]
    UnderWay,
    /// The disk of the copy is full.
    #[error("the disk that it would be written to is full; nothing of it was left there")]
    Full,
    /// The log that the database keeps meanwhile has grown too long.
    #[error(
        "more was written to the database meanwhile than 1 GiB: take the backup to a faster disk, \
         or when less is written"
    )]
    Outrun,
    /// Other programs use the database that would be replaced.
    #[error("another program uses the database: stop the service and wait for commands to end")]
    InUse,
    /// It was asked to stop.
    #[error("stopped; nothing of it was left")]
    Stopped,
    /// It is not what could be put back.
    #[error("it cannot be used: {}", listed(.0))]
    Rejected(Vec<Fault>),
    /// The system refuses.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    /// Says that the system refused to do `what`.
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::System { what, source },
        }
    }

    /// Sorts what SQLite says of the copy.
    pub(super) fn of_copy(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OperationInterrupted) => Self::Stopped,
            _ => Self::Database(DbError::from_driver(error)),
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a file cannot take the place of the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Rows refer to rows that do not exist.
    #[error("{0} or more of its rows refer to rows that are not there")]
    Dangling(usize),
    /// It was copied from under a program that used it.
    #[error(
        "{0} lies beside it, so it is in use or was not made by `backup`, and may lack what was \
         written last"
    )]
    HasLog(String),
    /// It holds none of the tables that are asked for.
    #[error("it is a database, but not one of this program")]
    Foreign,
    /// A newer program made it.
    #[error(
        "the schema of {component} is at version {applied}, and this program knows {known}: use a \
         release at least as new as the one that made it"
    )]
    Newer {
        /// Whose schema.
        component: &'static str,
        /// The version in the file.
        applied: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// Its migrations are not those of this program.
    #[error("{0}")]
    Schema(String),
    /// A table that the program needs is not there.
    #[error("the table {0} is missing")]
    Missing(String),
    /// It would run what the program did not put there.
    #[error("it has a {kind} named {name}, which this program does not make and would run")]
    Active {
        /// A trigger, a view or a virtual table.
        kind: String,
        /// What it is called.
        name: String,
    },
}
