//! Whether files have changed, told by looking at them and not by being called.
//!
//! Looking works on every file system (inotify is silent on NFS and on some mounts of containers)
//! and through every link: Kubernetes swaps a folder that the files are reached by, certbot the
//! targets of links, and others write in place.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{TlsError, TlsFiles};

/// What the files looked like at one moment, links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    certificate: Result<Stamp, ErrorKind>,
    key: Result<Stamp, ErrorKind>,
}

/// What tells one state of a file from the next. The time of its last change is included because
/// `cp -p` keeps the others, and because `chmod 600` mends a key without touching its content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_ns: (i64, i64),
    changed_ns: (i64, i64),
}

impl Look {
    pub(super) fn at(files: &TlsFiles) -> Self {
        Self { certificate: stamp(&files.certificate), key: stamp(&files.key) }
    }
}

fn stamp(file: &Path) -> Result<Stamp, ErrorKind> {
    let metadata = std::fs::metadata(file).map_err(|error| error.kind())?;
    Ok(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.size(),
        modified_ns: (metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// What has been seen of the files so far.
#[derive(Debug)]
pub(super) struct Watch {
    /// How the files looked right before those were read that are served.
    served: Look,
    last: Look,
    /// The fault that was told last, and what the files looked like then.
    told: Option<(Look, String)>,
}

impl Watch {
    /// Begins with files that looked like `served` right before they were read.
    pub(super) fn begin(served: Look) -> Self {
        Self { last: served.clone(), served, told: None }
    }

    /// Returns whether files that look like `now` should be read.
    ///
    /// They must differ from those that are served, and not have changed since the last look:
    /// what is being written is left alone, and two changes within one tick of the file system's
    /// clock, which look the same, are both over when the files are read.
    pub(super) fn is_due(&mut self, now: &Look) -> bool {
        let is_still = self.last == *now;
        self.last = now.clone();
        is_still && self.served != *now
    }

    /// Returns whether a fault ended because the very files that are served are there again, as
    /// when a link is turned back.
    pub(super) fn is_back(&mut self, now: &Look) -> bool {
        self.served == *now && self.told.take().is_some()
    }

    /// Notes that files which looked like `now` are served; returns whether that ended a fault.
    pub(super) fn is_mended(&mut self, now: Look) -> bool {
        self.served = now;
        self.told.take().is_some()
    }

    /// Notes a fault of files that look like `now`; returns whether it has not been told before.
    pub(super) fn is_news(&mut self, now: Look, error: &TlsError) -> bool {
        let fault = Some((now, error.to_string()));
        let is_news = self.told != fault;
        self.told = fault;
        is_news
    }
}
