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
}

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
    if [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code) {
        return Remedy::Again;
    }
    if is_end_of_connection(code) {
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
    if is_end_of_connection(&code) {
        return DbError::Unreachable(Arc::new(error));
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
        SqlState::TOO_MANY_CONNECTIONS => DbError::Overloaded,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => DbError::Contended,
        SqlState::IN_FAILED_SQL_TRANSACTION => DbError::Aborted,
        _ => other(error),
    }
}

/// Without the report's details, which repeat what was stored.
fn other(error: Error) -> DbError {
    DbError::Other(match error.as_db_error() {
        Some(report) => {
            let said = format!("{}: {}", report.code().code(), report.message());
            Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(said))
        }
        None => Arc::new(error),
    })
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
