//! What the process takes from itself before it serves strangers, and what it costs the machine.
//!
//! A service that a stranger has talked into running their code should be worth as little to them as
//! can be. [`lock_down`] gives up, in this order and for good: the environment that others could
//! read, root, what is left of root's powers, core files, being read by other processes, new
//! privileges, files and ports that [`Needs`] does not list, and system calls that no service makes.
//! The order matters: each step needs something that a later one takes away.
//!
//! It must run before there are threads, because most of it holds for one thread and those that it
//! starts. What took effect stands in a [`Report`]; [`Sandbox`] says how much of it is demanded.
//! It leaves out memory and CPU limits, which belong to whoever starts the service.

mod access;
mod account;
mod environment;
mod memory;
pub mod metrics;
mod needs;
mod report;
mod stat;
mod system_calls;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Access as Permission, AtFlags, CWD, accessat};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};

pub use account::{Account, AccountError, RunAs};
pub use environment::{ScrubError, scrub_environment};
pub use memory::memory_limit;
pub use needs::Needs;
pub use report::{Measure, Outcome, Report, State};

use needs::Access;

crate::choice! {
    /// How much the process locks itself down.
    pub enum Sandbox {
        /// Everything, or the service does not start and says what cannot be had here.
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
        /// Best effort is the default: it starts everywhere and logs what took effect. Use "enforce"
        /// where the machine is known.
        pub mode: Sandbox = Sandbox::BestEffort;
        /// Whom the service becomes once it listens, if root starts it. Nobody by default: what
        /// starts services (systemd, containers) can start them as an account of their own.
        pub user: Option<RunAs> = None;
    }
}

/// Why the process cannot be locked down as asked.
#[derive(Debug, thiserror::Error)]
pub enum LockdownError {
    /// Measures were demanded that cannot be had.
    #[error(
        "sandbox.mode = \"enforce\" demands what cannot be had here: {}. Set it to \"best-effort\" \
         to start with what there is",
        .0.listed(State::Missing)
    )]
    Missing(Report),
    /// The account that the settings name is not to be had.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The account that the service became cannot use what it needs.
    #[error(
        "sandbox.user: user {user} may not {what} {}: {source}; mend it with chown or chmod, for \
         its folders too",
        .path.display()
    )]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What it is needed for.
        what: &'static str,
        /// The number of the user.
        user: u32,
        /// What the system says.
        source: io::Error,
    },
}

/// Lets the process have as many descriptors open as the system allows it, and returns how many
/// those are. The soft limit is often 1024 for the sake of old programs.
pub fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Keeps the memory of a command that handles secrets to itself, for good: no core file is written,
/// and no other process of the same user reads it. [`lock_down`] does this for a service.
///
/// # Errors
///
/// What the system says if it refuses; a command need not end for that.
pub fn keep_memory_private() -> io::Result<()> {
    forbid_core_files()?;
    Ok(forbid_reading()?)
}

/// Locks the process down and becomes `account`, if one is given; must run before other threads are
/// started, and after everything was read and bound that `needs` does not list.
///
/// # Errors
///
/// [`LockdownError::Missing`] if `mode` demands what cannot be had, and in every mode what is wrong
/// with `account`.
pub fn lock_down(
    mode: Sandbox,
    account: Option<&Account>,
    needs: &Needs,
) -> Result<Report, LockdownError> {
    let mut report = Report::new(mode);
    let threads = count_threads();
    if mode != Sandbox::Off {
        report.note_result(Measure::Environment, scrub_environment());
    }
    if let Some(account) = account {
        account.become_for_good(threads)?;
        demand_usable(needs, account)?;
    }
    note_user(&mut report);
    if mode != Sandbox::Off {
        take_powers(&mut report);
        access::restrict(needs, &mut report);
        system_calls::restrict(needs, &mut report);
        note_threads(threads, &mut report);
    }
    let is_complete = report.missing().next().is_none();
    if mode == Sandbox::Enforce && !is_complete {
        return Err(LockdownError::Missing(report));
    }
    Ok(report)
}

/// Takes what is left of root's powers, core files, being read by others, and new privileges.
fn take_powers(report: &mut Report) {
    if geteuid().is_root() {
        let why = "root keeps its own: name another account in sandbox.user";
        report.note(Measure::Capabilities, State::NotAsked, why);
    } else {
        report.note_result(Measure::Capabilities, drop_capabilities());
    }
    report.note_result(Measure::CoreFiles, forbid_core_files());
    report.note_result(Measure::Memory, forbid_reading());
    report.note_result(Measure::Privileges, set_no_new_privs(true));
}

fn forbid_core_files() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
}

fn forbid_reading() -> rustix::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Gives up what somebody lent it, such as binding to port 443.
fn drop_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

fn note_user(report: &mut Report) {
    let user = geteuid();
    if user.is_root() {
        report.note(Measure::User, State::NotAsked, "it runs as root");
    } else {
        report.note(Measure::User, State::InEffect, user.as_raw().to_string());
    }
}

/// Takes back what does not hold for threads that run already.
fn note_threads(threads: usize, report: &mut Report) {
    if threads == 1 {
        return;
    }
    for measure in OF_ONE_THREAD {
        if report.is_in_effect(measure) {
            let why = format!("{threads} threads ran already, and it holds for one of them");
            report.note(measure, State::Missing, why);
        }
    }
}

/// What holds only for the thread that asks and for those that it starts.
const OF_ONE_THREAD: [Measure; 6] = [
    Measure::Capabilities,
    Measure::Privileges,
    Measure::Files,
    Measure::Network,
    Measure::Signals,
    Measure::SystemCalls,
];

/// Counts this process's threads; 0 if the system does not tell. One that has been joined is still
/// listed for a moment, so a second one is given the time to go.
fn count_threads() -> usize {
    let count = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let until = Instant::now() + LAST_MOMENT;
    loop {
        match count() {
            several @ 2.. if Instant::now() >= until => return several,
            2.. => std::thread::yield_now(),
            few => return few,
        }
    }
}

/// How long a thread that ended may be listed, on a machine that is busy.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// Refuses an account that could not use what the service needs, before it fails in the middle.
fn demand_usable(needs: &Needs, account: &Account) -> Result<(), LockdownError> {
    for (path, access) in needs.demanded() {
        let (mut permission, what) = match access {
            Access::Write | Access::Remove => (Permission::READ_OK | Permission::WRITE_OK, "write"),
            Access::Read => (Permission::READ_OK, "read"),
        };
        if path.is_dir() {
            permission |= Permission::EXEC_OK;
        }
        accessat(CWD, path, permission, AtFlags::empty()).map_err(|source| {
            let (path, user, source) = (path.to_owned(), account.user(), source.into());
            LockdownError::Unusable { path, what, user, source }
        })?;
    }
    Ok(())
}
