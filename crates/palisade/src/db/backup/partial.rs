//! A file that gets its name when it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::error::BackupError;
use super::{Existing, beside, folder_of};

/// What an unfinished file has behind the name that it will have.
const ENDING: &str = ".unfinished-backup";

/// For its owner only: it holds what the database holds.
const PRIVATE: u32 = 0o600;

/// Judges whether `target` can be written.
pub(super) fn judge(target: &Path, existing: Existing) -> Result<(), BackupError> {
    if target.file_name().is_none() {
        return Err(BackupError::NotPlain("a folder"));
    }
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::system("it cannot be looked at")(error)),
        Ok(found) if found.is_symlink() => Err(BackupError::NotPlain("a link")),
        Ok(found) if found.is_dir() => Err(BackupError::NotPlain("a folder")),
        Ok(found) if !found.is_file() => Err(BackupError::NotPlain("a device, pipe or socket")),
        Ok(_) if existing == Existing::Refuse => Err(BackupError::Exists),
        Ok(_) => Ok(()),
    }
}

/// The unfinished file. It is removed unless it is finished, or the process is killed.
pub(super) struct Partial {
    path: PathBuf,
    target: PathBuf,
    /// Locked, so that of two runs with one target one is refused.
    file: File,
    is_finished: bool,
}

impl Partial {
    /// Makes an empty file beside `target`, once what a killed run left there is removed.
    pub(super) fn begin(target: &Path) -> Result<Self, BackupError> {
        let folder = fs::canonicalize(folder_of(target))
            .map_err(BackupError::system("its folder cannot be reached: make it first"))?;
        let target = folder.join(target.file_name().unwrap_or_default());
        let mut name = target.as_os_str().to_owned();
        name.push(ENDING);
        let path = PathBuf::from(name);
        clear(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(PRIVATE);
        let file = options.open(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => BackupError::UnderWay,
            _ => BackupError::system("its folder cannot be written")(error),
        })?;
        lock(&file)?;
        Ok(Self { path, target, file, is_finished: false })
    }

    /// Returns where the file is meanwhile; no part of its folder is a link.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file to the owner of its folder: of a service's data, where root restores it.
    pub(super) fn give_to_owner_of_folder(&self) -> Result<(), BackupError> {
        give_to_owner_of_folder(&self.file, folder_of(&self.target))
    }

    /// Waits until everything is on the disk, then gives the file its name in one step.
    pub(super) fn finish(mut self, existing: Existing) -> Result<(), BackupError> {
        let on_disk = BackupError::system("it cannot be brought to the disk");
        self.file.sync_all().map_err(on_disk)?;
        if !leads_to(&self.path, &self.file) {
            // Somebody else writes in this folder: what has the name is not what was judged.
            self.is_finished = true;
            return Err(BackupError::UnderWay);
        }
        let renamed = match existing {
            Existing::Replace => fs::rename(&self.path, &self.target),
            Existing::Refuse => rename_to_free_name(&self.path, &self.target),
        };
        renamed.map_err(BackupError::system("it cannot be given its name"))?;
        self.is_finished = true;
        sync_folder(&self.target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_finished {
            fs::remove_file(&self.path).ok();
        }
        for file in beside(&self.path) {
            fs::remove_file(file).ok();
        }
    }
}

/// Waits until the names in the folder of `file` are on the disk.
pub(super) fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = File::open(folder_of(file)).and_then(|folder| folder.sync_all());
    folder.map_err(BackupError::system("its folder cannot be brought to the disk"))
}

/// Gives a file that root made to the owner of a folder; others keep what they make.
pub(super) fn give_to_owner_of_folder(file: &File, folder: &Path) -> Result<(), BackupError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    fs::metadata(folder)
        .and_then(|owner| fchown(file, Some(owner.uid()), Some(owner.gid())))
        .map_err(BackupError::system("it cannot be given to the owner of its folder"))
}

/// Removes what a killed run left, unless that run still goes on.
fn clear(path: &Path) -> Result<(), BackupError> {
    let mut options = OpenOptions::new();
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    options.read(true).custom_flags(flags.cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(BackupError::system("what an earlier run left is in the way")(error));
        }
    };
    lock(&file)?;
    // While the lock was waited for the other run may have finished, and this be its result.
    if !leads_to(path, &file) {
        return Err(BackupError::UnderWay);
    }
    for file in beside(path) {
        fs::remove_file(file).ok();
    }
    fs::remove_file(path).map_err(BackupError::system("what an earlier run left is in the way"))
}

fn lock(file: &File) -> Result<(), BackupError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => BackupError::UnderWay,
        TryLockError::Error(error) => BackupError::system("it cannot be locked")(error),
    })
}

fn leads_to(path: &Path, file: &File) -> bool {
    let named = fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    let opened = file.metadata().map(|found| (found.dev(), found.ino()));
    matches!((named, opened), (Ok(named), Ok(opened)) if named == opened)
}

/// Renames unless something has the name.
fn rename_to_free_name(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can: a link of the same meaning is made there.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}
