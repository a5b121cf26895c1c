//! What clients see of the errors of a router that is not ours.
//!
//! Frameworks and handlers write what they please into an error: serde's words, a path, a query.
//! Nothing of it is passed on unless it was made for clients, as problem documents are.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::problem::{
    AUTHENTICATION_FAILED, BAD_REQUEST, BODY_TOO_LARGE, FORBIDDEN, HEADERS_TOO_LARGE, INTERNAL,
    METHOD_NOT_ALLOWED, NOT_FOUND, OVERLOADED, PRECONDITION_FAILED, RATE_LIMITED, REQUEST_TIMEOUT,
    UNSUPPORTED_MEDIA_TYPE, URI_TOO_LONG,
};
use crate::http::{Kind, Problem};

/// What a client needs of an error's headers to go on.
const KEPT: [HeaderName; 7] = [
    ALLOW,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    VARY,
    // Without these a page of another origin cannot see the status either.
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// Seconds to wait where an answer that asks for patience does not say for how long.
const RETRY_SECONDS: u32 = 1;

/// A status that ends no request, such as 101, or that no client knows.
#[derive(Debug, thiserror::Error)]
#[error("the mounted router answered with status {0}")]
struct NoFinalStatus(StatusCode);

/// Returns what is answered instead of what the router answered; `None` if that is passed on.
/// `failure` is what was wrong with the request's body.
pub(super) fn of(answer: &Parts, failure: Option<Problem>) -> Option<Problem> {
    let status = answer.status;
    if !(200..600).contains(&status.as_u16()) {
        return Some(Problem::internal(NoFinalStatus(status)));
    }
    if status.as_u16() < 400 {
        return None;
    }
    if failure.is_some() {
        return failure;
    }
    (!is_problem(&answer.headers)).then(|| replacement(status, &answer.headers))
}

fn is_problem(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::to_str);
    let (Some(Ok(given)), None) = (types.next(), types.next()) else { return false };
    let essence = given.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/problem+json")
}

fn replacement(status: StatusCode, headers: &HeaderMap) -> Problem {
    let kind = kind_of(status);
    let mut problem = Problem::new(kind).numbered(status);
    if let (true, Some(words)) = (kind.status != status.as_u16(), status.canonical_reason()) {
        problem = problem.detail(words);
    }
    for name in KEPT {
        for value in headers.get_all(&name) {
            problem = problem.carrying(name.clone(), value.clone());
        }
    }
    let asks_to_wait = kind == RATE_LIMITED || kind == OVERLOADED;
    if asks_to_wait && !headers.contains_key(RETRY_AFTER) {
        problem = problem.retry_after(RETRY_SECONDS);
    }
    problem
}

fn kind_of(status: StatusCode) -> &'static Kind {
    match status.as_u16() {
        401 => AUTHENTICATION_FAILED,
        403 => FORBIDDEN,
        404 => NOT_FOUND,
        405 => METHOD_NOT_ALLOWED,
        408 => REQUEST_TIMEOUT,
        412 => PRECONDITION_FAILED,
        413 => BODY_TOO_LARGE,
        414 => URI_TOO_LONG,
        415 => UNSUPPORTED_MEDIA_TYPE,
        429 => RATE_LIMITED,
        431 => HEADERS_TOO_LARGE,
        503 => OVERLOADED,
        ..500 => BAD_REQUEST,
        _ => INTERNAL,
    }
}
