//! What a body says of itself: exactly one `Content-Type`, and no coding that was not asked for.

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::Request;
use crate::http::{Problem, problem};

/// The media type of JSON (RFC 8259).
pub(in super::super) const JSON: &str = "application/json";

/// How a body is coded on its way (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
}

/// Returns the coding of a body that must be of the media type `wanted`.
///
/// # Errors
///
/// 415 for another type or none, for two, and for a coding that the route does not take.
pub(super) fn check(request: &Request, wanted: &str) -> Result<Coding, Problem> {
    let mut types = request.parts.headers.get_all(CONTENT_TYPE).iter();
    let (Some(given), None) = (types.next(), types.next()) else {
        return Err(wrong_media_type(request, wanted));
    };
    if !given.to_str().is_ok_and(|given| names(given, wanted)) {
        return Err(wrong_media_type(request, wanted));
    }
    coding(request).ok_or_else(|| wrong_media_type(request, wanted))
}

/// Says what the route would take instead.
pub(super) fn wrong_media_type(request: &Request, wanted: &str) -> Problem {
    let charset = if is_text(wanted) { ", in UTF-8" } else { "" };
    let coding = match request.limits.inflates {
        true => ", not compressed or with one Content-Encoding: gzip",
        false => " and not compressed",
    };
    Problem::new(problem::UNSUPPORTED_MEDIA_TYPE)
        .detail(format!("Send one Content-Type: {wanted}{charset}{coding}."))
}

/// Tells whether a type is text, always in UTF-8, and may say so.
pub(in super::super) fn is_text(media_type: &str) -> bool {
    media_type == JSON || media_type.starts_with("text/")
}

fn coding(request: &Request) -> Option<Coding> {
    let mut codings = request.parts.headers.get_all(CONTENT_ENCODING).iter();
    match (codings.next().map(HeaderValue::as_bytes), codings.next()) {
        (None, _) => Some(Coding::Identity),
        (Some(given), None) if given.eq_ignore_ascii_case(b"identity") => Some(Coding::Identity),
        (Some(given), None) if given.eq_ignore_ascii_case(b"gzip") => {
            request.limits.inflates.then_some(Coding::Gzip)
        }
        (Some(_), _) => None,
    }
}

fn names(content_type: &str, wanted: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let parameters = parameters.trim();
    let is_utf8 = parameters.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset")
            && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    essence.trim().eq_ignore_ascii_case(wanted)
        && (parameters.is_empty() || is_text(wanted) && is_utf8)
}
