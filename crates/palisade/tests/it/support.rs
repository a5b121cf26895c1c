//! An application that reads bodies in every way, and bytes to send to it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use palisade::config::Throttle;
use palisade::http::{
    Anyone, Api, App, Body, Csv, Json, Lifecycle, LimitsSection, MediaType, OctetStream,
    OptionalBody, Problem, RequestBody, Route, ServerSection, State, Stream,
};
use palisade::input::{FromText, Invalid, Schema, string_schema};
use palisade::telemetry::metrics::Metrics;

/// The most that the routes take, unless they say otherwise.
pub(crate) const LIMIT: usize = 64 * 1024;
/// The most that `/large` takes.
pub(crate) const LARGE: usize = 64 * 1024 * 1024;

/// How many bytes a handler was handed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<AtomicUsize>);

impl Seen {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A number of bytes or characters.
#[derive(serde::Serialize)]
pub(crate) struct Length(usize);

impl Schema for Length {
    fn schema() -> serde_json::Value {
        serde_json::json!({"type": "integer"})
    }
}

/// Any text.
#[derive(Debug)]
pub(crate) struct Text(String);

impl FromText for Text {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        Ok(Self(raw.to_owned()))
    }
}

impl Schema for Text {
    fn schema() -> serde_json::Value {
        string_schema(0..=LARGE, ".*")
    }
}

palisade::body! {
    /// Something to note.
    pub struct Note {
        /// What is noted.
        text: Text,
    }
}

async fn measure<M: MediaType>(
    State(seen): State<Seen>,
    mut upload: Stream<M>,
) -> Result<Json<Length>, Problem> {
    while let Some(piece) = upload.next().await? {
        assert!(!piece.is_empty(), "a piece is never empty");
        seen.0.fetch_add(piece.len(), Relaxed);
    }
    Ok(Json(Length(seen.bytes())))
}

async fn note(Body(note): Body<Note>) -> Result<Json<Length>, Problem> {
    Ok(Json(Length(note.text.0.len())))
}

async fn perhaps_note(OptionalBody(note): OptionalBody<Note>) -> Result<Json<bool>, Problem> {
    Ok(Json(note.is_some()))
}

/// Returns the routes: those of the first line take compressed bodies.
pub(crate) fn api() -> Api<Seen> {
    let post = |path, name| Route::post(path, name).takes_up_to(LIMIT);
    Api::new()
        .route(post("/gzip", "gzip").inflates().policy(Anyone).handle(measure::<OctetStream>))
        .route(post("/gzip-note", "gzipNote").inflates().policy(Anyone).handle(note))
        .route(post("/gzip-perhaps", "gzipPerhaps").inflates().policy(Anyone).handle(perhaps_note))
        .route(
            Route::post("/large", "large")
                .takes_up_to(LARGE)
                .inflates()
                .policy(Anyone)
                .handle(measure::<OctetStream>),
        )
        .route(post("/csv", "csv").policy(Anyone).handle(measure::<Csv>))
        .route(post("/bytes", "bytes").policy(Anyone).handle(measure::<OctetStream>))
        .route(post("/note", "note").policy(Anyone).handle(note))
}

/// Puts `api` behind a guard.
pub(crate) fn app<S: Clone + Send + Sync + 'static>(api: Api<S>, state: &S) -> App {
    let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
    App::new(api, state, edge, Lifecycle::new(), &Metrics::new()).unwrap()
}

/// Posts `body` with `headers` and returns the status and the answer.
pub(crate) async fn post(
    app: &App,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> (u16, String) {
    let mut request = http::Request::post(path).header("host", "x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(RequestBody::whole(body)).unwrap();
    let answer = app.respond(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Returns the code of a problem that was answered.
pub(crate) fn code((status, body): &(u16, String)) -> (u16, String) {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    (*status, problem.get("code").and_then(|code| code.as_str()).unwrap_or("none").to_owned())
}

/// Returns `bytes` as one gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
