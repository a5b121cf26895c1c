//! What PostgreSQL reports, in the words of [`DbError`], and whether trying again can help.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError as Report, SqlState};

use super::super::error::{ConstraintKind, DbError};

/// The columns of each unique key, by its name: `table.column, table.column`.
pub(super) type Keys = HashMap<String, String>;

/// What a failure means for the transaction that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// None: it would fail again.
    None,
    /// Another transaction was in the way: run it again.
    Again,
    /// The connection is gone: run it again on another one, unless it was committing.
    Reconnect,
    /// A unique key that is newer than the connection: run it again when its columns are known.
    LearnKeys,
    /// None, and the connection is not to be used again.
    Forsake,
}

/// What became of a commit.
#[derive(Debug)]
pub(super) enum Commit {
    /// It is kept.
    Done,
    /// Nothing of it is, for a reason that is over when it is run again.
    Undone(Remedy),
    /// Nothing of it is, or with [`DbError::Unknown`] nobody knows.
    Failed(DbError),
}

impl Commit {
    /// Judges what the server, or nobody, answered.
    pub(super) fn judge(error: Error, keys: &Keys) -> Self {
        let Some(code) = error.as_db_error().map(|report| report.code().clone()) else {
            return Self::Failed(DbError::Unknown);
        };
        if is_contended(&code) {
            return Self::Undone(Remedy::Again);
        }
        if code.code() == IDLE_FOR_TOO_LONG {
            return Self::Undone(Remedy::Reconnect);
        }
        // The server may have ended the connection after the commit and before it said so.
        let is_unknown = is_end_of_connection(&code) || code.code() == COMPLETION_UNKNOWN;
        Self::Failed(if is_unknown { DbError::Unknown } else { sorted(error, keys) })
    }
}

/// The server rolled a transaction back that did nothing for a while, and ended the connection.
const IDLE_FOR_TOO_LONG: &str = "25P03";
/// What other engines on the same protocol say of a commit of which they do not know.
const COMPLETION_UNKNOWN: &str = "40003";

/// Returns what can be done about `error`.
pub(super) fn remedy(error: &Error, keys: &Keys) -> Remedy {
    let Some(report) = error.as_db_error() else {
        let is_local = std::error::Error::source(error).is_some_and(|cause| {
            // Only a broken connection has the system's own error below it.
            cause.downcast_ref::<std::io::Error>().is_none()
        });
        return if error.is_closed() || !is_local { Remedy::Reconnect } else { Remedy::None };
    };
    let code = report.code();
    if is_contended(code) {
        return Remedy::Again;
    }
    if is_end_of_connection(code) || code.code() == IDLE_FOR_TOO_LONG {
        return Remedy::Reconnect;
    }
    let is_unknown = |name: &str| !keys.contains_key(name);
    if *code == SqlState::UNIQUE_VIOLATION && report.constraint().is_some_and(is_unknown) {
        return Remedy::LearnKeys;
    }
    // A statement that was prepared before the tables changed.
    let is_stale =
        *code == SqlState::FEATURE_NOT_SUPPORTED && report.message().contains("cached plan");
    if is_stale { Remedy::Reconnect } else { Remedy::None }
}

fn is_contended(code: &SqlState) -> bool {
    [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code)
}

/// Tells whether the server takes no writes: it is a standby, or set to read only.
pub(super) fn refuses_writes(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Class 57P is the operator's: shutdown, crash, not yet up. Class 08 is the connection's own.
fn is_end_of_connection(code: &SqlState) -> bool {
    code.code().starts_with("57P") || code.code().starts_with("08")
}

/// Sorts what the driver reports.
pub(super) fn sorted(error: Error, keys: &Keys) -> DbError {
    let Some(report) = error.as_db_error() else {
        let is_unreachable = error.is_closed() || remedy(&error, keys) == Remedy::Reconnect;
        return if is_unreachable { DbError::Unreachable(Arc::new(error)) } else { other(error) };
    };
    let code = report.code().clone();
    if is_end_of_connection(&code) || code.code() == IDLE_FOR_TOO_LONG {
        return DbError::unreachable(Refusal::from(report));
    }
    match code {
        SqlState::UNIQUE_VIOLATION => unique(report, keys),
        SqlState::CHECK_VIOLATION => constraint(ConstraintKind::Check, report.constraint()),
        // SQLite has no name for it.
        SqlState::FOREIGN_KEY_VIOLATION => constraint(ConstraintKind::ForeignKey, None),
        SqlState::NOT_NULL_VIOLATION => not_null(report),
        SqlState::READ_ONLY_SQL_TRANSACTION => DbError::ReadOnly,
        SqlState::DISK_FULL => DbError::Full,
        SqlState::QUERY_CANCELED => DbError::TooLong,
        SqlState::LOCK_NOT_AVAILABLE => DbError::Busy,
        // Memory, connections, locks: less at once may work.
        code if code.code().starts_with("53") => DbError::Overloaded,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => DbError::Contended,
        SqlState::IN_FAILED_SQL_TRANSACTION => DbError::Aborted,
        _ => other(error),
    }
}

fn other(error: Error) -> DbError {
    DbError::Other(match error.as_db_error() {
        Some(report) => Arc::new(Refusal::from(report)),
        None => Arc::new(error),
    })
}

/// What the server says, without the details, which repeat what was stored.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({})", code.code())]
pub(super) struct Refusal {
    code: SqlState,
    message: String,
}

impl From<&Report> for Refusal {
    fn from(report: &Report) -> Self {
        Self { code: report.code().clone(), message: report.message().to_owned() }
    }
}

/// Tells whether the server takes no further connection, while it may serve those that it has.
pub(super) fn is_for_want_of_connections(error: &DbError) -> bool {
    let DbError::Unreachable(cause) = error else { return false };
    let refusal = cause.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.code == SqlState::TOO_MANY_CONNECTIONS)
}

fn unique(report: &Report, keys: &Keys) -> DbError {
    let name = report.constraint().unwrap_or_default();
    DbError::Unique { columns: keys.get(name).map_or(name, String::as_str).to_owned() }
}

fn not_null(report: &Report) -> DbError {
    let name =
        report.table().zip(report.column()).map(|(table, column)| format!("{table}.{column}"));
    constraint(ConstraintKind::NotNull, name.as_deref())
}

fn constraint(kind: ConstraintKind, name: Option<&str>) -> DbError {
    DbError::Constraint { kind, name: name.unwrap_or_default().to_owned() }
}
