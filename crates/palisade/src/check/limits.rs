//! Limits that are switched off, or so wide that they are none.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::auth::SessionsSection;
use crate::config::{FromSetting, Shown, Size};
use crate::crypto::{HashSettings, PasswordsSection};
use crate::http::LimitsSection;

crate::rules! {
    /// Limits.
    pub(super) RULES;

    /// A rate is not counted.
    OFF = "PAL601", Warning, Limits {
        title: "A rate limit is switched off.",
        why: "One client can ask as fast as it likes: guess, fill the disk, and keep others \
              waiting.",
        mend: "Set a rate, or silence this with what limits clients instead.",
    }
    /// Bodies may be huge.
    HUGE_BODIES = "PAL602", Warning, Limits {
        title: "Every route takes bodies of more than 1 MiB.",
        why: "Memory for them is taken for each request at a time, before anybody is asked who it \
              is where a route is for anyone.",
        mend: "Lower limits.body_bytes, and give the one route that takes files a limit of its \
               own.",
    }
    /// Slow clients hold places for long.
    LONG_TIMEOUT = "PAL603", Warning, Limits {
        title: "A deadline is so long that slow clients fill the places of others.",
        why: "Each slow client holds a connection, and some of the requests in flight, until its \
              deadline.",
        mend: "Come back towards the default.",
    }
    /// There are fewer descriptors than connections.
    FEW_DESCRIPTORS = "PAL604", Warning, Limits {
        title: "The system gives fewer file descriptors than limits.connections needs.",
        why: "The service then holds fewer connections than it is set to, and says so only in its \
              log.",
        mend: "Raise the hard limit (`ulimit -Hn`, LimitNOFILE= in systemd), or lower \
               limits.connections.",
    }
    /// One address may take every place.
    NO_SHARE = "PAL605", Warning, Limits {
        title: "One address may hold every connection.",
        why: "limits.connections_per_ip is what keeps one client from all the places; as high as \
              limits.connections it does nothing.",
        mend: "Lower limits.connections_per_ip to a fraction of limits.connections.",
    }
    /// The speed that is asked for is none.
    NO_SPEED = "PAL606", Warning, Limits {
        title: "limits.least_bytes_per_second lets clients drip.",
        why: "A client that sends or reads a few bytes a second holds its place for as long as \
              all its deadlines together.",
        mend: "Come back towards the default of 1KiB.",
    }
    /// Sessions go on for long.
    LONG_SESSIONS = "PAL607", Warning, Limits {
        title: "A sign-in lasts longer than 24 hours, or an hour without use.",
        why: "A token that was stolen or left behind is good for that long. The bounds are those \
              of NIST SP 800-63B-4, section 2.2.3 (AAL2).",
        mend: "Lower sessions.absolute and sessions.idle, or silence this with why the data \
               allows it.",
    }
    /// Password hashes would be cheap, or dear.
    PASSWORDS = "PAL608", Error, Limits, stops the start {
        title: "The cost of hashing a password is out of bounds.",
        why: "Below OWASP's least (ASVS 5.0, appendix C) a stolen hash is cheap to try passwords \
              against; far above it, a few sign-ins stop the service.",
        mend: "Come back to the defaults of [passwords].",
    }
}

/// More than an API's documents have.
const MOST_BODY: Size = Size::mib(1);
/// Longest sign-in and longest without use that are not told.
const MOST_ABSOLUTE: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_IDLE: Duration = Duration::from_secs(60 * 60);
/// Fewer bytes a second than the slowest honest client sends.
const LEAST_SPEED: u64 = 128;
/// Descriptors that are not for connections, as the service counts them.
const OTHER_DESCRIPTORS: u64 = 64;

/// Says that a rate is not counted.
pub(super) fn switched_off(shown: &Shown) -> Finding {
    let Shown { section, key, value, origin } = shown;
    Finding::new(&OFF, format_args!("{section}.{key} = {value} ({origin})"))
}

/// Judges what hashing a password costs.
pub fn passwords(section: &PasswordsSection) -> Option<Finding> {
    let error = HashSettings::from(section).check().err()?;
    Some(Finding::new(&PASSWORDS, format_args!("[passwords] {error}")))
}

/// Judges how long a sign-in lasts.
pub fn sessions(section: &SessionsSection) -> Option<Finding> {
    let is_long = section.absolute > MOST_ABSOLUTE || section.idle > MOST_IDLE;
    let (absolute, idle) = (section.absolute.written(), section.idle.written());
    let what = format_args!("sessions.absolute = \"{absolute}\", sessions.idle = \"{idle}\"");
    is_long.then(|| Finding::new(&LONG_SESSIONS, what))
}

pub(super) fn judge(limits: &LimitsSection) -> Vec<Finding> {
    let mut findings = Vec::new();
    if limits.body_bytes > MOST_BODY {
        let what = format_args!("limits.body_bytes = \"{}\"", limits.body_bytes.written());
        findings.push(Finding::new(&HUGE_BODIES, what));
    }
    findings.extend(judge_deadlines(limits));
    let (all, per_ip) = (limits.connections, limits.connections_per_ip);
    if per_ip >= all && all > 1 {
        let what = format_args!("limits.connections_per_ip = {per_ip}, limits.connections = {all}");
        findings.push(Finding::new(&NO_SHARE, what));
    }
    let speed = limits.least_bytes_per_second.as_u64();
    if speed < LEAST_SPEED {
        let what = format_args!("limits.least_bytes_per_second = {speed}");
        findings.push(Finding::new(&NO_SPEED, what));
    }
    findings.extend(judge_descriptors(all, getrlimit(Resource::Nofile).maximum));
    findings
}

fn judge_deadlines(limits: &LimitsSection) -> impl Iterator<Item = Finding> {
    let seconds = Duration::from_secs;
    let deadlines = [
        ("header_timeout", limits.header_timeout, seconds(60)),
        ("body_timeout", limits.body_timeout, seconds(120)),
        ("request_timeout", limits.request_timeout, seconds(120)),
        ("idle_timeout", limits.idle_timeout, seconds(600)),
        ("write_timeout", limits.write_timeout, seconds(120)),
    ];
    deadlines.into_iter().filter(|(_, set, most)| set > most).map(|(key, set, most)| {
        let (set, most) = (set.written(), most.written());
        let what = format_args!("limits.{key} = \"{set}\", more than {most}");
        Finding::new(&LONG_TIMEOUT, what)
    })
}

/// Judges against the hard limit, up to which the service raises its own.
fn judge_descriptors(connections: usize, hard_limit: Option<u64>) -> Option<Finding> {
    let limit = hard_limit?;
    let needed = u64::try_from(connections).ok()?.saturating_add(OTHER_DESCRIPTORS);
    let what = format_args!("limits.connections = {connections} needs {needed}, there are {limit}");
    (needed > limit).then(|| Finding::new(&FEW_DESCRIPTORS, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_need_as_many_descriptors_and_some_more() {
        assert!(judge_descriptors(4096, Some(4160)).is_none());
        assert!(judge_descriptors(4096, None).is_none());
        let few = judge_descriptors(4096, Some(4159)).unwrap();
        assert_eq!(few.rule().id, "PAL604");
    }
}
