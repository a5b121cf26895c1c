//! Putting a backup in the place of the database.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::BackupError;
use super::partial::{Partial, give_to_owner_of_folder, judge, sync_folder};
use super::verify::{Verified, judge_whole, log_beside};
use super::{Existing, Progress, Watch, beside, folder_of, is_of_database};
use crate::clock::Timestamp;
use crate::db::connection::lock;
use crate::db::inspect::Schema;
use crate::db::tx::Tx;
use crate::db::url::DatabaseUrl;
use crate::db::work::run_in_place;
use crate::db::{DbError, SchemaState};

/// How long to wait for others to let go of the database.
const BUSY: Duration = Duration::from_secs(1);
/// What is copied at once.
const CHUNK: usize = 1 << 20;

/// What is to be put where.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The database whose place it takes.
    pub url: &'a DatabaseUrl,
    /// What to do about a database that is there.
    pub existing: Existing,
    /// The tables that this program knows.
    pub schemas: &'a [Schema],
    /// Names the database that is kept.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug)]
pub struct Restored {
    /// What the database holds now.
    pub verified: Verified,
    /// Where the database is kept that was replaced.
    pub kept: Option<PathBuf>,
}

/// Puts a copy of a backup in the place of the database, in one step.
///
/// The copy is judged before it takes that place, and `amend` changes it before, in one transaction: for
/// what must not come back to life. A database that is replaced stays beside it, as
/// `NAME.before-restore-TIME`. Started by root, the file is given to the owner of its folder.
///
/// # Errors
///
/// [`BackupError`]; the database is then what it was. It is refused while a service runs or another
/// program has the database open.
pub fn restore(
    plan: Restore<'_>,
    amend: impl AsyncFn(&mut Tx<'_>) -> Result<(), DbError>,
    watch: &mut Watch<'_>,
) -> Result<Restored, BackupError> {
    let database = plan.url.path().ok_or(BackupError::Server)?;
    if is_of_database(plan.file, plan.url) {
        return Err(BackupError::OfDatabase);
    }
    let mut source = open_backup(plan.file)?;
    // Held to the end: nobody starts to serve meanwhile.
    let lock = lock(database)?;
    give_to_owner_of_folder(&lock, folder_of(database))?;
    judge_place(database, plan.existing)?;
    let partial = Partial::begin(database)?;
    copy(&mut source, partial.file(), watch)?;
    let verified = judge_whole(partial.path(), plan.schemas, watch)?;
    if !verified.is_good() {
        return Err(BackupError::Rejected(verified.faults));
    }
    if is_known(&verified) {
        amend_copy(partial.path(), amend)?;
    }
    partial.give_to_owner_of_folder()?;
    let old = (plan.existing == Existing::Replace).then(|| set_aside(database, plan.now));
    let old = old.transpose()?.flatten();
    partial.finish(plan.existing)?;
    Ok(Restored { verified, kept: old.map(|old| old.kept) })
}

fn open_backup(file: &Path) -> Result<File, BackupError> {
    let source = File::open(file).map_err(BackupError::system("it cannot be read"))?;
    let metadata = source.metadata().map_err(BackupError::system("it cannot be read"))?;
    if !metadata.is_file() {
        return Err(BackupError::NotPlain("something else"));
    }
    match log_beside(file) {
        Some(fault) => Err(BackupError::Rejected(vec![fault])),
        None => Ok(source),
    }
}

/// Judges the place. A log without its database counts: SQLite would write it into the next one.
fn judge_place(database: &Path, existing: Existing) -> Result<(), BackupError> {
    judge(database, existing)?;
    let is_left = beside(database).iter().any(|file| file.exists());
    match is_left && existing == Existing::Refuse {
        true => Err(BackupError::Exists),
        false => Ok(()),
    }
}

fn copy(source: &mut File, mut into: &File, watch: &mut Watch<'_>) -> Result<(), BackupError> {
    let cannot = "the backup cannot be copied beside the database";
    let total = source.metadata().map_err(BackupError::system(cannot))?.len();
    let mut done = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::system(cannot)(error)),
        };
        let read = chunk.get(..length).unwrap_or_default();
        into.write_all(read).map_err(BackupError::system(cannot))?;
        done += u64::try_from(length).unwrap_or_default();
        if watch(Progress::Copying { done, total }) == ControlFlow::Break(()) {
            return Err(BackupError::Stopped);
        }
    }
    Ok(())
}

/// Tells whether the tables of every component are there, in some version.
fn is_known(verified: &Verified) -> bool {
    let is_absent = |state: &SchemaState| matches!(state, SchemaState::Older { applied: 0, .. });
    !verified.schemas.iter().any(|(_, state)| is_absent(state))
}

fn amend_copy(
    copy: &Path,
    amend: impl AsyncFn(&mut Tx<'_>) -> Result<(), DbError>,
) -> Result<(), BackupError> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(copy, access).map_err(BackupError::of_copy)?;
    let run = |sql: &str| connection.execute_batch(sql).map_err(BackupError::of_copy);
    run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE;
         PRAGMA foreign_keys = ON; BEGIN IMMEDIATE;")?;
    run_in_place(&amend, &mut Tx::new(&connection, None))??;
    run("COMMIT")
}

/// The database that is about to be replaced.
struct Old {
    kept: PathBuf,
    /// Held until the other one has its name, so that nobody writes to this one any more.
    _lock: Option<Connection>,
}

/// Gives the database a second name, under which it stays when its own goes to another file.
///
/// At no moment is there no database, of which a start would make an empty one.
fn set_aside(database: &Path, now: Timestamp) -> Result<Option<Old>, BackupError> {
    let kept = kept_name(database, now);
    let lock = if database.exists() { take_alone(database)? } else { None };
    let cannot = "the present database cannot be kept under another name";
    let ([log, memory, journal], [kept_log, _, kept_journal]) = (beside(database), beside(&kept));
    for (file, kept) in [(log, kept_log), (journal, kept_journal)] {
        // What the lock leaves is empty. Beside a database that SQLite cannot read it may not be,
        // and it must not meet the new one.
        let moved = if lock.is_some() { fs::remove_file(&file) } else { fs::rename(&file, kept) };
        match moved {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BackupError::system(cannot)(error));
            }
            _ => {}
        }
    }
    fs::remove_file(memory).ok();
    match fs::hard_link(database, &kept) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(BackupError::Exists),
        // A file system without links.
        Err(_) => fs::rename(database, &kept).map_err(BackupError::system(cannot))?,
    }
    sync_folder(database)?;
    Ok(Some(Old { kept, _lock: lock }))
}

fn kept_name(database: &Path, now: Timestamp) -> PathBuf {
    let moment: String = now.to_string().chars().filter(|sign| !"-:".contains(*sign)).collect();
    let mut name = database.as_os_str().to_owned();
    name.push(".before-restore-");
    name.push(moment);
    PathBuf::from(name)
}

/// Merges the log into the database and locks it, which shows that nobody else has it open.
///
/// `None` stands for a file that SQLite cannot read, and so nobody uses.
fn take_alone(database: &Path) -> Result<Option<Connection>, BackupError> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let alone = Connection::open_with_flags(database, access).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        // What cannot be read is kept as it is, with its log.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;",
        )?;
        Ok(connection)
    });
    match alone {
        Ok(connection) => Ok(Some(connection)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Err(BackupError::InUse),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Ok(None),
            _ => Err(BackupError::system("the present database cannot be locked")(
                io::Error::other(error),
            )),
        },
    }
}
