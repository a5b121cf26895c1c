//! An answer, with the questions a test asks of it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::fail::fail;

/// One whole answer; remembers the request for the failure message.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns all headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the first value of the header `name`, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        match String::from_utf8(self.body.to_vec()) {
            Ok(text) => text,
            Err(error) => fail(format_args!("{} is not UTF-8: {error}", self.summary())),
        }
    }

    /// Returns the body read as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => fail(format_args!("{} is not JSON: {error}", self.summary())),
        }
    }

    /// Asserts the status; the failure shows the request and the whole answer.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn assert_status(&self, expected: u16) -> &Self {
        if self.status != expected {
            fail(format_args!("expected status {expected}: {}", self.summary()));
        }
        self
    }

    /// Returns the `code` of a problem document.
    ///
    /// # Panics
    /// When the answer is not `application/problem+json` with a `code`.
    #[track_caller]
    pub fn problem_code(&self) -> String {
        let is_problem = self.header("content-type") == Some("application/problem+json");
        let body = self.json();
        match body.get("code").and_then(Value::as_str) {
            Some(code) if is_problem => code.to_owned(),
            _ => fail(format_args!("not a problem document: {}", self.summary())),
        }
    }

    /// Returns the body as text with the value of its `request_id` blanked, to compare bytes.
    ///
    /// # Panics
    /// When the body is not UTF-8.
    #[track_caller]
    pub fn without_request_id(&self) -> String {
        let text = self.text();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        match body.get("request_id").and_then(Value::as_str) {
            Some(id) => text.replace(&format!("\"{id}\""), "\"\""),
            None => text,
        }
    }

    fn summary(&self) -> String {
        let Self { method, path, status, headers, body } = self;
        let body = String::from_utf8_lossy(body);
        format!("{method} {path} answered {status}\n{headers:#?}\n{body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = r#"{"code":"not_found","status":404,"request_id":"r-1"}"#;

    #[test]
    fn two_problems_differ_in_nothing_but_the_request_id() {
        let first = reply("application/problem+json", PROBLEM);
        let second = reply("application/problem+json", &PROBLEM.replace("r-1", "r-22"));

        assert_ne!(first.text(), second.text());
        assert_eq!(first.without_request_id(), second.without_request_id());
        assert_eq!(first.problem_code(), "not_found");
    }

    #[test]
    fn text_without_a_request_id_stays_as_it_is() {
        assert_eq!(reply("text/plain", "request_id").without_request_id(), "request_id");
    }

    #[test]
    #[should_panic(expected = "not a problem document: POST /things answered 404")]
    fn a_code_under_another_media_type_is_no_problem_document() {
        reply("application/json", PROBLEM).problem_code();
    }

    #[test]
    #[should_panic(expected = "expected status 201: POST /things answered 404")]
    fn a_wrong_status_is_shown_with_its_request() {
        reply("text/plain", "sorry").assert_status(404).assert_status(201);
    }

    fn reply(content_type: &'static str, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        Reply {
            method: Method::POST,
            path: "/things".to_owned(),
            status: 404,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }
}
