//! The settings file as bytes: opened once, bounded, regular, UTF-8.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::Wrong;

/// Most bytes of a settings file; the whole example is a hundredth of that.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the whole file.
pub(super) fn read(path: &Path) -> Result<String, Wrong> {
    let file = open_without_waiting(path).map_err(Wrong::Unreadable)?;
    if !file.metadata().map_err(Wrong::Unreadable)?.is_file() {
        return Err(Wrong::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Wrong::Unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(Wrong::TooLarge { most: MOST_BYTES });
    }
    String::from_utf8(bytes).map_err(|_| Wrong::NotUtf8)
}

/// Opens for reading and returns at once, also where a pipe has no writer yet.
pub(super) fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}
