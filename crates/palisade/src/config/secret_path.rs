//! The way to a secret's file: links may lead there, as long as nobody else can turn them.
//!
//! Service managers mount secrets through links: Kubernetes turns `..data` from one version to the
//! next. So links are followed, one by one and never by the system, under these rules:
//!
//! 1. A link belongs to root or to the service's user, so that nobody else put it there.
//! 2. The folder that a link lies in, and every folder behind it that the path did not lead through
//!    already, belongs to root or to the service's user and is not writable by others. A sticky
//!    folder may be: there nobody can move what belongs to somebody else.
//! 3. What is opened is what was walked to: the last step follows no link.
//!
//! The folders that the path itself names were chosen by whoever named them. Without a link, a
//! stranger who can write there could only put another file in place that is root's or the
//! service's own and closed, so the start goes on.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::FileFault;

/// Most links on one way, as many as the system itself follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// The link that Kubernetes turns when it changes what it mounted.
const KUBERNETES: &str = "..data";

/// A file that was walked to, opened for reading and not yet judged.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) file: File,
    /// Whether the way led through a link of Kubernetes's, which only root could have made.
    pub(super) is_projected: bool,
}

/// Opens the file that `path` leads to; `None` if there is none.
pub(super) fn open(path: &Path) -> Result<Option<Arrival>, FileFault> {
    let path = std::path::absolute(path).map_err(FileFault::Unreadable)?;
    let mut walk = Walk::from_root(&path).map_err(unreadable)?;
    loop {
        match walk.step() {
            Ok(Some(file)) => {
                let is_projected = walk.is_projected;
                return Ok(Some(Arrival { file, is_projected }));
            }
            Ok(None) => {}
            Err(Stumble::System(Errno::NOENT)) => return Ok(None),
            Err(Stumble::System(error)) => return Err(unreadable(error)),
            Err(Stumble::Fault(fault)) => return Err(fault),
        }
    }
}

/// Where a way has come to.
struct Walk {
    here: File,
    /// How `here` is called in messages.
    shown: PathBuf,
    /// The steps that are left, the next one last.
    left: Vec<OsString>,
    /// The folders that the path itself led through, before the first link.
    named: Vec<(u64, u64)>,
    links: usize,
    is_projected: bool,
}

/// Why a way ends.
enum Stumble {
    System(Errno),
    Fault(FileFault),
}

impl From<Errno> for Stumble {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl From<FileFault> for Stumble {
    fn from(fault: FileFault) -> Self {
        Self::Fault(fault)
    }
}

impl Walk {
    fn from_root(path: &Path) -> Result<Self, Errno> {
        let mut walk = Self {
            here: root()?,
            shown: PathBuf::from("/"),
            left: Vec::new(),
            named: Vec::new(),
            links: 0,
            is_projected: false,
        };
        walk.plan(path);
        Ok(walk)
    }

    /// Puts the steps of `path` before those that are left.
    fn plan(&mut self, path: &Path) {
        let step = |step: Component<'_>| match step {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        };
        self.left.extend(path.components().filter_map(step).rev());
    }

    /// Takes one step; returns the file once it was the last one.
    fn step(&mut self) -> Result<Option<File>, Stumble> {
        let Some(name) = self.left.pop() else {
            return Ok(Some(self.here.try_clone().map_err(FileFault::Unreadable)?));
        };
        let next = at(&self.here, &name, OFlags::PATH)?;
        let metadata = next.metadata().map_err(FileFault::Unreadable)?;
        if metadata.is_symlink() {
            self.follow(&name, &next, &metadata)?;
            return Ok(None);
        }
        if self.left.is_empty() {
            let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            return Ok(Some(at(&self.here, &name, reading)?));
        }
        self.enter(&name, next, &metadata)?;
        Ok(None)
    }

    fn enter(&mut self, name: &OsStr, next: File, metadata: &Metadata) -> Result<(), Stumble> {
        match name == ".." {
            true => drop(self.shown.pop()),
            false => self.shown.push(name),
        }
        let folder = (metadata.dev(), metadata.ino());
        if self.links == 0 {
            self.named.push(folder);
        } else if !self.named.contains(&folder) {
            self.judge_folder(metadata)?;
        }
        self.here = next;
        Ok(())
    }

    fn follow(&mut self, name: &OsStr, link: &File, metadata: &Metadata) -> Result<(), Stumble> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(FileFault::Links.into());
        }
        if !is_trusted(metadata.uid()) {
            let link = self.shown.join(name).display().to_string();
            return Err(FileFault::Link { link, owner: metadata.uid() }.into());
        }
        self.judge_folder(&self.here.metadata().map_err(FileFault::Unreadable)?)?;
        self.is_projected |= name == KUBERNETES && metadata.uid() == 0;
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        if target.is_absolute() {
            (self.here, self.shown) = (root()?, PathBuf::from("/"));
        }
        self.plan(target);
        Ok(())
    }

    /// Refuses a folder in which somebody else could put another thing in the place of the next.
    fn judge_folder(&self, metadata: &Metadata) -> Result<(), FileFault> {
        let folder = || self.shown.display().to_string();
        if !is_trusted(metadata.uid()) {
            return Err(FileFault::FolderOwner { folder: folder(), owner: metadata.uid() });
        }
        let mode = metadata.mode() & 0o7777;
        // Many systems give each user a group of the same number, in which nobody else is.
        let has_private_group = metadata.gid() == 0 || metadata.gid() == us();
        let is_open = mode & 0o002 != 0 || (mode & 0o020 != 0 && !has_private_group);
        if is_open && mode & STICKY == 0 {
            return Err(FileFault::FolderMode { folder: folder(), mode });
        }
        Ok(())
    }
}

const STICKY: u32 = 0o1000;

fn root() -> Result<File, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/", flags, Mode::empty()).map(File::from)
}

/// Opens `name` in `folder`, itself and not what it links to.
fn at(folder: &File, name: &OsStr, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).map(File::from)
}

/// Tells whether a user may decide what the service reads: root, or the service's own.
pub(super) fn is_trusted(user: u32) -> bool {
    user == 0 || user == us()
}

/// The user id of the service.
pub(super) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn unreadable(error: Errno) -> FileFault {
    FileFault::Unreadable(error.into())
}
