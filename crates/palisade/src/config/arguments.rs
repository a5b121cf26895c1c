//! The command line as a value: this is the only file that asks the process for it.

use std::ffi::OsString;

/// Returns the words that this process was started with, without the program's own name.
///
/// They are visible to everybody on the machine (proc(5)), so no secret belongs there.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}
