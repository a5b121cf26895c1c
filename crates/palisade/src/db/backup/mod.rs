//! Backups of a SQLite database: taken while the service runs, judged, and put back.
//!
//! The rules of this module:
//!
//! 1. A file has its name only once it is whole, judged, and on the disk. Until then it stands
//!    beside that place as `NAME.unfinished-backup`, which the next run removes.
//! 2. Nothing that is there is replaced unless [`Existing::Replace`] says so, and a database that is
//!    replaced is kept.
//! 3. Whoever serves or writes is never waited for with a lock held, and never made to wait.
//!
//! It leaves out PostgreSQL, whose own tools do this. Everything here blocks: call it where that
//! is allowed.

mod error;
mod expected;
mod partial;
mod restore;
mod take;
mod verify;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use error::{BackupError, Fault};
pub use restore::{Restore, Restored, restore};
pub use take::take;
pub use verify::{Verified, verify};

use super::url::{DatabaseUrl, files_of};

/// What to do about a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and do nothing.
    Refuse,
    /// Replace it, in one step, once what replaces it is whole.
    Replace,
}

/// How far a backup or its restoring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are copied.
    Copying {
        /// How many are.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// The copy is read again and judged; nobody knows how long that takes.
    Judging,
}

/// Hears of the progress some times a second, and says whether to go on.
///
/// After a [`ControlFlow::Break`] the work ends with [`BackupError::Stopped`] and leaves nothing.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 'a;

/// Tells whether `file` is one of those that the database consists of, by whatever name.
fn is_of_database(file: &Path, url: &DatabaseUrl) -> bool {
    let name = resolved(file);
    let number = inode(file);
    url.files().any(|own| {
        (name.is_some() && resolved(&own) == name) || (number.is_some() && inode(&own) == number)
    })
}

/// Returns the path with every link in its folder followed.
fn resolved(file: &Path) -> Option<PathBuf> {
    Some(std::fs::canonicalize(folder_of(file)).ok()?.join(file.file_name()?))
}

fn inode(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Returns the folder that a file is in, as the system takes it.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Returns what SQLite may keep beside a file.
fn beside(file: &Path) -> [PathBuf; 3] {
    let [_, log, memory, journal, _] = files_of(file);
    [log, memory, journal]
}
