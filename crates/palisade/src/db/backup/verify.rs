//! Judging a file that is meant to take the place of the database.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{BackupError, Fault};
use super::expected::{Difference, compare, is_virtual, objects};
use super::{Progress, Watch, beside};
use crate::db::connection::harden;
use crate::db::inspect::{Schema, state};
use crate::db::migrate::SchemaState;

/// How long a file may be locked by somebody else; nobody locks one that does not change.
const BUSY: Duration = Duration::from_secs(1);
/// How often the watcher is asked while the file is read.
const LOOK: Duration = Duration::from_millis(100);
/// Most broken references that are counted.
const MOST_DANGLING: usize = 100;

/// What a file holds, and what is wrong with it.
#[derive(Debug)]
pub struct Verified {
    /// Its size.
    pub bytes: u64,
    /// Each table by its name, with the number of its rows.
    pub tables: Vec<(String, u64)>,
    /// For each component, how its schema compares with what this program knows.
    pub schemas: Vec<(&'static str, SchemaState)>,
    /// Why it cannot be put back; empty if it can.
    pub faults: Vec<Fault>,
    /// What is strange and does no harm, in words.
    pub notes: Vec<String>,
}

impl Verified {
    /// Tells whether the file could take the place of the database.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// Tells whether an older program made it, so that the next start brings it to this version.
    pub fn is_older(&self) -> bool {
        self.schemas.iter().any(|(_, state)| matches!(state, SchemaState::Older { .. }))
    }

    /// Tells whether it would be worthless to any program.
    pub(super) fn is_damaged(&self) -> bool {
        let is_damage = |fault: &Fault| matches!(fault, Fault::Damaged(_) | Fault::Dangling(_));
        self.faults.iter().any(is_damage)
    }
}

/// Judges a backup without changing it: whether it is whole, its references, its schema; counts its rows.
///
/// All of it is read. It must not be in use: a file with a log beside it is at fault.
///
/// # Errors
///
/// Why it cannot be read at all. What is wrong with it is in [`Verified::faults`].
pub fn verify(
    file: &Path,
    schemas: &[Schema],
    watch: &mut Watch<'_>,
) -> Result<Verified, BackupError> {
    let metadata = fs::metadata(file).map_err(BackupError::system("it cannot be read"))?;
    if !metadata.is_file() {
        return Err(BackupError::NotPlain("something else"));
    }
    let log = log_beside(file);
    let mut verified = judge_whole(file, schemas, watch)?;
    verified.faults.extend(log);
    Ok(verified)
}

/// Returns what shows that the file was in use when it was copied.
pub(super) fn log_beside(file: &Path) -> Option<Fault> {
    let [log, _, journal] = beside(file);
    let left = [log, journal].into_iter().find(|path| path.exists())?;
    Some(Fault::HasLog(left.file_name().unwrap_or_default().to_string_lossy().into_owned()))
}

/// Judges a file that nobody else uses.
pub(super) fn judge_whole(
    file: &Path,
    schemas: &[Schema],
    watch: &mut Watch<'_>,
) -> Result<Verified, BackupError> {
    let bytes = fs::metadata(file).map_err(BackupError::system("it cannot be read"))?.len();
    let (tables, notes, faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut verified = Verified { bytes, tables, schemas: Vec::new(), faults, notes };
    let judged = open(file).and_then(|connection| {
        verified.faults = integrity(&connection, watch)?;
        if verified.faults.is_empty() {
            judge_schema(&connection, schemas, &mut verified)?;
            verified.tables = counted(&connection)?;
        }
        Ok(())
    });
    match judged {
        Ok(()) => Ok(verified),
        Err(error) => match damage(&error) {
            Some(words) => {
                verified.faults.push(Fault::Damaged(words));
                Ok(verified)
            }
            None => Err(BackupError::of_copy(error)),
        },
    }
}

/// Returns what SQLite says of a file that it cannot read.
fn damage(error: &rusqlite::Error) -> Option<String> {
    match error.sqlite_error_code()? {
        ErrorCode::NotADatabase => Some("it is no database of SQLite".to_owned()),
        ErrorCode::DatabaseCorrupt => Some(error.to_string()),
        _ => None,
    }
}

/// Opens a file that does not change, without making others beside it.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            // Writing to a text cannot fail.
            _ => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri.push_str("?immutable=1");
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, access)?;
    harden(&connection, BUSY)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA query_only = ON;")?;
    Ok(connection)
}

fn judge_schema(
    connection: &Connection,
    schemas: &[Schema],
    verified: &mut Verified,
) -> rusqlite::Result<()> {
    let mut states = Vec::new();
    for schema in schemas {
        match state(connection, *schema) {
            Ok(found) => states.push((*schema, found)),
            Err(error) => verified.faults.push(Fault::Schema(error.to_string())),
        }
    }
    verified.schemas = states.iter().map(|(schema, state)| (schema.component, *state)).collect();
    if !verified.faults.is_empty() {
        // With other migrations there is nothing to compare the tables with.
        return Ok(());
    }
    for (component, state) in &verified.schemas {
        if let SchemaState::Newer { applied, known } = *state {
            verified.faults.push(Fault::Newer { component, applied, known });
        }
    }
    let is_empty =
        |(_, state): &(_, SchemaState)| matches!(state, SchemaState::Older { applied: 0, .. });
    if verified.faults.is_empty() && verified.schemas.iter().all(is_empty) {
        verified.faults.push(Fault::Foreign);
        return Ok(());
    }
    match compare(connection, &states) {
        Ok(Difference { faults, notes }) => {
            verified.faults.extend(faults);
            verified.notes = notes;
        }
        Err(error) => verified.faults.push(Fault::Schema(error.to_string())),
    }
    Ok(())
}

/// Counts the rows of every table whose rows are in the file.
fn counted(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let all = objects(connection)?;
    let tables = all.iter().filter(|((kind, _), text)| kind == "table" && !is_virtual(text));
    let counted = tables.map(|((_, name), _)| {
        let quoted = name.replace('"', "\"\"");
        let sql = format!("SELECT count(*) FROM \"{quoted}\"");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok((name.clone(), u64::try_from(count).unwrap_or_default()))
    });
    counted.collect()
}

/// Looks for damage, and asks the watcher meanwhile whether to go on.
fn integrity(connection: &Connection, watch: &mut Watch<'_>) -> rusqlite::Result<Vec<Fault>> {
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = sync_channel::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The other end goes when the looking is over.
            while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if watch(Progress::Judging).is_break() {
                    interrupt.interrupt();
                }
            }
        });
        let found = look(connection);
        drop(done);
        found
    })
}

fn look(connection: &Connection) -> rusqlite::Result<Vec<Fault>> {
    let word: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if word != "ok" {
        return Ok(vec![Fault::Damaged(word)]);
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while count < MOST_DANGLING && rows.next()?.is_some() {
        count += 1;
    }
    Ok(if count == 0 { Vec::new() } else { vec![Fault::Dangling(count)] })
}
