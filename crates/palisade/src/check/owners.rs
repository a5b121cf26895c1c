//! Who may touch a file, and the folders on the way to it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the permission bits and the owner of a file say.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: u32,
    is_folder: bool,
}

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a sticky folder only a file's owner replaces it.
const STICKY: u32 = 0o1000;

impl Holder {
    /// Looks at what `path` leads to; `None` if nothing can be seen there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(path, &metadata))
    }

    fn from(path: &Path, metadata: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
            is_folder: metadata.is_dir(),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Tells whether everybody may write to it.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.mode & OTHERS_WRITE != 0
    }

    /// Tells whether its group may write to it.
    pub(super) fn is_open_to_group(&self) -> bool {
        self.mode & GROUP_WRITES != 0
    }

    /// Tells whether anybody but its owner may do anything with it.
    pub(super) fn is_shared(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Tells whether somebody owns it who is neither root, nor the user of this process, nor
    /// `service`, the user whom the service becomes.
    pub(super) fn is_foreign(&self, service: Option<u32>) -> bool {
        self.owner != 0 && self.owner != this_user() && Some(self.owner) != service
    }

    /// Tells whether others could replace what lies in this folder.
    pub(super) fn lets_others_replace(&self, service: Option<u32>) -> bool {
        let is_writable = self.is_open_to_all() || self.is_open_to_group();
        (is_writable && self.mode & STICKY == 0) || self.is_foreign(service)
    }

    /// Says mode and owner.
    pub(super) fn said(&self) -> String {
        format!("{} (mode {:04o}, owner {})", self.path.display(), self.mode, self.owner)
    }
}

/// Returns the user of this process.
pub(super) fn this_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Most links that are followed, as the kernel does (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Returns the folders that lead to `path`: of the path as it is written, and of every link on
/// the way.
pub(super) fn folders_to(path: &Path) -> Vec<Holder> {
    let mut ways: Vec<PathBuf> = std::path::absolute(path).into_iter().collect();
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        for link in way.ancestors() {
            let led = lead(link, &way).filter(|led| !ways.contains(led));
            ways.extend(led.filter(|_| next < MOST_LINKS));
        }
        let above = way.ancestors().skip(1).map(Path::to_owned);
        folders.extend(above.filter(|folder| !folders.contains(folder)).collect::<Vec<_>>());
    }
    folders.iter().filter_map(|folder| Holder::of(folder)).collect()
}

/// Returns where `way` leads if `link`, a part of it, is one.
fn lead(link: &Path, way: &Path) -> Option<PathBuf> {
    let target = std::fs::read_link(link).ok()?;
    let rest = way.strip_prefix(link).ok()?;
    let target = link.parent()?.join(target);
    // Joining nothing would add a slash, behind which only a folder is looked for.
    Some(if rest.as_os_str().is_empty() { target } else { target.join(rest) })
}
