//! Where the database is, as the settings say it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The address of a database.
///
/// Its debug form tells the kind of database only, since the address of a server holds a password.
///
/// ```
/// use palisade::db::{DatabaseUrl, DatabaseUrlError};
///
/// let url = DatabaseUrl::parse("sqlite:///var/lib/orderdesk/orders.db")?;
/// assert_eq!(format!("{url:?}"), "DatabaseUrl(sqlite)");
/// assert!(DatabaseUrl::parse("sqlite:orders.db").is_err());
/// # Ok::<(), DatabaseUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    path: PathBuf,
}

/// Why a text is not the address of a database. The words never repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUrlError {
    /// It names PostgreSQL, which this build does not speak.
    #[error("this build has no PostgreSQL yet: use sqlite:///absolute/path/to/file.db")]
    NoPostgres,
    /// It does not begin with a known scheme.
    #[error("write it as sqlite:///absolute/path/to/file.db")]
    UnknownScheme,
    /// It has no absolute path.
    #[error("the path must be absolute, with three slashes: sqlite:///absolute/path/to/file.db")]
    NotAbsolute,
    /// It has a query string, a fragment or percent signs.
    #[error("a query string, a fragment or percent encoding is not understood: write a plain path")]
    NotPlain,
    /// Its path ends in a slash, steps upwards or holds a control character.
    #[error("the path must name a file, without `..` and control characters")]
    NotAFile,
}

impl DatabaseUrl {
    /// Returns the folder that the database's file is in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// Reads `sqlite:///absolute/path/to/file.db`.
    ///
    /// # Errors
    ///
    /// Refuses everything else, so that nothing in it is silently without effect.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Err(DatabaseUrlError::NoPostgres);
        }
        let Some(rest) = text.strip_prefix("sqlite:") else {
            return Err(DatabaseUrlError::UnknownScheme);
        };
        let path = rest.strip_prefix("//").filter(|path| path.starts_with('/'));
        let path = path.ok_or(DatabaseUrlError::NotAbsolute)?;
        if path.contains(['?', '#', '%']) {
            return Err(DatabaseUrlError::NotPlain);
        }
        let steps_up = path.split('/').any(|part| part == "..");
        if steps_up || path.ends_with(['/', '.']) || path.contains(char::is_control) {
            return Err(DatabaseUrlError::NotAFile);
        }
        // Two slashes in a row are one, as everywhere in POSIX.
        Ok(Self { path: Path::new(path).components().collect() })
    }

    /// Returns the file of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file of the database, and those that are kept beside it while it is open; they
    /// may not be there.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        files_of(&self.path).into_iter()
    }
}

/// Returns a database's file, and what SQLite and the service keep beside it.
pub(crate) fn files_of(database: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", ".lock"].map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DatabaseUrl(sqlite)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_plain_path_is_an_address() {
        let refused = [
            ("postgres://u:hunter2@host/db", DatabaseUrlError::NoPostgres),
            ("postgresql://host/db", DatabaseUrlError::NoPostgres),
            ("mysql://host/db", DatabaseUrlError::UnknownScheme),
            ("/var/lib/file.db", DatabaseUrlError::UnknownScheme),
            ("sqlite::memory:", DatabaseUrlError::NotAbsolute),
            ("sqlite://file.db", DatabaseUrlError::NotAbsolute),
            ("sqlite:///file.db?mode=ro", DatabaseUrlError::NotPlain),
            ("sqlite:///a%20b.db", DatabaseUrlError::NotPlain),
            ("sqlite:///", DatabaseUrlError::NotAFile),
            ("sqlite:///a/", DatabaseUrlError::NotAFile),
            ("sqlite:///a/../b.db", DatabaseUrlError::NotAFile),
            ("sqlite:///a\0b.db", DatabaseUrlError::NotAFile),
        ];

        for (text, error) in refused {
            assert_eq!(DatabaseUrl::parse(text), Err(error), "{text:?}");
        }
        let url = DatabaseUrl::parse("sqlite:///a b/c.db").unwrap();
        assert_eq!(url.path(), Path::new("/a b/c.db"));
        let url = DatabaseUrl::parse("sqlite:////a//./b.db").unwrap();
        assert_eq!(url.path().to_str(), Some("/a/b.db"));
    }
}
