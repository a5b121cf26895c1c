//! Requests that a sound service refuses.

use serde_json::Value;

use super::answers::{Seen, judge_answers};
use super::rules::{ADMIN_IN_PUBLIC, ANY_HOST, HUGE_BODIES, HUGE_HEADERS, NOT_TRIED, TRACE};
use super::{DOCUMENT, Visit};
use crate::check::{Finding, Rule};
use crate::outbound::HttpAnswer;

/// A path that nobody has.
const NOWHERE: &str = "/palisade-check-finds-nothing-here";
/// What only the admin listener says.
const ADMIN: [&str; 3] = ["/metrics", "/ready", "/live"];
/// Longer than any limit on headers that can be set.
const HUGE_HEADER: usize = 64 * 1024;
/// More than any body that is not an upload.
const HUGE_BODY: usize = 64 * 1024 * 1024;

/// Sends them, and judges what comes back.
pub(super) fn judge(visit: &Visit<'_>, document: HttpAnswer) -> Vec<Finding> {
    let mut findings = Vec::new();
    let route = open_route(&document);
    let mut seen = vec![Seen::new(format!("GET {DOCUMENT}"), document)];
    seen.extend(visit.get(NOWHERE).map(|answer| Seen::new(format!("GET {NOWHERE}"), answer)));
    let other = visit.ask("PATCH", DOCUMENT, "Content-Length: 0\r\n");
    seen.extend(other.map(|answer| Seen::new(format!("PATCH {DOCUMENT}"), answer)));
    match route {
        Some(path) => findings.extend(judge_bodies(visit, &path, &mut seen)),
        None => findings.push(Finding::new(&NOT_TRIED, format_args!("{DOCUMENT} names none"))),
    }
    for refusal in refusals(visit) {
        let Some(answer) = visit.send(&refusal.request) else { continue };
        if answer.status < 400 {
            let what = format_args!("{} was answered with {}", refusal.name, answer.status);
            findings.push(Finding::new(refusal.rule, what));
        }
        seen.push(Seen::new(refusal.name.to_owned(), answer));
    }
    for path in ADMIN {
        if visit.get(path).is_some_and(|answer| answer.status < 400) {
            findings.push(Finding::new(&ADMIN_IN_PUBLIC, format_args!("GET {path}")));
        }
    }
    findings.extend(judge_answers(visit, &seen));
    findings
}

/// A request that must be refused.
struct Refusal {
    name: &'static str,
    request: String,
    rule: &'static Rule,
}

fn refusals(visit: &Visit<'_>) -> [Refusal; 4] {
    let host = format!("Host: {}\r\n", visit.target.authority());
    let request = |method: &str, headers: &str| {
        format!("{method} {DOCUMENT} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
    };
    let twice = format!("{host}Host: other.invalid\r\n");
    let huge = format!("{host}X-Filler: {}\r\n", "x".repeat(HUGE_HEADER));
    let refusal = |name, request, rule| Refusal { name, request, rule };
    [
        refusal("a request without Host", request("GET", ""), &ANY_HOST),
        refusal("a request with two Hosts", request("GET", &twice), &ANY_HOST),
        refusal("a request with 64 KiB of headers", request("GET", &huge), &HUGE_HEADERS),
        refusal("TRACE", request("TRACE", &host), &TRACE),
    ]
}

/// Sends what is no JSON, and announces a body that is too large and never comes.
fn judge_bodies(visit: &Visit<'_>, path: &str, seen: &mut Vec<Seen>) -> Option<Finding> {
    let json = "Content-Type: application/json\r\n";
    let host = visit.target.authority();
    let malformed = visit.send(&format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{json}\
         Content-Length: 7\r\n\r\n{{\"a\": ]"
    ));
    seen.extend(malformed.map(|answer| Seen::new(format!("POST {path} with broken JSON"), answer)));
    let length = format!("{json}Content-Length: {HUGE_BODY}\r\n");
    let huge = visit.ask("POST", path, &length);
    let is_refused = huge.as_ref().is_some_and(|answer| answer.status >= 400);
    seen.extend(huge.map(|answer| Seen::new(format!("POST {path} with a huge body"), answer)));
    let what = format_args!("POST {path} waits for 64 MiB");
    (!is_refused).then(|| Finding::new(&HUGE_BODIES, what))
}

/// Finds a route in the OpenAPI document to which anybody may send JSON.
fn open_route(document: &HttpAnswer) -> Option<String> {
    let document: Value = serde_json::from_slice(&document.body).ok()?;
    let takes_json_from_anybody = |path: &&String, item: &Value| {
        let Some(post) = item.get("post") else { return false };
        let security = post.get("security").or_else(|| document.get("security"));
        let is_open = security.and_then(Value::as_array).is_none_or(Vec::is_empty);
        let is_plain =
            path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte));
        is_open && is_plain && post.pointer("/requestBody/content/application~1json").is_some()
    };
    let paths = document.get("paths")?.as_object()?;
    let found = paths.iter().find(|(path, item)| takes_json_from_anybody(path, item));
    found.map(|(path, _)| path.clone())
}
