//! What a service still needs of the machine once it is locked down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files and ports that a service needs while it serves. Everything else is out of reach then.
///
/// Folders are allowed with all that is below them. A file is allowed with the folder that it lies
/// in, so that one which is replaced, or is reached through links that are swapped, can be read
/// again; only in folders that belong to everybody, such as `/etc`, it is allowed by itself, and
/// then a new file in its place is read after a restart and not before.
///
/// What is missing when the process is locked down stays out of reach, also if it is made later.
///
/// ```
/// use palisade::process::Needs;
///
/// let needs = Needs::new()
///     .reads("/etc/greeter/tls/key.pem")
///     .writes("/var/lib/greeter/greetings.db")
///     .connects(5432);
/// assert!(format!("{needs:?}").contains("/var/lib/greeter"));
/// ```
///
/// Local time zones are not needed: times are UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    reads: BTreeSet<PathBuf>,
    rereads: BTreeSet<PathBuf>,
    writes: BTreeSet<PathBuf>,
    removes: BTreeSet<PathBuf>,
    connects: BTreeSet<u16>,
    has_local_sockets: bool,
}

/// What may be done with a file, or with everything below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Removing files.
    Remove,
    /// Reading files, listing folders.
    Read,
    /// That, and making, changing and removing files and folders.
    Write,
}

impl Needs {
    /// Needs nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file, or everything below a folder.
    #[must_use]
    pub fn reads(mut self, path: impl AsRef<Path>) -> Self {
        self.reads.insert(absolute(path.as_ref()));
        self
    }

    /// May read a file again that was read before the lockdown. Unlike with [`Self::reads`] it is
    /// no mistake if the account that the service becomes cannot.
    #[must_use]
    pub fn rereads(mut self, path: impl AsRef<Path>) -> Self {
        self.rereads.insert(absolute(path.as_ref()));
        self
    }

    /// Writes everything below a folder; or a file, and with it whatever is in its folder, because
    /// a database makes others beside it.
    #[must_use]
    pub fn writes(mut self, path: impl AsRef<Path>) -> Self {
        self.writes.insert(absolute(path.as_ref()));
        self
    }

    /// Removes a file at the end, such as the socket that it listens on. In a folder that belongs
    /// to everybody it stays.
    #[must_use]
    pub fn removes(mut self, path: impl AsRef<Path>) -> Self {
        self.removes.insert(absolute(path.as_ref()));
        self
    }

    /// Connects to other machines, or to this one, on a TCP port. A service that lists no port can
    /// open no socket at all.
    #[must_use]
    pub fn connects(mut self, port: u16) -> Self {
        self.connects.insert(port);
        self
    }

    /// Connects to sockets of this machine that are files, such as a database's.
    #[must_use]
    pub fn connects_locally(mut self) -> Self {
        self.has_local_sockets = true;
        self
    }

    /// Looks the names of machines up, by the files and name servers of this system. This is for the
    /// GNU C library; musl asks by a call that is refused.
    #[must_use]
    pub fn looks_names_up(self) -> Self {
        let mut needs = NAMES.iter().map(Path::new).fold(self, Self::rereads);
        needs.has_local_sockets = true;
        // By TCP, where an answer is too long for a datagram.
        needs.connects(53)
    }

    /// Adds what somebody else needs.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.reads.extend(other.reads);
        self.rereads.extend(other.rereads);
        self.writes.extend(other.writes);
        self.removes.extend(other.removes);
        self.connects.extend(other.connects);
        self.has_local_sockets |= other.has_local_sockets;
        self
    }

    /// Returns the TCP ports that are connected to.
    pub(super) fn ports(&self) -> &BTreeSet<u16> {
        &self.connects
    }

    /// Tells whether sockets are opened at all.
    pub(super) fn has_sockets(&self) -> bool {
        self.has_local_sockets || !self.connects.is_empty()
    }

    /// Returns what must be readable, and what must be writable.
    pub(super) fn demanded(&self) -> impl Iterator<Item = (&Path, Access)> {
        let read = self.reads.iter().map(|path| (path.as_path(), Access::Read));
        let written = self.writes.iter().flat_map(|path| {
            let folder = folder_of(path);
            let file =
                (*path != folder && path.exists()).then_some((path.as_path(), Access::Write));
            file.into_iter().chain([(folder, Access::Write)])
        });
        read.chain(written)
    }

    /// Returns the files and folders to allow, links followed as they are now.
    pub(super) fn grants(&self) -> BTreeSet<(PathBuf, Access)> {
        let random = (PathBuf::from(RANDOM), Access::Read);
        let read = self.reads.iter().chain(&self.rereads).flat_map(|path| places(path));
        let written = self.writes.iter().map(|path| (folder_of(path).to_owned(), Access::Write));
        let removed = self.removes.iter().filter_map(|path| path.parent());
        let removed = removed.filter(|folder| !is_of_everybody(folder));
        let removed = removed.map(|folder| (folder.to_owned(), Access::Remove));
        let read = read.map(|path| (path, Access::Read));
        read.chain(written).chain(removed).chain([random]).collect()
    }
}

/// What the GNU C library reads to look a name up (nsswitch.conf(5), resolv.conf(5)).
const NAMES: [&str; 6] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

/// SQLite takes the start of its random numbers from there, and makes do with the time if it cannot.
const RANDOM: &str = "/dev/urandom";

/// Folders in which everybody keeps files, as the Filesystem Hierarchy Standard 3.0 and the
/// distributions have them. None is allowed as a whole for the sake of one file.
const OF_EVERYBODY: [&str; 40] = [
    "/",
    "/boot",
    "/etc",
    "/etc/default",
    "/etc/letsencrypt",
    "/etc/letsencrypt/archive",
    "/etc/letsencrypt/live",
    "/etc/pki",
    "/etc/pki/tls",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/private",
    "/etc/ssl",
    "/etc/ssl/certs",
    "/etc/ssl/private",
    "/etc/systemd",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/run/credentials",
    "/run/lock",
    "/run/secrets",
    "/run/user",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/etc",
    "/usr/local/share",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/private",
    "/var/local",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];

/// Where the kernel shows itself: nothing there is a file that could be put in another's place.
const OF_THE_KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Below it, each folder is somebody's home.
const HOMES: &str = "/home";

/// Most links from a path to its file, as the kernel counts them.
const MOST_LINKS: usize = 40;

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns the folder itself, or the folder of a file, whether that is there or not.
fn folder_of(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

/// Returns what must be readable to read `path`, now and when the links on the way to it point
/// elsewhere: its folder, and the same for what each link points to.
fn places(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut all = Vec::new();
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Some(folder) = at.parent() else { break };
        all.push(whole_or_alone(folder, &at));
        // `current/key.pem`, where `current` is swapped: the next one will lie beside this one.
        if let Some(next) = target(folder) {
            all.extend(next.parent().filter(|beside| !is_of_everybody(beside)).map(Path::to_owned));
        }
        match target(&at) {
            Some(next) => at = next,
            None => break,
        }
    }
    all
}

fn whole_or_alone(folder: &Path, file: &Path) -> PathBuf {
    if is_of_everybody(folder) { file.to_owned() } else { folder.to_owned() }
}

fn is_of_everybody(folder: &Path) -> bool {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    OF_EVERYBODY.iter().any(|known| real == Path::new(known))
        || OF_THE_KERNEL.iter().any(|known| real.starts_with(known))
        || real.parent() == Some(Path::new(HOMES))
}

/// Returns what a link points to, as a path from the root; `None` if it is no link.
fn target(link: &Path) -> Option<PathBuf> {
    let to = fs::read_link(link).ok()?;
    let folder = fs::canonicalize(link.parent()?).ok()?;
    Some(folder.join(to))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn reading(path: &Path) -> Vec<PathBuf> {
        let grants = Needs::new().reads(path).grants().into_iter();
        let read =
            grants.filter(|(path, access)| *access == Access::Read && path != Path::new(RANDOM));
        read.map(|(path, _)| path).collect()
    }

    #[test]
    fn a_file_is_allowed_with_its_folder_and_one_among_everybodys_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        fs::write(&file, "").unwrap();

        assert_eq!(reading(&file), [folder.path()]);
        assert_eq!(reading(folder.path()), [folder.path()]);
        for alone in ["/etc/passwd", "/etc/ssl/private/key.pem", "/home/ada/key.pem", "/dev/fd/63"]
        {
            assert_eq!(reading(Path::new(alone)), [Path::new(alone)]);
        }
        assert_eq!(reading(Path::new("/etc/nothing/key.pem")), [Path::new("/etc/nothing")]);
    }

    #[test]
    fn a_link_is_followed_and_what_lies_beside_its_target_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["live", "archive", "releases", "releases/1"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("archive/key1.pem"), "").unwrap();
        fs::write(at("releases/1/key.pem"), "").unwrap();
        symlink("../archive/key1.pem", at("live/key.pem")).unwrap();
        symlink("releases/1", at("current")).unwrap();
        let real = |path: &PathBuf| fs::canonicalize(path).unwrap();

        let certbot: Vec<_> = reading(&at("live/key.pem")).iter().map(real).collect();
        let swapped: Vec<_> = reading(&at("current/key.pem")).iter().map(real).collect();

        assert!(certbot.contains(&at("archive")) && certbot.contains(&at("live")), "{certbot:?}");
        assert!(swapped.contains(&at("releases")), "{swapped:?}");
        assert!(!swapped.contains(&folder.path().to_owned()), "{swapped:?}");
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();

        assert!(reading(&folder.path().join("a")).contains(&folder.path().to_owned()));
    }

    #[test]
    fn a_database_is_written_with_its_folder_whether_it_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.db");
        let needs = Needs::new().writes(&file);
        let demanded = |needs: &Needs| needs.demanded().count();

        assert!(needs.grants().contains(&(folder.path().to_owned(), Access::Write)));
        assert_eq!(demanded(&needs), 1);
        fs::write(&file, "").unwrap();
        assert_eq!(demanded(&needs), 2);
    }
}
