//! What can go wrong between a feature and its database, in words that hold no stored value.

use std::error::Error;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// What lies under an error. Shared, because one failed commit answers many callers.
pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// Why the database did not do what it was asked.
///
/// The text of every variant names tables, columns and constraints at most, never a value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// More work is waiting than the settings allow; trying again later may succeed.
    #[error("the database has more work waiting than it takes on")]
    Overloaded,
    /// Another program kept the database locked for longer than the busy timeout.
    #[error("another program holds the database locked")]
    Busy,
    /// A statement took longer than one may, and was ended. Nothing of its transaction is kept.
    #[error("a statement took longer than it may and was ended")]
    TooLong,
    /// The disk is full. Nothing was written, and no restart is needed once there is space.
    #[error("the disk that holds the database is full")]
    Full,
    /// The work waited for something other than its transaction, which the writer never does.
    #[error("work inside a transaction waited for something else and was rolled back")]
    Stalled,
    /// The work panicked and was rolled back.
    #[error("work inside a transaction panicked and was rolled back")]
    Panicked,
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// A read tried to write.
    #[error("a read tried to write to the database")]
    ReadOnly,
    /// The server takes no writes at present: it is a standby, or an administrator has set it to
    /// read only. Reads go on.
    #[error("the database server takes no writes: it is a standby or set to read only")]
    WritesRefused,
    /// The file of the database, or its log, is no longer where it was: what is written there would
    /// be lost. Nothing was written, and no restart is needed once both are back.
    #[error(
        "the database's file or its log was moved, removed or replaced while the service runs: put \
         both back, or stop the service before anything else is done with them"
    )]
    Moved,
    /// An earlier failure took the whole transaction with it.
    #[error("the transaction was rolled back by an earlier failure")]
    Aborted,
    /// The parameters of the statement are not exactly `$1` to the number of values given.
    #[error("the statement has {expected} parameters, {given} values were given for $1 and up")]
    ArgumentCount {
        /// Distinct parameters in the statement.
        expected: usize,
        /// Values that were given.
        given: usize,
    },
    /// One row was expected.
    #[error("one row was expected, and there were {}", if *.found == 0 { "none" } else { "more" })]
    RowCount {
        /// Rows seen before the search ended: 0 or 2.
        found: usize,
    },
    /// A column is missing, or holds something that this program does not store in it.
    #[error("the column {column} is missing or holds what this program does not store there")]
    Corrupt {
        /// The column's name.
        column: String,
    },
    /// A row with this key exists already; see [`DbError::is_unique_violation`].
    #[error("a row with the same {columns} exists")]
    Unique {
        /// The columns of the key in its order, as `table.column, table.column`.
        columns: String,
    },
    /// The row breaks a rule of the table other than a unique key.
    #[error("the {kind} constraint {name:?} is violated")]
    Constraint {
        /// Which kind of rule.
        kind: ConstraintKind,
        /// What the database calls it; empty for a foreign key on SQLite.
        name: String,
    },
    /// The database could not be opened.
    #[error("the database cannot be opened: {what}")]
    Open {
        /// What is wrong, and what to do about it.
        what: &'static str,
        /// What the system said.
        #[source]
        source: Option<Cause>,
    },
    /// The migrations of a component do not fit together, or not to what was applied.
    #[error("schema of {component}, migration {migration}: {problem}")]
    Schema {
        /// Whose schema.
        component: &'static str,
        /// The migration's version and name.
        migration: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A newer release has changed the schema; this one must not touch the data.
    #[error(
        "the schema of {component} is at version {applied}, this program knows {known}: \
         start a release at least as new as the one that changed it"
    )]
    TooNew {
        /// Whose schema.
        component: &'static str,
        /// The version in the database.
        applied: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A migration failed; it left nothing behind, and those before it stay applied.
    #[error("schema of {component}: the migration {name} failed")]
    Migration {
        /// Whose schema.
        component: &'static str,
        /// The migration's name.
        name: &'static str,
        /// Why it failed.
        #[source]
        source: Box<Self>,
    },
    /// Transactions that ran at the same time undid this one again and again.
    #[error("the transaction was undone by others each time it was tried")]
    Contended,
    /// The server cannot be reached, or went away before it was asked to commit.
    #[error("the database server cannot be reached: {0}")]
    Unreachable(#[source] Cause),
    /// The connection ended while the server committed: nobody knows whether it did.
    #[error("the connection ended during a commit, which may have been done or not")]
    Unknown,
    /// Anything else that the database reports.
    #[error("the database reports: {0}")]
    Other(#[source] Cause),
}

/// Which kind of rule a row breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConstraintKind {
    /// A `CHECK`.
    Check,
    /// A reference to a row that does not exist, or from a row that still does.
    ForeignKey,
    /// A `NOT NULL`.
    NotNull,
    /// A value of another type than its column's.
    Type,
    /// Any other.
    Other,
}

impl std::fmt::Display for ConstraintKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Check => "check",
            Self::ForeignKey => "foreign key",
            Self::NotNull => "not null",
            Self::Type => "type",
            Self::Other => "other",
        })
    }
}

impl DbError {
    /// Tells whether this is a second row with the same key, where `columns` names the key.
    ///
    /// A key is named by its columns in its order, `"orders.account, orders.reference"`, because
    /// that is what SQLite reports. PostgreSQL reports the name of the constraint, which its
    /// catalogue turns into the same columns. A key over an expression has no such name: keep
    /// those columns plain.
    ///
    /// ```
    /// use palisade::db::DbError;
    ///
    /// let error = DbError::Unique { columns: "accounts.email".into() };
    /// assert!(error.is_unique_violation("accounts.email"));
    /// assert!(!error.is_unique_violation("accounts.id"));
    /// ```
    pub fn is_unique_violation(&self, columns: &str) -> bool {
        matches!(self, Self::Unique { columns: violated } if violated == columns)
    }

    /// Says that `column` holds something that is not understood.
    pub(super) fn corrupt(column: &str) -> Self {
        Self::Corrupt { column: column.to_owned() }
    }

    /// Says that the server cannot be reached, and why.
    pub(super) fn unreachable(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unreachable(Arc::new(source))
    }

    /// Tells whether a statement with this outcome leaves its transaction as it was: it was not run,
    /// or what it answered was not understood.
    pub(super) fn spares_the_transaction(&self) -> bool {
        matches!(self, Self::ArgumentCount { .. } | Self::RowCount { .. } | Self::Corrupt { .. })
    }

    /// Says that the database cannot be opened, with what the system said.
    pub(super) fn open(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Open { what, source: Some(Arc::new(source)) }
    }

    /// Sorts what the driver reports. Not a `From`, so that the driver stays private.
    pub(super) fn from_driver(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return Self::Other(Arc::new(error));
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::OperationInterrupted => Self::TooLong,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::ConstraintViolation => {
                constraint(failure.extended_code, message.as_deref().unwrap_or_default())
            }
            _ => Self::Other(Arc::new(error)),
        }
    }
}

/// Reads SQLite's `UNIQUE constraint failed: orders.id`.
fn constraint(code: i32, message: &str) -> DbError {
    let name = message.split_once(": ").map_or("", |(_, name)| name).to_owned();
    let kind = match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => return DbError::Unique { columns: name },
        ffi::SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ConstraintKind::ForeignKey,
        ffi::SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
        ffi::SQLITE_CONSTRAINT_DATATYPE => {
            // The message is all there is: "cannot store TEXT value in INTEGER column t.c".
            let column = message.rsplit(' ').next().unwrap_or_default().to_owned();
            return DbError::Constraint { kind: ConstraintKind::Type, name: column };
        }
        _ => ConstraintKind::Other,
    };
    DbError::Constraint { kind, name }
}
