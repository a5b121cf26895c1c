//! What the process takes from itself before it serves strangers, and what it costs the machine.
//!
//! Taken today: no core files, no reading of its memory by other processes of the same user, no
//! new privileges. It leaves out file and system-call filters, and says so when they are asked for.

pub mod metrics;

use std::fmt;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_no_new_privs;

crate::choice! {
    /// How much the process locks itself down.
    pub enum Sandbox {
        /// Everything, or the service does not start. This version has no filters for files and
        /// system calls, so it refuses this choice instead of pretending.
        Enforce = "enforce",
        /// What this machine allows; what did not take effect is logged.
        BestEffort = "best-effort",
        /// Nothing, for debuggers and profilers.
        Off = "off",
    }
}

crate::settings! {
    /// What the process takes from itself before it serves.
    pub struct SandboxSection in "sandbox" {
        /// Best effort is the default: it starts everywhere and logs what took effect.
        pub mode: Sandbox = Sandbox::BestEffort;
    }
}

/// Which restrictions took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// A crash leaves no core file.
    pub no_core_file: bool,
    /// Other processes of the same user cannot read the memory.
    pub not_dumpable: bool,
    /// No program that is started could gain privileges.
    pub no_new_privileges: bool,
    /// The process runs as root, which nothing here needs.
    pub is_root: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { no_core_file, not_dumpable, no_new_privileges, .. } = self;
        write!(
            out,
            "no core file: {no_core_file}, not dumpable: {not_dumpable}, \
             no new privileges: {no_new_privileges}"
        )
    }
}

/// Why the process cannot be locked down as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LockdownError {
    /// Filters were demanded that this version does not have.
    #[error(
        "sandbox.mode = \"enforce\" asks for file and system-call filters, which this version \
         does not have; set it to \"best-effort\" to start with what there is"
    )]
    NoFilters,
}

/// Lets the process have as many descriptors open as the system allows it, and returns how many
/// those are. The soft limit is often 1024 for the sake of old programs.
pub fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Locks the process down; must run before other threads are started.
///
/// # Errors
///
/// [`LockdownError`] if `mode` demands what cannot be had.
pub fn lock_down(mode: Sandbox) -> Result<Report, LockdownError> {
    let is_root = rustix::process::geteuid().is_root();
    match mode {
        Sandbox::Enforce => Err(LockdownError::NoFilters),
        Sandbox::Off => Ok(Report { is_root, ..Report::default() }),
        Sandbox::BestEffort => {
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            Ok(Report {
                no_core_file: setrlimit(Resource::Core, none).is_ok(),
                not_dumpable: set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok(),
                no_new_privileges: set_no_new_privs(true).is_ok(),
                is_root,
            })
        }
    }
}
