//! The time, as far as a process can judge it.
//!
//! Whether the kernel's clock is disciplined is known to `adjtimex(2)`, for which there is no safe
//! call in the crates that are used here. What is judged instead can be seen: a clock before this
//! program was written, files from the future, and systemd's own word.

use std::path::Path;
use std::time::Duration;

use super::Finding;
use crate::clock::Timestamp;

crate::rules! {
    /// The clock.
    pub(super) RULES;

    /// The clock is behind this program.
    BEHIND = "PAL801", Error, Clock {
        title: "The clock shows a time before this program was written.",
        why: "Certificates look as if they were not valid yet, sessions live too long, and the \
              log lies.",
        mend: "Set the clock, and have it kept by NTP.",
    }
    /// The clock was ahead, or is behind.
    FILES_FROM_THE_FUTURE = "PAL802", Warning, Clock {
        title: "A file was changed in the future.",
        why: "Either the clock is behind now or it was ahead then. Sessions and retries follow \
              the clock.",
        mend: "Set the clock, and have it kept by NTP; `touch` the file if the clock is right.",
    }
    /// The system says that nobody keeps the clock.
    NOT_SYNCHRONISED = "PAL803", Warning, Clock {
        title: "The time service runs and has not set the clock.",
        why: "The clock drifts: certificates, sessions and one-time codes depend on it.",
        mend: "See `timedatectl timesync-status`; time servers may be out of reach.",
    }
}

/// No honest clock is before 2026-11-01T00:00:00Z, when this was written, in milliseconds.
const WRITTEN: i64 = 1_793_491_200_000;
/// A copy from another machine may be a little ahead.
const TOLERATED: Duration = Duration::from_secs(5 * 60);

/// Judges `now`; `files` are some that were written some time ago.
pub fn clock(now: Timestamp, files: &[&Path]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if now < Timestamp::from_millis(WRITTEN) {
        findings.push(Finding::new(&BEHIND, format_args!("the clock shows {now}")));
    }
    for file in files {
        let changed = changed_at(file).filter(|changed| *changed > now.after(TOLERATED));
        findings.extend(changed.map(|changed| {
            let what = format_args!("{} was changed at {changed}, it is {now}", file.display());
            Finding::new(&FILES_FROM_THE_FUTURE, what)
        }));
    }
    findings.extend(not_synchronised(Path::new("/run/systemd/timesync")));
    findings
}

fn changed_at(file: &Path) -> Option<Timestamp> {
    let modified = file.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// systemd-timesyncd keeps `folder` and makes `synchronized` in it once it has set the clock
/// (systemd-timesyncd.service(8)).
fn not_synchronised(folder: &Path) -> Option<Finding> {
    let is_missing = folder.is_dir() && !folder.join("synchronized").exists();
    let what = format_args!("{} has no file \"synchronized\"", folder.display());
    is_missing.then(|| Finding::new(&NOT_SYNCHRONISED, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(findings: impl IntoIterator<Item = Finding>) -> Vec<&'static str> {
        findings.into_iter().map(|finding| finding.rule().id).collect()
    }

    #[test]
    fn a_clock_before_the_program_and_files_after_now_are_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (present, path) = (changed_at(file.path()).unwrap(), file.path());
        let day = Duration::from_secs(24 * 60 * 60);

        let behind = clock(Timestamp::from_millis(0), &[path]);

        assert!(ids(behind).starts_with(&["PAL801", "PAL802"]));
        assert!(!ids(clock(present, &[path])).contains(&"PAL802"));
        assert!(ids(clock(present.before(day), &[path])).contains(&"PAL802"));
    }

    #[test]
    fn a_time_service_that_has_not_set_the_clock_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ids(not_synchronised(folder.path())), ["PAL803"]);

        std::fs::write(folder.path().join("synchronized"), "").unwrap();
        assert!(not_synchronised(folder.path()).is_none());
        assert!(not_synchronised(&folder.path().join("none")).is_none());
    }
}
