//! Where the database is, as the settings say it.

use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::postgres::Address;
use crate::crypto::SYSTEM_AUTHORITIES;
use crate::process::Needs;

/// The right of everybody to write.
const OTHERS_WRITE: u32 = 0o002;

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
/// let url = DatabaseUrl::parse("postgres://orderdesk:hunter2@db.example.com/orders")?;
/// assert_eq!(format!("{url:?}"), "DatabaseUrl(postgres)");
/// # Ok::<(), DatabaseUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Server(Address),
}

/// Why a text is not the address of a database. The words never repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUrlError {
    /// It does not begin with a known scheme.
    #[error(
        "write it as sqlite:///absolute/path/to/file.db or as \
         postgres://user:password@host:5432/database"
    )]
    UnknownScheme,
    /// It names no user of the server.
    #[error("the user is missing: postgres://user:password@host:5432/database")]
    NoUser,
    /// It names no database of the server.
    #[error("the database is missing: postgres://user:password@host:5432/database")]
    NoDatabase,
    /// Its host or port is missing or not one.
    #[error(
        "name one host, with a port from 1 to 65535 if it is not 5432, or the folder of a local \
         socket: postgres://user:password@host:5432/database, postgres://user@/database?host=/folder"
    )]
    NoHost,
    /// It asks for something that is not known here.
    #[error(
        "only host=/folder, sslmode=verify-full and sslrootcert=/file may stand behind the question \
         mark, each once"
    )]
    UnknownParameter,
    /// It asks for TLS that trusts anybody, or for none to another machine.
    #[error(
        "sslmode must be verify-full, which is also what happens without it; only to this machine \
         it may be disable"
    )]
    Unverified,
    /// It has no absolute path.
    #[error("the path must be absolute, with three slashes: sqlite:///absolute/path/to/file.db")]
    NotAbsolute,
    /// It has a query string, a fragment or percent signs.
    #[error(
        "a part of it is empty, or holds what is not understood there: a control character, percent \
         encoding that is no UTF-8, or with sqlite: any query string, fragment or percent sign"
    )]
    NotPlain,
    /// Its path ends in a slash, steps upwards or holds a control character.
    #[error("the path must name a file, without `..` and control characters")]
    NotAFile,
}

impl DatabaseUrl {
    /// Returns the folder that the database's file is in; `None` for a server.
    pub fn folder(&self) -> Option<&Path> {
        self.path()?.parent()
    }

    /// Reads `sqlite:///absolute/path/to/file.db` or
    /// `postgres://user:password@host:5432/database`.
    ///
    /// A server on another machine is spoken to by TLS, and its certificate and name are verified
    /// by the authorities of this system, or those of `sslrootcert=/file`. Nothing less can be asked
    /// for; what libpq calls `prefer`, its default, protects from nobody.
    ///
    /// # Errors
    ///
    /// Refuses everything else, so that nothing in it is silently without effect.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let schemes = ["postgres://", "postgresql://"];
        if let Some(rest) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            return Ok(Self { place: Place::Server(Address::parse(rest)?) });
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
        Ok(Self { place: Place::File(Path::new(path).components().collect()) })
    }

    /// Returns the file of the database; `None` for a server.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Server(_) => None,
        }
    }

    /// Returns the file of the database, and those that are kept beside it while it is open; they
    /// may not be there. There are none for a server.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.path().into_iter().flat_map(files_of)
    }

    /// Returns those of the files in whose place there is something else, and what it is: a pipe
    /// would be waited for, and a link that leads nowhere is no database to come.
    pub(crate) fn misplaced(&self) -> Vec<(PathBuf, &'static str)> {
        let what = |file: &Path| match file.metadata() {
            Ok(metadata) if metadata.is_dir() => Some("is a folder"),
            Ok(metadata) if !metadata.is_file() => Some("is no regular file"),
            Ok(_) => None,
            Err(_) => file.is_symlink().then_some("is a link that leads nowhere"),
        };
        self.files().filter_map(|file| what(&file).map(|what| (file, what))).collect()
    }

    /// Returns those of the files that SQLite would believe and somebody else could have written:
    /// they belong to another user, or anybody may write to them. What lies in a folder may belong
    /// to whom the folder belongs to: root runs commands on the databases of others.
    pub(crate) fn foreign(&self) -> Vec<PathBuf> {
        let Some(folder) = self.folder().and_then(|folder| folder.metadata().ok()) else {
            return Vec::new();
        };
        let trusted = [folder.uid(), geteuid().as_raw()];
        let is_foreign = |file: &PathBuf| {
            file.metadata().is_ok_and(|file| {
                !trusted.contains(&file.uid()) || file.permissions().mode() & OTHERS_WRITE != 0
            })
        };
        self.files().filter(is_foreign).collect()
    }

    /// Returns what using the database takes once the process is locked down.
    pub fn needs(&self) -> Needs {
        let server = match &self.place {
            Place::File(path) => {
                // SQLite follows links, and keeps its log beside the file itself.
                let itself = path.canonicalize().ok().into_iter().flat_map(|path| files_of(&path));
                return self.files().chain(itself).fold(Needs::new(), Needs::writes);
            }
            Place::Server(server) => server,
        };
        let authorities = server.authorities().into_iter().map(Path::to_owned);
        let system = SYSTEM_AUTHORITIES.iter().map(PathBuf::from);
        let mut needs = authorities.chain(system).fold(Needs::new(), Needs::rereads);
        if server.has_a_name() {
            needs = needs.looks_names_up();
        }
        match server.port() {
            Some(port) => needs.connects(port),
            None => needs.connects_locally(),
        }
    }

    /// Returns the server, if it is one.
    pub(super) fn server(&self) -> Option<&Address> {
        match &self.place {
            Place::File(_) => None,
            Place::Server(server) => Some(server),
        }
    }
}

/// Returns a database's file, and what SQLite and the service keep beside it.
pub(crate) fn files_of(database: &Path) -> [PathBuf; 5] {
    ["", "-wal", "-shm", "-journal", ".lock"].map(|ending| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.place {
            Place::File(_) => "DatabaseUrl(sqlite)",
            Place::Server(_) => "DatabaseUrl(postgres)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_plain_path_is_an_address() {
        let refused = [
            ("postgres://u:hunter2@host", DatabaseUrlError::NoDatabase),
            ("postgresql://host/db", DatabaseUrlError::NoUser),
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
        assert_eq!(url.path(), Some(Path::new("/a b/c.db")));
        let url = DatabaseUrl::parse("sqlite:////a//./b.db").unwrap();
        assert_eq!(url.path(), Some(Path::new("/a/b.db")));
    }
}
