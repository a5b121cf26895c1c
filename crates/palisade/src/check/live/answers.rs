//! What every answer carries, and what no answer tells.

use std::time::Duration;

use super::Visit;
use super::rules::{
    LEAKS, NO_SECURITY_HEADER, NO_STRICT_TRANSPORT, OTHER_ERRORS, OTHER_TIME, TELLS_ITS_MAKER,
};
use crate::check::Finding;
use crate::check::settings::bare_address;
use crate::clock::Timestamp;
use crate::outbound::HttpAnswer;

/// An answer, and what it was the answer to.
#[derive(Debug)]
pub(super) struct Seen {
    request: String,
    answer: HttpAnswer,
}

impl Seen {
    pub(super) fn new(request: String, answer: HttpAnswer) -> Self {
        Self { request, answer }
    }

    fn name(&self) -> String {
        format!("{} ({})", self.request, self.answer.status)
    }
}

/// A header, and whether a value of it protects.
type Protection = (&'static str, fn(&str) -> bool);

const PROTECTIONS: [Protection; 4] = [
    ("x-content-type-options", |value| value.eq_ignore_ascii_case("nosniff")),
    ("referrer-policy", |value| !value.to_lowercase().contains("unsafe-url")),
    ("cross-origin-resource-policy", |value| !value.is_empty()),
    ("content-security-policy", |value| value.contains("default-src")),
];

/// Headers that name a program.
const MAKERS: [&str; 3] = ["server", "x-powered-by", "x-aspnet-version"];

/// Words that stand in no answer that was made for strangers: of panics, of libraries, of paths.
const INNER: [&str; 20] = [
    "panicked at",
    "stack backtrace",
    "rust_backtrace",
    ".rs:",
    "serde",
    "sqlite",
    "sqlx::",
    "sqlstate",
    "tower_http",
    "hyper::",
    "core::result",
    "tokio::",
    "expected value at line",
    "eof while parsing",
    "no such table",
    "traceback (most recent",
    "exception in thread",
    "/home/",
    "/root/",
    "/usr/src/",
];

/// Half a year in seconds.
const LEAST_MAX_AGE: u64 = 182 * 24 * 60 * 60;
const TOLERATED: Duration = Duration::from_secs(5 * 60);

pub(super) fn judge_answers(visit: &Visit<'_>, seen: &[Seen]) -> Vec<Finding> {
    let mut findings = judge_protections(seen);
    findings.extend(judge_makers(seen));
    findings.extend(judge_errors(seen));
    findings.extend(judge_strict_transport(visit, seen));
    let date = seen.iter().find_map(|one| one.answer.header("date"));
    let date = date.and_then(Timestamp::from_http_date);
    findings.extend(date.and_then(|date| judge_date(date, visit.now)));
    findings
}

fn judge_protections(seen: &[Seen]) -> Vec<Finding> {
    let judge = |(name, protects): &Protection| {
        let is_missing = |one: &&Seen| !one.answer.header(name).is_some_and(protects);
        let missing: Vec<_> = seen.iter().filter(is_missing).map(Seen::name).collect();
        let what = format_args!("{name} does not protect {}", missing.join(", "));
        (!missing.is_empty()).then(|| Finding::new(&NO_SECURITY_HEADER, what))
    };
    PROTECTIONS.iter().filter_map(judge).collect()
}

fn judge_makers(seen: &[Seen]) -> Vec<Finding> {
    let judge = |name: &&str| {
        let told = seen.iter().find_map(|one| one.answer.header(name))?;
        let told: String = told.chars().take(80).collect();
        Some(Finding::new(&TELLS_ITS_MAKER, format_args!("{name}: {told}")))
    };
    MAKERS.iter().filter_map(judge).collect()
}

fn judge_errors(seen: &[Seen]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let errors = || seen.iter().filter(|one| one.answer.status >= 400);
    let is_other = |one: &&Seen| {
        let kind = one.answer.header("content-type").unwrap_or_default();
        !kind.starts_with("application/problem+json")
    };
    let others: Vec<_> = errors().filter(is_other).map(Seen::name).collect();
    if !others.is_empty() {
        findings.push(Finding::new(&OTHER_ERRORS, others.join(", ")));
    }
    for one in errors() {
        let body = String::from_utf8_lossy(&one.answer.body).to_lowercase();
        let word = INNER.iter().find(|word| body.contains(*word));
        findings.extend(word.map(|word| {
            Finding::new(&LEAKS, format_args!("the answer to {} holds \"{word}\"", one.name()))
        }));
    }
    findings
}

/// The header has no meaning without TLS and for an address.
fn judge_strict_transport(visit: &Visit<'_>, seen: &[Seen]) -> Option<Finding> {
    if !visit.target.is_tls() || bare_address(visit.target.host()).is_some() {
        return None;
    }
    let is_weak = |one: &&Seen| {
        let value = one.answer.header("strict-transport-security").unwrap_or_default();
        max_age(value).is_none_or(|age| age < LEAST_MAX_AGE)
    };
    let weak: Vec<_> = seen.iter().filter(is_weak).map(Seen::name).collect();
    (!weak.is_empty()).then(|| Finding::new(&NO_STRICT_TRANSPORT, weak.join(", ")))
}

fn max_age(value: &str) -> Option<u64> {
    let lower = value.to_lowercase();
    let age = lower.split(';').find_map(|part| part.trim().strip_prefix("max-age="))?;
    age.trim_matches('"').parse().ok()
}

fn judge_date(date: Timestamp, now: Timestamp) -> Option<Finding> {
    let differs = date > now.after(TOLERATED) || now > date.after(TOLERATED);
    let what = format_args!("it says {date}, here it is {now}");
    differs.then(|| Finding::new(&OTHER_TIME, what))
}
