//! The certificate and the versions of TLS.

use super::rules::{
    ENDS_SOON, EXPIRED, NO_HTTP2, OLD_TLS, PLAIN_BESIDE_TLS, UNTRUSTED, WRONG_NAME,
};
use super::{Trust, Visit};
use crate::check::Finding;
use crate::check::certificate::{judge_names, judge_time};
use crate::http::{Chain, Roots};
use crate::outbound::{HttpAnswer, LookError, exchange_bare, shake_hands};

/// Judges everything below HTTP.
pub(super) fn judge(visit: &Visit<'_>, trust: Trust<'_>) -> Result<Vec<Finding>, LookError> {
    let handshake = shake_hands(visit.target)?;
    let mut findings = judge_chain(visit, trust, &Chain::from_der(handshake.certificates));
    if !handshake.speaks_http2 {
        findings.push(Finding::new(&NO_HTTP2, "h2 was offered and not taken"));
    }
    for (name, version) in [("TLS 1.0", [3, 1]), ("TLS 1.1", [3, 2])] {
        let answer = exchange_bare(visit.target, &hello(visit.target.host(), version))?;
        if is_handshake(&answer) {
            findings.push(Finding::new(&OLD_TLS, format_args!("{name} is spoken")));
        }
    }
    findings.extend(judge_plain(visit)?);
    Ok(findings)
}

fn judge_chain(visit: &Visit<'_>, trust: Trust<'_>, chain: &Chain) -> Vec<Finding> {
    let mut findings = Vec::new();
    let roots = match trust {
        Trust::File(file) => Roots::from_file(file).map_err(|error| error.to_string()),
        Trust::System => Roots::of_system().ok_or_else(|| {
            "no authorities were found on this system: name some by --ca".to_owned()
        }),
    };
    let validity = chain.validities().into_iter().next().flatten();
    // Not valid yet is what the verification says, too.
    let due = validity
        .and_then(|validity| judge_time(validity, visit.now, [&EXPIRED, &ENDS_SOON, &UNTRUSTED]));
    let is_over = validity.is_some_and(|validity| validity.has_ended(visit.now));
    let verified = roots.and_then(|roots| chain.verify(&roots, visit.now));
    findings.extend(due);
    if let Err(why) = verified
        && !is_over
    {
        findings.push(Finding::new(&UNTRUSTED, why));
    }
    findings.extend(judge_names(chain, visit.target.host(), &WRONG_NAME));
    findings
}

/// Asks without TLS. That it is refused in words (400, 426) is as good as hanging up.
fn judge_plain(visit: &Visit<'_>) -> Result<Option<Finding>, LookError> {
    let host = visit.target.authority();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = HttpAnswer::read(&exchange_bare(visit.target, request.as_bytes())?);
    let served = answer.filter(|answer| !matches!(answer.status, 400 | 426));
    Ok(served.map(|answer| {
        Finding::new(&PLAIN_BESIDE_TLS, format_args!("it was answered with {}", answer.status))
    }))
}

/// The type of a record that goes on with a handshake; a refusal is an alert, or nothing.
fn is_handshake(answer: &[u8]) -> bool {
    answer.first() == Some(&22)
}

/// Makes the first message of a client that knows nothing newer than `version` (RFC 4346,
/// section 7.4.1.2), with suites, groups and signatures that a server of that time has.
fn hello(host: &str, version: [u8; 2]) -> Vec<u8> {
    const SUITES: [u8; 16] = [
        0xC0, 0x0A, 0xC0, 0x09, 0xC0, 0x14, 0xC0, 0x13, 0x00, 0x39, 0x00, 0x33, 0x00, 0x35, 0x00,
        0x2F,
    ];
    const GROUPS: [u8; 12] = [0, 10, 0, 8, 0, 6, 0, 23, 0, 24, 0, 25];
    const POINTS: [u8; 6] = [0, 11, 0, 2, 1, 0];
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(prefixed(&SUITES));
    body.extend([1, 0]);
    body.extend(prefixed(&[&server_name(host)[..], &GROUPS, &POINTS].concat()));
    let message = [&[1, 0][..], &prefixed(&body)].concat();
    [&[22, 3, 1][..], &prefixed(&message)].concat()
}

/// Names the server (RFC 6066, section 3), unless it is an address.
fn server_name(host: &str) -> Vec<u8> {
    if crate::check::settings::bare_address(host).is_some() {
        return Vec::new();
    }
    let name = [&[0][..], &prefixed(host.as_bytes())].concat();
    [&[0, 0][..], &prefixed(&prefixed(&name))].concat()
}

/// Returns `bytes` behind their length in two bytes; what is longer is cut.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend(bytes.iter().take(usize::from(length)));
    out
}
