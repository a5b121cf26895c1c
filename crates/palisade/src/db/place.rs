//! Whether the files that SQLite writes are still those that somebody finds by their names.
//!
//! SQLite goes on writing to a file that was moved, removed or replaced, and so does every program on
//! Unix. What is acknowledged then is where no start and no backup looks for it, or nowhere.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::DbError;

/// Which file it is, whatever it is called: device and inode.
type Identity = (u64, u64);

/// Where a database and its log were when writing began.
#[derive(Debug)]
pub(super) struct Place {
    files: [(PathBuf, Option<Identity>); 2],
}

impl Place {
    /// Looks at the database `path`, which is open. The log is looked at when it is first written to.
    pub(super) fn of(path: &Path) -> Self {
        Self { files: [(path.to_owned(), identity(path)), (log_of(path), None)] }
    }

    /// Asserts that both files are where they were. To be called while a transaction writes, when
    /// nobody else can begin a new log.
    ///
    /// # Errors
    ///
    /// [`DbError::Moved`]. Once they are back it is none any more.
    pub(super) fn demand_unmoved(&mut self) -> Result<(), DbError> {
        for (path, known) in &mut self.files {
            let found = identity(path);
            if found.is_none() || known.is_some_and(|known| Some(known) != found) {
                return Err(DbError::Moved);
            }
            *known = found;
        }
        Ok(())
    }
}

/// Returns where SQLite keeps the log of the database `path`: beside the file that a link leads to.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    log.push("-wal");
    log.into()
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
