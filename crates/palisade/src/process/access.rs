//! Files, ports and signals that are left to the process (Landlock).
//!
//! Landlock is a fence that a process puts around itself and cannot take down, for itself and all
//! threads that it starts later: <https://docs.kernel.org/userspace-api/landlock.html>. It came to
//! Linux in steps, and each of our three measures says which step it needs.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    NetPort, PathBeneath, PathFd, PathFdError, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::needs::{Access, Needs};
use super::report::{Measure, Report, State};

/// What is asked of the kernel: the steps up to Linux 6.15, which were tried. It gives what it has.
const ASKED: ABI = ABI::V7;

/// Each measure, the first step that has all of it, and the first Linux that has this step.
const STEPS: [(Measure, ABI, &str); 3] = [
    (Measure::Files, ABI::V3, "6.2"),
    (Measure::Network, ABI::V4, "6.7"),
    (Measure::Signals, ABI::V6, "6.12"),
];

/// Why the fence cannot be put up.
#[derive(Debug, thiserror::Error)]
enum Unfenced {
    #[error("Landlock: {0}")]
    Ruleset(#[from] RulesetError),
    #[error(transparent)]
    Path(#[from] PathFdError),
}

/// Leaves only what `needs` lists, and notes how much of that took effect.
pub(super) fn restrict(needs: &Needs, report: &mut Report) {
    let reached = match fence(needs) {
        Ok(status) => reached(&status),
        Err(why) => Err(why.to_string()),
    };
    for (measure, from, linux) in STEPS {
        match &reached {
            Ok(abi) if *abi >= from => {
                report.note(measure, State::InEffect, format!("Landlock ABI {abi}"));
            }
            Ok(abi) => {
                let why = format!("needs Linux {linux}; this kernel has Landlock ABI {abi}");
                report.note(measure, State::Missing, why);
            }
            Err(why) => report.note(measure, State::Missing, why.clone()),
        }
    }
}

/// Returns the step of Landlock that took effect.
fn reached(status: &RestrictionStatus) -> Result<ABI, String> {
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel has no Landlock".to_owned()),
        LandlockStatus::NotEnabled => Err("Landlock is off in this kernel: see lsm=".to_owned()),
        LandlockStatus::Available { effective_abi, .. } => Ok(effective_abi),
    }
}

fn fence(needs: &Needs) -> Result<RestrictionStatus, Unfenced> {
    let mut fence = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ASKED))?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?;
    for (path, access) in needs.grants() {
        fence = allow(fence, &path, access)?;
    }
    for port in needs.ports() {
        fence = fence.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(fence.restrict_self()?)
}

fn allow(fence: RulesetCreated, path: &Path, access: Access) -> Result<RulesetCreated, Unfenced> {
    match PathFd::new(path) {
        Ok(opened) => {
            let rights = if path.is_dir() {
                rights(access)
            } else {
                rights(access) & AccessFs::from_file(ASKED)
            };
            Ok(fence.add_rule(PathBeneath::new(opened, rights))?)
        }
        // What is not there, or cannot be reached anyway, needs no permission; whoever opens it
        // says so in words that fit.
        Err(error) if is_out_of_reach(&error) => Ok(fence),
        Err(error) => Err(error.into()),
    }
}

fn is_out_of_reach(error: &PathFdError) -> bool {
    let PathFdError::OpenCall { source, .. } = error else { return false };
    let kind = source.kind();
    [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::NotADirectory]
        .contains(&kind)
}

/// Returns what an access is in Landlock's words. Nothing is ever executed, no device, pipe, socket
/// or link made, and no file moved from one folder to another.
fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    match access {
        Access::Remove => AccessFs::RemoveFile.into(),
        Access::Read => read,
        Access::Write => {
            read | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::MakeReg
                | AccessFs::MakeDir
                | AccessFs::RemoveFile
                | AccessFs::RemoveDir
        }
    }
}
