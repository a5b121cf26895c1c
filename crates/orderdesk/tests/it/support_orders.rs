//! What tests of orders and of the edge share: whole answers judged at once, and bytes on the wire.

use palisade_testing::{Call, Reply, raw};
use serde_json::{Value, json};

use crate::support::{Caller, TestService, text};

/// An answer, from the client or from bytes on the wire.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the value of the header `name`, which must not be there twice.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        first.map(|(_, value)| value.as_str())
    }

    /// Asserts that this is the problem `code`, whole and without a word too many.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let Ok(document) = serde_json::from_str::<Value>(&self.body) else {
            panic!("no JSON: {self:?}")
        };
        assert_eq!(text(&document, "code"), code, "{self:?}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("/problems/{code}"));
        assert!(!text(&document, "title").is_empty());
        assert_eq!(self.header("x-request-id"), document["request_id"].as_str());
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let known = ["type", "title", "status", "code", "detail", "request_id", "errors"];
        for name in document.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name} in {self:?}");
        }
        self.assert_headers();
        self.assert_discreet();
        document
    }

    /// Asserts what every answer says and what none says.
    #[track_caller]
    pub(crate) fn assert_headers(&self) {
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert_eq!(self.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(self.header("cross-origin-resource-policy"), Some("same-origin"));
        let policy = self.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(self.header("strict-transport-security"), None, "there is no certificate");
        assert!(self.header("x-request-id").is_some_and(|id| id.len() == 32), "{self:?}");
        for name in ["server", "x-powered-by", "via"] {
            assert_eq!(self.header(name), None);
        }
    }

    /// Asserts that the body holds no text of the libraries inside.
    #[track_caller]
    fn assert_discreet(&self) {
        for word in TELLTALES {
            assert!(!self.body.contains(word), "{word:?} in {}", self.body);
        }
    }
}

/// What only the inside of the service would say.
const TELLTALES: &[&str] = &[
    "serde", "sqlite", "SQL", "SELECT", "INSERT", "UPDATE", ".rs", "panicked", "::", "hyper",
    "axum", "tokio", "at line", "column", "Some(", "Err(", "None", "/src", "argon2", "thread",
];

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(1_000).collect();
        write!(out, "{} {:?}\n{body}", self.status, self.headers)
    }
}

impl From<&Reply> for Answer {
    fn from(reply: &Reply) -> Self {
        let headers = reply.headers().iter().map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Self { status: reply.status(), headers: headers.collect(), body: reply.text() }
    }
}

/// Asserts that `reply` is the problem `code`; see [`Answer::assert_problem`].
#[track_caller]
pub(crate) fn assert_problem(reply: &Reply, status: u16, code: &str) -> Value {
    Answer::from(reply).assert_problem(status, code)
}

/// Asserts that `reply` refuses values, and returns `pointer code` of each, sorted.
#[track_caller]
pub(crate) fn refused_values(reply: &Reply) -> Vec<String> {
    let document = assert_problem(reply, 400, "validation_failed");
    let errors = document["errors"].as_array().unwrap();
    let mut found: Vec<_> = errors
        .iter()
        .map(|error| {
            assert!(!text(error, "detail").is_empty());
            format!("{} {}", text(error, "pointer"), text(error, "code"))
        })
        .collect();
    found.sort();
    found
}

/// Sends `text` as `application/json`, as it is.
pub(crate) fn with_text<'a>(call: Call<'a>, text: impl Into<Vec<u8>>) -> Call<'a> {
    call.header("content-type", "application/json").body(text.into())
}

/// Returns an order in `currency` of one line.
pub(crate) fn order_in(currency: &str, quantity: u32, unit_price: &str) -> Value {
    let line = json!({"sku": "TEA-100", "quantity": quantity, "unit_price": unit_price});
    json!({"currency": currency, "lines": [line]})
}

impl Caller {
    /// Sends `body` to `POST /orders`.
    pub(crate) async fn places(&self, body: Value) -> Reply {
        self.post("/orders").json(body).send().await
    }

    /// Sends `text`, as it is, to `POST /orders`.
    pub(crate) async fn places_text(&self, text: impl Into<Vec<u8>>) -> Reply {
        with_text(self.post("/orders"), text).send().await
    }

    /// Returns the steps of an order's history, such as `place none->new`.
    pub(crate) async fn history(&self, id: &str) -> Vec<String> {
        let reply = self.get(&format!("/orders/{id}/events")).send().await;
        reply.assert_status(200);
        let step = |event: &Value| {
            let from = event["from"].as_str().unwrap_or("none");
            format!("{} {from}->{}", text(event, "action"), text(event, "to"))
        };
        reply.json()["items"].as_array().unwrap().iter().map(step).collect()
    }

    /// Returns one page of a list, and where the next one is.
    pub(crate) async fn page(&self, path: &str) -> (Vec<Value>, Option<String>) {
        let reply = self.get(path).send().await;
        reply.assert_status(200);
        let page = reply.json();
        let cursor = page["next_cursor"].as_str().map(str::to_owned);
        assert!(cursor.is_some() || page["next_cursor"].is_null());
        (page["items"].as_array().unwrap().clone(), cursor)
    }
}

/// Sends `bytes` on a connection of its own and returns every answer until it is closed.
pub(crate) async fn wire(app: &TestService, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
    answers(&raw(app.service.public(), bytes).await)
}

/// Sends `bytes`, which must get exactly one answer.
pub(crate) async fn wire_one(app: &TestService, bytes: impl AsRef<[u8]>) -> Answer {
    let mut answers = wire(app, bytes.as_ref()).await;
    assert_eq!(answers.len(), 1, "{}\n{answers:?}", String::from_utf8_lossy(bytes.as_ref()));
    answers.remove(0)
}

/// Takes `bytes` apart into answers; all of them must be framed by their length.
pub(crate) fn answers(bytes: &[u8]) -> Vec<Answer> {
    let mut rest = std::str::from_utf8(bytes).unwrap();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (head, body) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{rest:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line:?}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let (body, after) = body.split_at(length);
        answers.push(Answer { status, headers, body: body.to_owned() });
        rest = after;
    }
    answers
}
