//! What answers, looked at from outside as any stranger can.
//!
//! Everything that is sent is a request that a sound service refuses, or one that reads what
//! anybody may read; nothing is changed, no secret is sent, and nothing is asked of any other
//! address. It takes about twenty connections.

mod answers;
mod requests;
mod rules;
mod transport;

use std::path::Path;

use super::Finding;
use super::settings::is_loopback_name;
use crate::clock::Timestamp;
use crate::outbound::{HttpAnswer, Target, exchange};
pub(super) use rules::RULES;

/// Whose word counts for the certificate.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// The authorities that this system trusts.
    System,
    /// Those of a PEM file, for an authority of one's own.
    File(&'a Path),
}

/// Looks at what answers at `target`; blocks for as long as that takes, 5 seconds at most for
/// each conversation.
pub fn live(target: &Target, trust: Trust<'_>, now: Timestamp) -> Vec<Finding> {
    let visit = Visit { target, now };
    let mut findings = Vec::new();
    if target.is_tls() {
        match transport::judge(&visit, trust) {
            Ok(found) => findings.extend(found),
            Err(error) => return vec![Finding::new(&rules::UNREACHABLE, error)],
        }
    } else if !is_loopback_name(target.host()) {
        findings.push(Finding::new(&rules::IN_THE_CLEAR, target));
    }
    let Some(document) = visit.get(DOCUMENT) else {
        findings.push(Finding::new(&rules::UNREACHABLE, format_args!("{target} does not answer")));
        return findings;
    };
    findings.extend(requests::judge(&visit, document));
    findings
}

/// What every service of this library answers to anybody.
const DOCUMENT: &str = "/openapi.json";

/// Who is looked at, and when.
#[derive(Debug, Clone, Copy)]
struct Visit<'a> {
    target: &'a Target,
    now: Timestamp,
}

impl Visit<'_> {
    fn get(&self, path: &str) -> Option<HttpAnswer> {
        self.ask("GET", path, "")
    }

    /// Asks in good form, with more headers if there are any, each with its end of line.
    fn ask(&self, method: &str, path: &str, more: &str) -> Option<HttpAnswer> {
        let host = self.target.authority();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
        ))
    }

    /// Sends a request as it is. Who hangs up without a word has refused.
    fn send(&self, request: &str) -> Option<HttpAnswer> {
        let received = exchange(self.target, request.as_bytes()).ok()?;
        HttpAnswer::read(&received)
    }
}
