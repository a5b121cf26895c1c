//! Overwriting the environment that the kernel shows to others.
//!
//! A program that removes a variable changes its own list of pointers: the bytes stay where the
//! kernel put them, and `/proc/<pid>/environ` shows them to every process of the same user for as
//! long as the service runs. They are overwritten through `/proc/self/mem`, which needs no `unsafe`
//! and is possible only until the process makes itself unreadable. The arguments stay: no secret is
//! ever given in one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::stat::field;

/// Why the environment is still there to be read.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The kernel does not say where it is, or not what it shows now.
    #[error("/proc does not tell where it is")]
    Unknown,
    /// It cannot be overwritten: `/proc` is missing or the process is unreadable already.
    #[error("/proc/self/mem: {0}")]
    Unwritable(#[from] io::Error),
    /// It was overwritten and still shows something.
    #[error("it was overwritten and still shows something")]
    StillThere,
}

/// Overwrites all variables of the process with zeros, in `/proc/<pid>/environ` and for
/// `std::env`, and looks whether that took effect.
///
/// Call it once everything that matters was read into an
/// [`Environment`](crate::config::Environment), and before there are threads that ask for variables.
///
/// # Errors
///
/// [`ScrubError`]: then it may still be readable to the same user.
pub fn scrub_environment() -> Result<(), ScrubError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let place = |place| field::<u64>(&stat, place).filter(|address| *address != 0);
    let (Some(start), Some(end)) = (place(ENVIRONMENT_START), place(ENVIRONMENT_END)) else {
        return Err(ScrubError::Unknown);
    };
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        let written = memory.write_at(ZEROS.get(..length).unwrap_or(&ZEROS), at)?;
        if written == 0 {
            return Err(ScrubError::StillThere);
        }
        at += u64::try_from(written).unwrap_or(u64::MAX);
    }
    if shows_nothing()? { Ok(()) } else { Err(ScrubError::StillThere) }
}

/// Looks at what others would see.
fn shows_nothing() -> io::Result<bool> {
    let mut shown = File::open("/proc/self/environ")?;
    let mut piece = [0; 4096];
    loop {
        match shown.read(&mut piece)? {
            0 => return Ok(true),
            length if piece.iter().take(length).any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

const ENVIRONMENT_START: usize = 50;
const ENVIRONMENT_END: usize = 51;
const ZEROS: [u8; 4096] = [0; 4096];
