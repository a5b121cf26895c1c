//! What handlers answer: JSON with its status, headers and schema.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::payload::PIECE;
use super::{Answer, AnswerBody, Operation, Problem, Response};
use crate::input::{Schema, string_schema};

/// 200 with a JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// 201 with the path of what was made and a JSON body.
#[derive(Debug)]
pub struct Created<T> {
    /// The path under which the new thing is found.
    pub location: String,
    /// The new thing.
    pub body: T,
}

/// 202 with the path where the progress of what was taken on can be seen, and a JSON body.
#[derive(Debug)]
pub struct Accepted<T> {
    /// The path under which the progress is found.
    pub location: String,
    /// What was taken on.
    pub body: T,
}

/// 204: done, nothing to show.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

/// Another answer with the entity tag of the version that it shows (RFC 9110, section 8.8.3).
#[derive(Debug)]
pub struct Versioned<A> {
    /// The version, which becomes a strong entity tag.
    pub version: u32,
    /// The answer itself.
    pub answer: A,
}

/// Most things on one page of any list.
const MOST_ITEMS: usize = 200;

/// One page of a list: `{"items": […], "next_cursor": …}`.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The things themselves, in the order that the route states.
    pub items: Vec<T>,
    /// What to send as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T: Serialize + Schema> Answer for Json<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(200, "Done.");
    }

    fn into_response(self) -> Result<Response, Problem> {
        written(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize + Schema> Answer for Created<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(201, "Made.");
        operation.answer_header(201, "Location", "The path of the new thing.", location_schema());
    }

    fn into_response(self) -> Result<Response, Problem> {
        located(StatusCode::CREATED, &self.body, &self.location)
    }
}

impl<T: Serialize + Schema> Answer for Accepted<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(202, "Taken on.");
        operation.answer_header(202, "Location", "Where its progress is.", location_schema());
    }

    fn into_response(self) -> Result<Response, Problem> {
        located(StatusCode::ACCEPTED, &self.body, &self.location)
    }
}

impl Answer for NoContent {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(204, "Done.");
    }

    fn into_response(self) -> Result<Response, Problem> {
        let mut response = Response::new(AnswerBody::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

impl<A: Answer> Answer for Versioned<A> {
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        let tag = string_schema(3..=12, "^\"[0-9]+\"$");
        operation.every_success_header("ETag", "The version, for If-Match.", &tag);
    }

    fn into_response(self) -> Result<Response, Problem> {
        let mut response = self.answer.into_response()?;
        if let Ok(tag) = HeaderValue::from_str(&entity_tag(self.version)) {
            response.headers_mut().insert(ETAG, tag);
        }
        Ok(response)
    }
}

impl<T: Schema> Schema for Page<T> {
    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": T::reference(), "maxItems": MOST_ITEMS},
                "next_cursor": {
                    "type": ["string", "null"],
                    "maxLength": 200,
                    "description": "What to send as cursor to get the next page; null on the last.",
                },
            },
            "required": ["items", "next_cursor"],
            "additionalProperties": false,
        })
    }

    fn collect(named: &mut serde_json::Map<String, Value>) {
        T::collect(named);
    }
}

/// Returns the strong entity tag of a version.
pub(crate) fn entity_tag(version: u32) -> String {
    format!("\"{version}\"")
}

fn location_schema() -> Value {
    json!({"type": "string", "format": "uri-reference", "maxLength": 200})
}

fn located<T: Serialize>(
    status: StatusCode,
    body: &T,
    location: &str,
) -> Result<Response, Problem> {
    let mut response = written(status, body)?;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn written<T: Serialize>(status: StatusCode, body: &T) -> Result<Response, Problem> {
    let mut bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    if bytes.len() > PIECE {
        // It may wait for its client to read it, and counts by its length.
        bytes.shrink_to_fit();
    }
    Ok(json_response(status, bytes))
}

/// Makes an answer of JSON that was written already.
pub(super) fn json_response(status: StatusCode, bytes: impl Into<Bytes>) -> Response {
    let mut response = Response::new(AnswerBody::whole(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
