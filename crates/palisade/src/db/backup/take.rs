//! Taking a backup while others read and write.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::BackupError;
use super::partial::{Partial, judge};
use super::verify::{Verified, judge_whole};
use super::{Existing, Progress, Watch, is_of_database};
use crate::db::connection::Location;
use crate::db::inspect::Schema;
use crate::db::url::{DatabaseUrl, files_of};

/// Pages that are copied in one step: 1 MiB of pages of 4 KiB.
const PAGES: i32 = 256;
/// Steps between two waits for the disk, so that it is not flooded with 64 MiB at the end, which the
/// commits of the service would wait for.
const STEPS: u32 = 64;
/// Longest pause after a step. A step is followed by a pause as long as it took, so that half of
/// the disk's time is left to others.
const PAUSE: Duration = Duration::from_millis(50);
/// From this length of the log on there are no pauses: it can only be cut once the backup is done.
const HASTE: u64 = 64 << 20;
/// From this length of the log on the backup gives up, rather than fill the disk of the service.
const MOST_LOG: u64 = 1 << 30;
/// How long to wait for a lock that another program holds.
const BUSY: Duration = Duration::from_secs(5);

/// Writes a copy of the database to `file`, as it was at one moment, and judges it.
///
/// The service may run: it is not made to wait, and its log grows by what is written meanwhile, at
/// most to 1 GiB. The file is its owner's alone (0600). What is returned tells of faults that do
/// not make the copy worthless, such as a schema that is newer than this program.
///
/// # Errors
///
/// [`BackupError`]; there is no file then. One with damage is [`BackupError::Rejected`].
pub fn take(
    url: &DatabaseUrl,
    (file, existing): (&Path, Existing),
    schemas: &[Schema],
    watch: &mut Watch<'_>,
) -> Result<Verified, BackupError> {
    if is_of_database(file, url) {
        return Err(BackupError::OfDatabase);
    }
    judge(file, existing)?;
    if !url.path().ok_or(BackupError::Server)?.exists() {
        return Err(BackupError::NoDatabase);
    }
    let source = Location::writable(url, BUSY)?.open_beside_writers()?;
    let partial = Partial::begin(file)?;
    copy(&source, &partial, url, watch)?;
    // The log can be cut again from here on.
    drop(source);
    let verified = judge_whole(partial.path(), schemas, watch)?;
    if verified.is_damaged() {
        return Err(BackupError::Rejected(verified.faults));
    }
    partial.finish(existing)?;
    Ok(verified)
}

/// Copies what the database was when this began.
///
/// SQLite's own backup begins anew whenever another program writes, and so would never end beside
/// a busy service. It does not while its source stands in one transaction of reading.
fn copy(
    source: &Connection,
    partial: &Partial,
    url: &DatabaseUrl,
    watch: &mut Watch<'_>,
) -> Result<(), BackupError> {
    let [_, log, ..] = files_of(url.path().ok_or(BackupError::Server)?);
    let mut into = open_empty(partial.path()).map_err(BackupError::of_copy)?;
    source
        .execute_batch("BEGIN DEFERRED; SELECT count(*) FROM sqlite_schema;")
        .map_err(BackupError::of_copy)?;
    let backup = Backup::new(source, &mut into).map_err(BackupError::of_copy)?;
    for step in 1_u32.. {
        let began = Instant::now();
        let is_done = backup.step(PAGES).map_err(BackupError::of_copy)? == StepResult::Done;
        if step.is_multiple_of(STEPS) {
            partial.file().sync_data().map_err(BackupError::system("it cannot be written"))?;
        }
        if watch(so_far(&backup, source)).is_break() {
            return Err(BackupError::Stopped);
        }
        if is_done {
            break;
        }
        match fs::metadata(&log).map_or(0, |log| log.len()) {
            MOST_LOG.. => return Err(BackupError::Outrun),
            HASTE.. => {}
            // A pause that ends early does no harm.
            _ => std::thread::park_timeout(began.elapsed().min(PAUSE)),
        }
    }
    Ok(())
}

/// Opens the empty file that is copied into; it is brought to the disk at the end, by its name.
fn open_empty(path: &Path) -> rusqlite::Result<Connection> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let into = Connection::open_with_flags(path, access)?;
    into.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY;
         PRAGMA synchronous = OFF; PRAGMA cache_size = -2000;",
    )?;
    Ok(into)
}

fn so_far(backup: &Backup<'_, '_>, source: &Connection) -> Progress {
    let pages = backup.progress();
    let size: i64 = source.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap_or(0);
    let bytes = |pages: i32| u64::try_from(i64::from(pages).saturating_mul(size)).unwrap_or(0);
    let (total, left) = (bytes(pages.pagecount), bytes(pages.remaining));
    Progress::Copying { done: total.saturating_sub(left), total }
}
