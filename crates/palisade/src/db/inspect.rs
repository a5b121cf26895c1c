//! A look at a database that changes nothing: whether it is whole, and which schema it has.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::connection::Location;
use super::error::DbError;
use super::migrate::{self, Migration, SchemaState};
use super::tx::Tx;
use super::url::DatabaseUrl;
use super::work::run_in_place;

/// A component, and the migrations that the program knows of it.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Whose tables these are.
    pub component: &'static str,
    /// The migrations, in order.
    pub migrations: &'static [Migration],
}

/// Whether the file is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Everything that was looked at fits together.
    Sound,
    /// Something does not; the words name tables, indexes and pages.
    Damaged(String),
    /// Rows refer to rows that do not exist; how many, at most 100.
    Dangling(usize),
    /// There was no time to look at all of it.
    Unfinished,
}

/// What a database says of itself.
#[derive(Debug)]
pub struct Inspection {
    /// Whether it is whole.
    pub integrity: Integrity,
    /// For each component that was asked about, how its schema compares.
    pub schemas: Vec<Result<SchemaState, DbError>>,
}

/// How long to wait for a lock that another program holds.
const BUSY: Duration = Duration::from_secs(2);
/// How long after one interruption the next follows.
const AGAIN: Duration = Duration::from_millis(1);
/// Most broken references that are counted.
const MOST_DANGLING: usize = 100;

/// Looks at a database that exists; nothing is written, and no file is made.
///
/// A process may serve from it at the same time. The whole file is read, for the time `within` at
/// most, so call it where blocking is allowed.
///
/// # Errors
///
/// Why it cannot be opened or read at all.
pub fn inspect(
    url: &DatabaseUrl,
    schemas: &[Schema],
    within: Duration,
) -> Result<Inspection, DbError> {
    let connection = match Location::existing(url, BUSY).and_then(|place| place.open_onlooker()) {
        Err(error) => {
            let damage = damage(&error).ok_or(error)?;
            let integrity = Integrity::Damaged(damage.to_owned());
            return Ok(Inspection { integrity, schemas: Vec::new() });
        }
        Ok(opened) => opened,
    };
    let states = schemas.iter().map(|schema| state(&connection, *schema)).collect();
    Ok(Inspection { integrity: integrity(&connection, within)?, schemas: states })
}

/// Tells how the file is damaged, as SQLite says; looking into it would take away the locks that this
/// process may hold.
fn damage(error: &DbError) -> Option<&'static str> {
    let DbError::Open { source: Some(source), .. } = error else { return None };
    match source.downcast_ref::<rusqlite::Error>()?.sqlite_error_code()? {
        ErrorCode::NotADatabase => Some("the file is no database of SQLite"),
        ErrorCode::DatabaseCorrupt => Some("the file cannot be read: it is malformed, or cut off"),
        _ => None,
    }
}

/// Compares the schema that a connection sees with what is known.
pub(super) fn state(connection: &Connection, schema: Schema) -> Result<SchemaState, DbError> {
    let Schema { component, migrations } = schema;
    connection.execute_batch("BEGIN DEFERRED").map_err(DbError::from_driver)?;
    let ask = async |tx: &mut Tx<'_>| migrate::state(tx, component, migrations).await;
    let state = run_in_place(&ask, &mut Tx::new(connection, None));
    connection.execute_batch("ROLLBACK").map_err(DbError::from_driver)?;
    state?
}

/// Looks for damage until the time is over.
fn integrity(connection: &Connection, within: Duration) -> Result<Integrity, DbError> {
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = sync_channel::<()>(1);
    let found = std::thread::scope(|scope| {
        let watcher = scope.spawn(move || {
            // The other end goes when the looking is over. Between two statements there is nothing
            // to interrupt, so once is not enough.
            let mut wait = within;
            while is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                interrupt.interrupt();
                wait = AGAIN;
            }
        });
        let found = look(connection);
        drop(done);
        // Waited for, so that whoever counts threads behind this does not count it.
        watcher.join().ok();
        found
    });
    match found {
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == ErrorCode::OperationInterrupted =>
        {
            Ok(Integrity::Unfinished)
        }
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            Ok(Integrity::Damaged(failure.to_string()))
        }
        found => found.map_err(DbError::from_driver),
    }
}

fn look(connection: &Connection) -> rusqlite::Result<Integrity> {
    let word: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if word != "ok" {
        return Ok(Integrity::Damaged(word));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while count < MOST_DANGLING && rows.next()?.is_some() {
        count += 1;
    }
    Ok(if count == 0 { Integrity::Sound } else { Integrity::Dangling(count) })
}
