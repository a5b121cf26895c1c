//! What the process may do, and what this machine could take from it.

use rustix::process::{Resource, getrlimit};

use super::Finding;
use super::owners::this_user;
use crate::process::{
    Account, LockdownError, Measure, Needs, Outcome, Sandbox, SandboxSection, lock_down,
};

crate::rules! {
    /// The process.
    pub(super) RULES;

    /// Root can do everything.
    ROOT = "PAL701", Warning, Process {
        title: "This runs as root.",
        why: "A fault in the service is then a fault of the whole machine. Nothing here needs \
              root. If only the check was started as root, it cannot judge what the service's own \
              user may read.",
        mend: "Give the service an account of its own, and run the check as that account.",
    }
    /// Nothing is taken from the process.
    NOT_LOCKED_DOWN = "PAL702", Warning, Process {
        title: "The process keeps everything that the system lets it do.",
        why: "A fault then reaches as far as the user's rights: memory that others may read, core \
              files, new privileges.",
        mend: "Set sandbox.mode = \"best-effort\" or \"enforce\".",
    }
    /// A start is not refused if something does not take effect.
    BEST_EFFORT = "PAL703", Note, Process {
        title: "The process locks itself down as far as the machine allows.",
        why: "Nothing stops the service if something does not take effect, here or on the next \
              machine.",
        mend: "Set sandbox.mode = \"enforce\" where everything takes effect.",
    }
    /// The start will be refused.
    NOT_TO_BE_HAD = "PAL704", Error, Process {
        title: "sandbox.mode = \"enforce\" demands what cannot be had here.",
        why: "The service does not start. An older kernel or a container may forbid it, or root \
              was not told to give itself up.",
        mend: "Start it where everything can be had, as an account of its own; or set \
               sandbox.mode = \"best-effort\".",
    }
    /// A crash writes memory to the disk.
    CORE_FILES = "PAL705", Warning, Process {
        title: "A crash would write the memory to a file or hand it to a program.",
        why: "The memory holds keys, passwords and tokens.",
        mend: "Set sandbox.mode = \"best-effort\" or \"enforce\", or `ulimit -c 0` and a \
               kernel.core_pattern that keeps nothing.",
    }
    /// The service cannot become whom the settings name.
    NO_ACCOUNT = "PAL706", Error, Process, stops the start {
        title: "The account of sandbox.user is not to be had.",
        why: "The service would have to stay root, so it does not start.",
        mend: "Name a user of /etc/passwd, or user and group as numbers, and start the service \
               as root; or leave sandbox.user out and start it as that account.",
    }
    /// That account cannot use the files.
    UNUSABLE_FILES = "PAL707", Error, Process {
        title: "The account of sandbox.user may not use what the service needs.",
        why: "The service does not start.",
        mend: "`chown` the files to that account, and let it pass through the folders that lead \
               to them.",
    }
}

/// Returns the number of the user whom the service becomes, if the settings name one who is there.
pub(crate) fn becomes(sandbox: &SandboxSection) -> Option<u32> {
    let account = Account::find(sandbox.user.as_ref()?).ok()?;
    Some(account.user())
}

/// Returns what keeps the service from becoming whom the settings name.
pub(super) fn fatal(sandbox: &SandboxSection) -> Option<Finding> {
    let account = sandbox.user.as_ref().map(Account::find)?;
    let refused = account.and_then(|account| account.demand_to_be_had()).err()?;
    Some(Finding::new(&NO_ACCOUNT, refused))
}

/// Returns what the process could do, were it the service: it runs as the same user here only if
/// the check is started as that user.
pub fn process(sandbox: &SandboxSection) -> Vec<Finding> {
    let mut findings = Vec::new();
    if this_user() == 0 && sandbox.user.is_none() {
        findings.push(Finding::new(&ROOT, "the user of this process is root"));
    }
    if sandbox.mode == Sandbox::Off {
        findings.push(Finding::new(&NOT_LOCKED_DOWN, "sandbox.mode = \"off\""));
    }
    findings.extend(core_files(sandbox.mode));
    findings.extend(fatal(sandbox));
    findings
}

/// Locks this very process down, for good, to tell what takes effect on this machine.
///
/// It becomes the account of `sandbox.user`, if it can, and tells what of `needs` that may not use.
/// Call it last, and where there are no other threads. What is written to open files, such as standard output, still is.
pub fn lockdown(sandbox: &SandboxSection, needs: &Needs) -> Vec<Finding> {
    // Everything is tried, however much of it is demanded.
    let tried = if sandbox.mode == Sandbox::Off { Sandbox::Off } else { Sandbox::BestEffort };
    // Who is not to be had is told by what stops the start.
    let account = sandbox.user.as_ref().and_then(|user| Account::find(user).ok());
    let account = account.filter(|account| account.demand_to_be_had().is_ok());
    let mut findings = Vec::new();
    let report = lock_down(tried, account.as_ref(), needs).or_else(|error| {
        let rule = match error {
            LockdownError::Unusable { .. } => &UNUSABLE_FILES,
            LockdownError::Account(_) | LockdownError::Missing(_) => &NO_ACCOUNT,
        };
        findings.push(Finding::new(rule, error));
        lock_down(tried, None, needs)
    });
    let Ok(report) = report else { return findings };
    // Whoever becomes somebody else is not root for long.
    let is_lacking =
        |outcome: &&Outcome| outcome.measure != Measure::User || sandbox.user.is_none();
    let missing: Vec<_> = report.missing().filter(is_lacking).map(Outcome::to_string).collect();
    findings.extend(judge_lockdown(sandbox.mode, &missing.join(", ")));
    findings
}

fn judge_lockdown(mode: Sandbox, missing: &str) -> Option<Finding> {
    match (mode, missing) {
        (Sandbox::Off, _) | (Sandbox::Enforce, "") => None,
        (Sandbox::Enforce, missing) => Some(Finding::new(&NOT_TO_BE_HAD, missing)),
        (Sandbox::BestEffort, "") => {
            Some(Finding::new(&BEST_EFFORT, "everything takes effect here"))
        }
        (Sandbox::BestEffort, missing) => {
            Some(Finding::new(&BEST_EFFORT, format_args!("not in effect here: {missing}")))
        }
    }
}

/// A process that cannot be dumped leaves no core file, whatever the pattern is.
fn core_files(mode: Sandbox) -> Option<Finding> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let most_bytes = getrlimit(Resource::Core).current;
    judge_core_files(mode, &pattern, most_bytes)
}

/// The limit does not hold for a pattern that names a program (core(5)).
fn judge_core_files(mode: Sandbox, pattern: &str, most_bytes: Option<u64>) -> Option<Finding> {
    let is_piped = pattern.starts_with('|');
    let is_written = is_piped || most_bytes != Some(0);
    let target = if is_piped { "a program" } else { "a file" };
    let what = format_args!("sandbox.mode = \"off\", and a crash hands the memory to {target}");
    (mode == Sandbox::Off && is_written).then(|| Finding::new(&CORE_FILES, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error_only_where_it_is_demanded() {
        let judge = |mode, missing| {
            let found = judge_lockdown(mode, missing)?;
            Some((found.rule().id, found.what().to_owned()))
        };

        let demanded = judge(Sandbox::Enforce, "files (no Landlock)");
        assert_eq!(demanded, Some(("PAL704", "files (no Landlock)".to_owned())));
        let wished = judge(Sandbox::BestEffort, "files (no Landlock)");
        assert_eq!(wished.unwrap().1, "not in effect here: files (no Landlock)");
        assert_eq!(judge(Sandbox::BestEffort, "").unwrap().0, "PAL703");
        assert_eq!(judge(Sandbox::Enforce, ""), None);
    }

    #[test]
    fn a_crash_that_writes_memory_somewhere_is_found_unless_the_process_forbids_it() {
        for (pattern, most_bytes, is_found) in [
            ("core", None, true),
            ("core", Some(1 << 20), true),
            ("core", Some(0), false),
            ("|/usr/share/apport/apport", Some(0), true),
        ] {
            let found = judge_core_files(Sandbox::Off, pattern, most_bytes);
            let id = found.map(|finding| finding.rule().id);
            assert_eq!(id, is_found.then_some("PAL705"), "{pattern} {most_bytes:?}");
            assert!(judge_core_files(Sandbox::BestEffort, pattern, most_bytes).is_none());
        }
    }
}
