//! An answer as it is kept: what a client sees of it, without what belongs to one request only.

use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::http::problem::for_request;
use crate::http::{AnswerBody, Problem, Response};
use crate::telemetry::RequestScope;

/// Longest body of an answer that is kept, in bytes. It bounds what a client can have stored with
/// one request.
const LONGEST_BODY: usize = 64 * 1024;

/// The media type of problems, whose document names the request that it answers.
const PROBLEM: &str = "application/problem+json";

/// A kept answer.
pub(super) struct Kept {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) location: Option<String>,
    pub(super) entity_tag: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The answer cannot be kept, and so nothing of its request may be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unkept {
    #[error("the answer is longer than {LONGEST_BODY} bytes, which is the most that is kept")]
    TooLong,
    #[error("an answer that is made while it is sent cannot be kept")]
    Stream,
    #[error("the answer is neither 2xx nor an error of the handler's own")]
    NoSuccess,
    #[error("a kept answer cannot be read back")]
    Corrupt,
}

impl Kept {
    /// Returns what is kept of `response`: status, body, `Content-Type`, `Location` and `ETag`.
    pub(super) fn of(response: &Response) -> Result<Self, Unkept> {
        if !response.status().is_success() {
            return Err(Unkept::NoSuccess);
        }
        let body = response.body().bytes().ok_or(Unkept::Stream)?;
        if body.len() > LONGEST_BODY {
            return Err(Unkept::TooLong);
        }
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        Ok(Self {
            status: response.status().as_u16(),
            content_type: header(CONTENT_TYPE),
            location: header(LOCATION),
            entity_tag: header(ETAG),
            body: body.into(),
        })
    }

    /// Returns what is kept of a refusal: all but the id of its request.
    pub(super) fn refusal(problem: &Problem) -> Self {
        Self {
            status: problem.kind().status,
            content_type: Some(PROBLEM.to_owned()),
            location: None,
            entity_tag: None,
            body: problem.document(""),
        }
    }

    /// Returns the answer for the present request.
    pub(super) fn again(self) -> Result<Response, Unkept> {
        let is_problem = self.content_type.as_deref() == Some(PROBLEM);
        let body = if is_problem { named(self.body)? } else { self.body };
        let mut response = Response::new(AnswerBody::whole(body));
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(|_| Unkept::Corrupt)?;
        for (name, value) in
            [(CONTENT_TYPE, self.content_type), (LOCATION, self.location), (ETAG, self.entity_tag)]
        {
            let Some(value) = value else { continue };
            let value = HeaderValue::from_str(&value).map_err(|_| Unkept::Corrupt)?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

/// Names the present request in the document of a problem, as every answer does.
fn named(document: Vec<u8>) -> Result<Vec<u8>, Unkept> {
    let document = String::from_utf8(document).map_err(|_| Unkept::Corrupt)?;
    let scope = RequestScope::current();
    Ok(for_request(&document, scope.id().unwrap_or_default()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::IDEMPOTENCY_CONFLICT;

    #[test]
    fn a_refusal_given_again_names_the_new_request_and_is_otherwise_the_same() {
        let tricky = r#"It says "request_id":"" and \"request_id\":\"\"."#;
        let problem = Problem::new(IDEMPOTENCY_CONFLICT).detail(tricky);

        let again = RequestScope::of("r-2").run(|| Kept::refusal(&problem).again()).unwrap();

        assert_eq!(again.status(), 409);
        assert_eq!(again.headers()[CONTENT_TYPE], PROBLEM);
        assert_eq!(again.body().bytes().unwrap(), problem.document("r-2"));
    }

    #[test]
    fn what_is_too_long_or_no_success_is_not_kept() {
        let of = |length: usize, status: u16| {
            let mut response = Response::new(AnswerBody::whole(vec![b'x'; length]));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Kept::of(&response)
        };

        assert!(of(LONGEST_BODY, 201).is_ok());
        assert!(matches!(of(LONGEST_BODY + 1, 201), Err(Unkept::TooLong)));
        assert!(matches!(of(1, 304), Err(Unkept::NoSuccess)));
    }
}
