//! What the process may do, and what this machine could take from it.

use rustix::process::{Resource, getrlimit};

use super::Finding;
use super::owners::this_user;
use crate::process::{Sandbox, SandboxSection};

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
    /// What took effect is only known when it runs.
    BEST_EFFORT = "PAL703", Note, Process {
        title: "The process locks itself down as far as the machine allows.",
        why: "What took effect stands in the log at the start, and nothing stops the service if \
              something did not.",
        mend: "Set sandbox.mode = \"enforce\" once the log says that everything takes effect here.",
    }
    /// A crash writes memory to the disk.
    CORE_FILES = "PAL705", Warning, Process {
        title: "A crash would write the memory to a file or hand it to a program.",
        why: "The memory holds keys, passwords and tokens.",
        mend: "Set sandbox.mode = \"best-effort\" or \"enforce\", or `ulimit -c 0` and a \
               kernel.core_pattern that keeps nothing.",
    }
}

/// Returns what the process could do, were it the service: it runs as the same user here only if
/// the check is started as that user.
pub fn process(sandbox: &SandboxSection) -> Vec<Finding> {
    let mut findings = Vec::new();
    if this_user() == 0 {
        findings.push(Finding::new(&ROOT, "the user of this process is root"));
    }
    findings.extend(lockdown(sandbox.mode));
    findings.extend(core_files(sandbox.mode));
    findings
}

/// Judges the mode that is set against what this kernel offers. The service's own report of what
/// took effect ([`crate::process::Report`]) stands in its log; a filter that a container forbids
/// is only known there.
fn lockdown(mode: Sandbox) -> Option<Finding> {
    match mode {
        Sandbox::Off => Some(Finding::new(&NOT_LOCKED_DOWN, "sandbox.mode = \"off\"")),
        Sandbox::BestEffort => {
            let what = format_args!("sandbox.mode = \"best-effort\"; {}", offered());
            Some(Finding::new(&BEST_EFFORT, what))
        }
        Sandbox::Enforce => None,
    }
}

/// Says what the kernel offers, as far as it tells.
fn offered() -> String {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").ok();
    let landlock = match modules.as_deref() {
        Some(list) if list.trim().split(',').any(|module| module == "landlock") => "yes",
        Some(_) => "no",
        None => "unknown",
    };
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let seccomp = if actions.is_ok() { "yes" } else { "unknown" };
    format!("this kernel says of Landlock: {landlock}, of seccomp filters: {seccomp}")
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
