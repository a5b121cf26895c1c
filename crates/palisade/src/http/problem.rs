//! Errors that cannot leak: `application/problem+json` (RFC 9457) with public words only.
//!
//! A [`Problem`] carries a [`Kind`] (permanent code, status, title) and, apart from it, the inner
//! cause. The cause goes to the log, once, at the edge; no answer is ever made from it.
//! The guard writes the body, because only it knows the request's id.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{AnswerBody, Response};
use crate::db::DbError;
use crate::input::{MOST_VIOLATIONS, Rejection, Violation, string_schema};

/// A class of errors: what the code of an answer means, for programs and for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The permanent code, also the last part of the `type` URI.
    pub code: &'static str,
    /// The HTTP status that goes with it, 400 to 599.
    pub status: u16,
    /// A short sentence that is the same for every answer of this kind.
    pub title: &'static str,
    /// What `GET /problems/<code>` says: when it happens and what to do.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($(#[doc = $about:literal])* $name:ident = $status:literal, $code:literal, $title:literal;)*) => {
        $(
            $(#[doc = $about])*
            pub const $name: &Kind = &Kind {
                code: $code,
                status: $status,
                title: $title,
                about: concat!($($about, "\n"),*),
            };
        )*

        /// The kinds of the library itself; a service adds its own.
        pub const KINDS: &[&Kind] = &[$($name),*];
    };
}

kinds! {
    /// The body is not JSON (or CSV, or gzip), names a member twice, nests too deeply, has a value of
    /// the wrong JSON type or a member that is not known. The detail says where. Nothing was changed.
    MALFORMED_BODY = 400, "malformed_body", "The body cannot be read.";
    /// The body is well formed, but values in it are not allowed or missing. `errors` lists all
    /// of them, each with a JSON pointer, a code and what would be accepted. Nothing was changed.
    VALIDATION_FAILED = 400, "validation_failed", "Some values are not allowed.";
    /// A query parameter is not known, given twice, out of bounds, or a cursor is not one that
    /// this service made for this list. `errors` says which.
    INVALID_QUERY = 400, "invalid_query", "The query string is not allowed.";
    /// The request itself is not well formed: the Host header is missing, doubled or malformed,
    /// or another header cannot be read. The detail says which.
    BAD_REQUEST = 400, "bad_request", "The request is not well formed.";
    /// The credential is missing, wrong, expired or revoked, or the password is wrong. The answer
    /// is the same for all of these, so that it tells nothing about accounts.
    AUTHENTICATION_FAILED = 401, "authentication_failed", "The credentials are missing or do not hold.";
    /// The account has not proved itself for a while, and what was asked could take it over. Prove
    /// it again (a step-up), and send the request once more. Nothing was changed.
    STEP_UP_REQUIRED = 403, "step_up_required", "Prove yourself again first.";
    /// The caller is known and may not do this. An API key may lack the scope.
    FORBIDDEN = 403, "forbidden", "You may not do this.";
    /// There is no such route or thing, or it is not the caller's. The answer is the same for
    /// both, so that it tells nothing about what belongs to others.
    NOT_FOUND = 404, "not_found", "There is nothing here.";
    /// The route exists, but not for this method. The Allow header lists those it has.
    METHOD_NOT_ALLOWED = 405, "method_not_allowed", "This method is not available here.";
    /// The request did not arrive completely in time. Send it again, faster.
    REQUEST_TIMEOUT = 408, "request_timeout", "The request took too long to arrive.";
    /// The same caller used this Idempotency-Key for another method, path or body before. Take
    /// a new key for a new request; nothing was changed.
    IDEMPOTENCY_CONFLICT = 409, "idempotency_conflict", "The idempotency key was used for another request.";
    /// The thing was changed since the version that If-Match names. Read it again and decide anew.
    PRECONDITION_FAILED = 412, "precondition_failed", "The thing has changed in the meantime.";
    /// The body is larger than this route takes. The detail says how much it takes.
    BODY_TOO_LARGE = 413, "body_too_large", "The body is too large.";
    /// The path and query are longer than the service takes.
    URI_TOO_LONG = 414, "uri_too_long", "The address is too long.";
    /// The Content-Type is missing or not the one that this route reads, or the body is compressed
    /// in a way that this route does not take.
    UNSUPPORTED_MEDIA_TYPE = 415, "unsupported_media_type", "The body has the wrong media type.";
    /// Too many requests from this address or account. Wait as long as Retry-After says.
    RATE_LIMITED = 429, "rate_limited", "Too many requests.";
    /// The headers are more or larger than the service takes.
    HEADERS_TOO_LARGE = 431, "headers_too_large", "The headers are too large.";
    /// Something went wrong inside the service. The request id finds the reason in its log.
    INTERNAL = 500, "internal", "Something went wrong on our side.";
    /// The service has as much work as it can hold, or is shutting down. Unless the detail says
    /// otherwise, nothing was changed. Wait as long as Retry-After says and send it again.
    OVERLOADED = 503, "overloaded", "The service is busy.";
}

/// Seconds that a client is asked to wait when a queue is full: the bounded queues empty in less.
const BUSY_RETRY_SECONDS: u32 = 1;

/// An answer that says what went wrong, in public words.
#[derive(Debug, Clone)]
pub struct Problem(Arc<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: &'static Kind,
    /// Instead of the kind's own.
    status: Option<StatusCode>,
    detail: Option<Cow<'static, str>>,
    violations: Vec<Violation>,
    retry_after: Option<u32>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Cause>,
}

#[derive(Debug, Clone)]
struct Cause(Arc<dyn Error + Send + Sync>);

impl Problem {
    /// Makes a problem of `kind` that says no more than its title.
    pub fn new(kind: &'static Kind) -> Self {
        Self(Arc::new(Parts {
            kind,
            status: None,
            detail: None,
            violations: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Adds a sentence for the client. It is public: it must hold no inner error, no value that
    /// the client did not send, nothing of another account.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = Some(detail.into());
        self.with(|parts| parts.detail = detail)
    }

    /// Adds the cause for the log. No part of it reaches a client.
    #[must_use]
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        let cause = Some(Cause(Arc::new(cause)));
        self.with(|parts| parts.cause = cause)
    }

    /// Makes the answer to a failure of our own: status 500, and the request id as the only hint.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::new(INTERNAL).caused_by(cause)
    }

    /// Makes the one answer for what does not exist and for what is not the caller's.
    pub fn not_found() -> Self {
        Self::new(NOT_FOUND)
    }

    /// Makes the one answer for every credential that does not hold.
    pub fn unauthenticated() -> Self {
        Self::new(AUTHENTICATION_FAILED)
    }

    /// Makes the answer to a caller who is known and may not do this.
    pub fn forbidden() -> Self {
        Self::new(FORBIDDEN)
    }

    /// Makes the answer of a full queue.
    pub fn overloaded() -> Self {
        Self::new(OVERLOADED).retry_after(BUSY_RETRY_SECONDS)
    }

    /// Makes the answer to a body that was read and is not allowed.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self::new(VALIDATION_FAILED).with(|parts| parts.violations = violations)
    }

    /// Makes the answer to one value that is not allowed for a reason found after reading.
    pub fn invalid_value(pointer: &str, why: crate::input::Invalid) -> Self {
        let (code, detail) = (why.code, why.detail);
        Self::invalid(vec![Violation { pointer: pointer.to_owned(), code, detail }])
    }

    /// Answers 429 to a client that is over a rate; `wait`, after which it may come again, is rounded
    /// up to whole seconds.
    pub fn rate_limited(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        Self::new(RATE_LIMITED).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Adds the violations of `other`, where both are about values that are not allowed.
    pub(crate) fn and(self, other: &Self) -> Self {
        if self.kind() != VALIDATION_FAILED || other.kind() != VALIDATION_FAILED {
            return self;
        }
        self.with(|parts| parts.violations.extend(other.0.violations.iter().cloned()))
    }

    /// Makes the answer to a query string that is not allowed.
    pub fn invalid_query(violations: Vec<Violation>) -> Self {
        Self::new(INVALID_QUERY).with(|parts| parts.violations = violations)
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.with(|parts| parts.retry_after = Some(seconds))
    }

    /// Adds the methods that the path has.
    pub(super) fn allowing(self, methods: HeaderValue) -> Self {
        self.carrying(ALLOW, methods)
    }

    /// Adds a header of the answer.
    pub(super) fn carrying(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|parts| parts.headers.push((name, value)))
    }

    /// Answers with `status`, 400 to 599, instead of the kind's own: for what others refuse in
    /// finer steps than there are kinds.
    pub(super) fn numbered(self, status: StatusCode) -> Self {
        self.with(|parts| parts.status = Some(status))
    }

    /// Returns the class of this problem.
    pub fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// Returns what the log should say about the reason, outermost first.
    pub(crate) fn cause(&self) -> Option<String> {
        let Cause(cause) = self.0.cause.as_ref()?;
        let mut text = cause.to_string();
        let mut inner = cause.source();
        while let Some(error) = inner {
            text.push_str(": ");
            text.push_str(&error.to_string());
            inner = error.source();
        }
        Some(text)
    }

    /// Returns the rank of the check that found the problem: when several fail, the least wins
    /// (media type and size, form, existence, precondition, state).
    pub(crate) fn rank(&self) -> u8 {
        match self.0.kind.status {
            408 | 413 | 415 => 0,
            400 => 1,
            404 => 2,
            412 => 3,
            _ => 4,
        }
    }

    /// Writes the whole answer, the request's id included.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let mut response = Response::new(AnswerBody::whole(self.document(request_id)));
        *response.status_mut() = self.status();
        self.write_headers(response.headers_mut());
        response
    }

    /// Writes the body of the answer.
    pub(crate) fn document(&self, request_id: &str) -> Vec<u8> {
        let Parts { kind, detail, violations, .. } = self.0.as_ref();
        let document = Document {
            r#type: format_args!("/problems/{}", kind.code),
            title: kind.title,
            status: self.status().as_u16(),
            code: kind.code,
            detail: detail.as_deref(),
            request_id,
            errors: violations,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in &self.0.headers {
            headers.append(name.clone(), value.clone());
        }
        if self.0.kind.status == 401 && !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }

    fn status(&self) -> StatusCode {
        let own = || StatusCode::from_u16(self.0.kind.status).ok();
        self.0.status.or_else(own).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: fmt::Arguments<'a>,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Violation],
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed(detail) => Self::new(MALFORMED_BODY).detail(detail),
            Rejection::Invalid(violations) => Self::invalid(violations),
        }
    }
}

impl From<DbError> for Problem {
    /// A database that is busy or full will answer again; anything else is a failure of ours.
    /// The cause goes to the log only.
    fn from(error: DbError) -> Self {
        match error {
            DbError::Overloaded | DbError::Busy => Self::overloaded(),
            DbError::Full
            | DbError::TooLong
            | DbError::Closed
            | DbError::Contended
            | DbError::WritesRefused
            | DbError::Moved
            | DbError::Unreachable(_) => Self::overloaded().caused_by(error),
            other => Self::internal(other),
        }
    }
}

/// Returns a document that [`Problem::document`] wrote for no request, now for `request_id`.
pub(crate) fn for_request(document: &str, request_id: &str) -> String {
    // Quotes inside of a text are escaped, so this is the member itself and nothing in a detail.
    document.replacen(r#""request_id":"""#, &format!(r#""request_id":"{request_id}""#), 1)
}

/// The OpenAPI schema of a code.
pub(crate) fn code_schema() -> serde_json::Value {
    string_schema(1..=64, "^[a-z_]+$")
}

/// The OpenAPI schema of the document that [`Problem::render`] writes.
pub(crate) fn schema() -> serde_json::Value {
    let code = code_schema();
    let detail = serde_json::json!({"type": "string", "maxLength": 500});
    serde_json::json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": {
                "type": "string",
                "format": "uri-reference",
                "pattern": "^/problems/[a-z_]+$",
                "maxLength": 80,
            },
            "title": {"type": "string", "maxLength": 100},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": code,
            "detail": detail,
            "request_id": string_schema(1..=64, "^[A-Za-z0-9._-]+$"),
            "errors": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_VIOLATIONS,
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "maxLength": 300,
                            "description": "A JSON pointer (RFC 6901).",
                        },
                        "code": code,
                        "detail": detail,
                    },
                    "required": ["pointer", "code", "detail"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["type", "title", "status", "code", "request_id"],
        "additionalProperties": false,
    })
}
