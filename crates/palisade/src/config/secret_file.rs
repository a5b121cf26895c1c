//! A secret in a file: read only if nobody else could have read or written it.
//!
//! The file is opened once and everything is judged on what was opened, so that nobody can
//! change the answer between the question and the reading. Links are followed where nobody else
//! could have turned them ([`secret_path`](super::secret_path)).

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::secret_path::{self, Arrival, is_trusted, us};
use crate::secret::Secret;

/// Most bytes of a secret. A PEM chain of ten certificates fits.
const MOST_BYTES: usize = 64 * 1024;

/// Who may have access to the file, beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody.
    OwnerOnly,
    /// Its group may read: systemd makes credentials 0400 or 0440, Kubernetes 0440 for `fsGroup`.
    GroupReads,
    /// Everybody may read: Kubernetes mounts secrets 0644 unless told otherwise.
    EverybodyReads,
}

impl Access {
    /// Returns who may have access to a file that Kubernetes projects, if it is one: there root
    /// owns all files, and a service that is not root reads them as the group of the pod
    /// (`fsGroup`), which nobody else is in.
    fn through(self, is_projected: bool) -> Self {
        if is_projected && self == Self::OwnerOnly { Self::GroupReads } else { self }
    }

    /// Returns the permission bits that must not be set.
    fn refused_bits(self) -> u32 {
        match self {
            Self::OwnerOnly => 0o077,
            Self::GroupReads => 0o027,
            Self::EverybodyReads => 0o022,
        }
    }
}

/// Why a file is not accepted as a secret. The words never hold what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The file cannot be opened or read.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// Somebody else owns it and could have read or replaced the secret.
    #[error("it belongs to user {owner}; make it belong to the service: `chown {expected} {path}`")]
    Owner {
        /// The owner's user id.
        owner: u32,
        /// The user id of the service.
        expected: u32,
        /// The file.
        path: String,
    },
    /// A link on the way to it is somebody else's.
    #[error("the link {link} on the way to it belongs to user {owner}, who can turn it elsewhere")]
    Link {
        /// The link.
        link: String,
        /// The owner's user id.
        owner: u32,
    },
    /// A folder that a link lies in or leads to is somebody else's.
    #[error(
        "a link on the way to it lies in {folder} or leads there, and that folder belongs to user \
         {owner}, who can put another file there: name the file without the link, or keep it in a \
         folder of the service's"
    )]
    FolderOwner {
        /// The folder.
        folder: String,
        /// The owner's user id.
        owner: u32,
    },
    /// A folder that a link lies in or leads to can be written to by others.
    #[error(
        "a link on the way to it lies in {folder} or leads there, and others can put another file \
         there (mode {mode:04o}); close it with `chmod go-w {folder}`"
    )]
    FolderMode {
        /// The folder.
        folder: String,
        /// The permission bits.
        mode: u32,
    },
    /// The links lead in a circle, or nowhere soon.
    #[error("too many links are on the way to it")]
    Links,
    /// Others than its owner may open it.
    #[error(
        "it is open to others (mode {mode:04o}); close it with `chmod 600 {path}`, and replace \
         the secret if somebody may have read it"
    )]
    Mode {
        /// The permission bits.
        mode: u32,
        /// The file.
        path: String,
    },
    /// What is in it is not acceptable.
    #[error(transparent)]
    Text(#[from] TextFault),
}

/// Why a text is not accepted as a secret. The words never hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// There is nothing, or only the end of a line.
    #[error("it is empty")]
    Empty,
    /// It is larger than any secret.
    #[error("it is larger than {MOST_BYTES} bytes")]
    TooLarge,
    /// It is not text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It holds a NUL, which ends a text for half of the world.
    #[error("it holds a NUL")]
    Nul,
}

/// Reads the secret; `None` if there is no such file.
pub(super) fn read(path: &Path, access: Access) -> Result<Option<Secret<String>>, FileFault> {
    let Some(Arrival { mut file, is_projected }) = secret_path::open(path)? else {
        return Ok(None);
    };
    let metadata = file.metadata().map_err(FileFault::Unreadable)?;
    judge_file(path, &metadata, access.through(is_projected && metadata.uid() == 0))?;

    // One buffer of fixed size: growing would leave copies behind that nobody wipes.
    let mut buffer = Zeroizing::new(vec![0; MOST_BYTES + 1]);
    let length = fill(&mut file, &mut buffer).map_err(FileFault::Unreadable)?;
    Ok(Some(judge_text(buffer.get(..length).unwrap_or_default())?))
}

/// Judges the bytes of a secret, from wherever they come, and strips one end of line.
pub(super) fn judge_text(bytes: &[u8]) -> Result<Secret<String>, TextFault> {
    if bytes.len() > MOST_BYTES {
        return Err(TextFault::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TextFault::NotUtf8)?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(TextFault::Empty);
    }
    if text.contains('\0') {
        return Err(TextFault::Nul);
    }
    Ok(Secret::new(text.to_owned()))
}

fn judge_file(path: &Path, metadata: &Metadata, access: Access) -> Result<(), FileFault> {
    if !metadata.is_file() {
        return Err(FileFault::NotRegular);
    }
    let shown_path = || path.display().to_string();
    let owner = metadata.uid();
    if !is_trusted(owner) {
        return Err(FileFault::Owner { owner, expected: us(), path: shown_path() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & access.refused_bits() != 0 {
        return Err(FileFault::Mode { mode, path: shown_path() });
    }
    Ok(())
}

/// Reads until the end or until the buffer is full, and returns how many bytes there were.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    fn file_with(directory: &Path, content: &[u8], mode: u32) -> PathBuf {
        let path = directory.join("secret");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        path
    }

    fn outcome(content: &[u8], mode: u32, access: Access) -> Result<String, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let read = read(&file_with(directory.path(), content, mode), access);
        let text = |secret: Option<Secret<String>>| secret.expect("there").expose().clone();
        read.map(text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_closed_file_is_read_and_loses_one_end_of_line() {
        assert_eq!(outcome(b"s3cr3t\n", 0o600, Access::OwnerOnly), Ok("s3cr3t".into()));
        assert_eq!(outcome(b"s3cr3t\r\n", 0o400, Access::OwnerOnly), Ok("s3cr3t".into()));
        assert_eq!(outcome(b"s3cr3t\n\n", 0o400, Access::OwnerOnly), Ok("s3cr3t\n".into()));
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_command_that_mends_it() {
        for mode in [0o640, 0o604, 0o610, 0o602, 0o644, 0o660] {
            let refused = outcome(b"s3cr3t", mode, Access::OwnerOnly).expect_err("open to others");
            assert!(refused.contains("chmod 600 /"), "{refused}");
            assert!(refused.contains(&format!("{mode:04o}")), "{refused}");
            assert!(!refused.contains("s3cr3t"), "{refused}");
        }
    }

    #[test]
    fn a_mount_may_be_readable_to_its_group_or_to_all_but_never_writable() {
        assert!(outcome(b"x", 0o440, Access::GroupReads).is_ok());
        assert!(outcome(b"x", 0o444, Access::GroupReads).is_err());
        assert!(outcome(b"x", 0o460, Access::GroupReads).is_err());
        assert!(outcome(b"x", 0o644, Access::EverybodyReads).is_ok());
        assert!(outcome(b"x", 0o664, Access::EverybodyReads).is_err());
        assert!(outcome(b"x", 0o646, Access::EverybodyReads).is_err());
    }

    #[test]
    fn nothing_binary_and_too_much_are_refused() {
        let words = |content: &[u8]| outcome(content, 0o600, Access::OwnerOnly).expect_err("bad");
        assert_eq!(words(b""), "it is empty");
        assert_eq!(words(b"\n"), "it is empty");
        assert_eq!(words(b"a\0b"), "it holds a NUL");
        assert_eq!(words(b"\xff"), "it is not UTF-8");
        assert_eq!(words(&vec![b'a'; MOST_BYTES + 1]), "it is larger than 65536 bytes");
        let most = vec![b'a'; MOST_BYTES];
        assert!(outcome(&most, 0o600, Access::OwnerOnly).is_ok());
    }

    #[test]
    fn a_link_is_followed_and_the_file_behind_it_judged() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = file_with(directory.path(), b"s3cr3t", 0o644);
        let link = directory.path().join("link");
        symlink(&target, &link).expect("a link");

        assert!(matches!(read(&link, Access::OwnerOnly), Err(FileFault::Mode { .. })));
        std::fs::set_permissions(&target, Permissions::from_mode(0o600)).expect("its mode");
        assert!(matches!(read(&link, Access::OwnerOnly), Ok(Some(_))));
    }

    #[test]
    fn a_pipe_or_a_directory_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("a pipe");

        assert!(matches!(read(&pipe, Access::OwnerOnly), Err(FileFault::NotRegular)));
        assert!(matches!(read(directory.path(), Access::OwnerOnly), Err(FileFault::NotRegular)));
    }

    #[test]
    fn a_file_that_is_not_there_is_no_fault() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(matches!(read(&directory.path().join("none"), Access::OwnerOnly), Ok(None)));
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file_with(directory.path(), b"s3cr3t", 0o600);
        // Only root can give a file away; without that right there is nothing to attack.
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
            let refused = read(&path, Access::EverybodyReads).expect_err("somebody else's");
            assert!(refused.to_string().contains("chown"), "{refused}");
        }
    }
}
