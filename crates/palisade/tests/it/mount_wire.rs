//! Routers of axum behind a real server: bodies and answers while they are on their way.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use palisade::config::{Size, Throttle};
use palisade::http::{
    Anyone, Api, App, Lifecycle, LimitsSection, Phase, Server, ServerSection, Socket,
};
use palisade::telemetry::metrics::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_millis(300);
const LIMIT: usize = 1024;
/// What the parser writes by itself when it cannot read a request, here as somebody's text.
const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";

/// What handlers are sent and what they tell.
#[derive(Clone)]
struct Told {
    pieces: Arc<Mutex<mpsc::Receiver<&'static str>>>,
    events: mpsc::Sender<String>,
}

/// Streams what it is sent.
async fn produce(State(told): State<Told>) -> Body {
    Body::from_stream(stream::unfold(told, |told| async move {
        let piece = told.pieces.lock().await.recv().await?;
        Some((Ok::<_, Infallible>(piece), told))
    }))
}

/// Reads its body and makes of a failure what its client asked for.
async fn collect(headers: HeaderMap, body: Body) -> Response {
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes.len().to_string().into_response(),
        Err(_) if headers.contains_key("x-lenient") => "as much as came".into_response(),
        Err(_) => {
            let kind = [("content-type", "application/problem+json")];
            (StatusCode::IM_A_TEAPOT, kind, r#"{"code":"mine"}"#).into_response()
        }
    }
}

/// Leaves the body to a task and answers when that waits for more.
async fn leave(State(told): State<Told>, body: Body) -> &'static str {
    let mut pieces = body.into_data_stream();
    pieces.next().await.unwrap().unwrap();
    let (waits, is_waiting) = oneshot::channel();
    tokio::spawn(async move {
        // The test has one thread: the handler goes on when this task waits for the body.
        waits.send(()).unwrap();
        let next = pieces.next().await.unwrap();
        told.events.send(next.unwrap_err().to_string()).await.unwrap();
    });
    is_waiting.await.unwrap();
    "left"
}

/// A body that ends with one short field.
fn with_trailers() -> Body {
    let fields = HeaderMap::from_iter([(HeaderName::from_static("x"), HeaderValue::from(1))]);
    let frames = [Frame::data(Bytes::from_static(b"body")), Frame::trailers(fields)];
    Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))))
}

async fn upgrades(request: axum::extract::Request) -> String {
    request.extensions().get::<hyper::upgrade::OnUpgrade>().is_some().to_string()
}

struct Running {
    address: SocketAddr,
    lifecycle: Lifecycle,
    metrics: Metrics,
    server: JoinHandle<std::io::Result<()>>,
    pieces: mpsc::Sender<&'static str>,
    events: mpsc::Receiver<String>,
}

impl Running {
    async fn start() -> Self {
        let ((pieces, to_send), (told, events)) = (mpsc::channel(4), mpsc::channel(4));
        let router = Router::new()
            .route("/produce", get(produce))
            .route("/collect", post(collect))
            .route("/bytes", post(|body: Bytes| std::future::ready(body.len().to_string())))
            .route("/leave", post(leave))
            .route("/upgrades", get(upgrades))
            .route("/quotes", get(|| std::future::ready(REFUSAL)))
            .route("/trailers", get(|| std::future::ready(with_trailers())))
            .with_state(Told { pieces: Arc::new(Mutex::new(to_send)), events: told });
        let limits = LimitsSection {
            body_timeout: BODY_TIMEOUT,
            body_bytes: Size::kib(1),
            ..LimitsSection::default()
        };
        let edge = limits.public_edge(&ServerSection::default(), Throttle::Off);
        let lifecycle = Lifecycle::new();
        let api = Api::new().mount("/legacy", Anyone, router);
        let metrics = Metrics::new();
        let app = App::new(api, &(), edge, lifecycle.clone(), &metrics).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = vec![Socket::Tcp(listener.into_std().unwrap())];
        let server = Server { sockets, tls: None, app, limits: limits.connections() };
        let server = tokio::spawn(server.run(lifecycle.clone()));
        Self { address, lifecycle, metrics, server, pieces, events }
    }

    async fn end(self) {
        self.lifecycle.enter(Phase::Draining);
        in_time(self.server).await.unwrap().unwrap();
    }
}

/// A connection to a server.
struct Client(TcpStream);

impl Client {
    async fn send(to: SocketAddr, head: &str) -> Self {
        let mut client = Self(TcpStream::connect(to).await.unwrap());
        client.write(format!("{head}\r\nhost: x\r\n\r\n").as_bytes()).await;
        client
    }

    async fn post(to: SocketAddr, path: &str, headers: &str) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\ntransfer-encoding: chunked{headers}");
        Self::send(to, &head).await
    }

    async fn write(&mut self, bytes: &[u8]) {
        in_time(self.0.write_all(bytes)).await.unwrap();
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        self.write(&[size.as_bytes(), bytes, b"\r\n"].concat()).await;
    }

    /// Returns what comes, up to where it ends with `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut come = Vec::new();
        while !come.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let read = in_time(self.0.read(&mut byte)).await.unwrap();
            assert_eq!(read, 1, "it ended with {:?}", String::from_utf8_lossy(&come));
            come.push(byte[0]);
        }
        String::from_utf8_lossy(&come).into_owned()
    }

    /// Returns what comes until the connection ends.
    async fn rest(&mut self) -> String {
        let mut come = Vec::new();
        in_time(self.0.read_to_end(&mut come)).await.unwrap();
        String::from_utf8(come).unwrap()
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap()
}

#[tokio::test]
async fn an_answer_is_passed_on_while_it_is_produced() {
    let running = Running::start().await;
    let head = "GET /legacy/produce HTTP/1.1";
    let mut client = Client::send(running.address, head).await;

    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("nosniff"), "{head}");
    for piece in ["one", "two", "three"] {
        running.pieces.send(piece).await.unwrap();
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        assert_eq!(client.until(&chunk).await, chunk);
    }
    running.lifecycle.enter(Phase::Draining);
    drop(running.pieces);

    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    in_time(running.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_our_413_whatever_error_the_router_makes_of_it() {
    let running = Running::start().await;

    for path in ["/legacy/collect", "/legacy/bytes"] {
        let mut client = Client::post(running.address, path, "").await;
        client.chunk(&[7; LIMIT]).await;
        client.chunk(&[7]).await;
        let answer = client.until("}").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.contains("body_too_large") && !answer.contains("mine"), "{answer}");
    }
    let mut lenient = Client::post(running.address, "/legacy/collect", "\r\nx-lenient: 1").await;
    lenient.chunk(&[7; LIMIT + 1]).await;
    assert!(lenient.until("as much as came").await.starts_with("HTTP/1.1 200"));
    let mut fits = Client::post(running.address, "/legacy/collect", "").await;
    fits.chunk(&[7; LIMIT]).await;
    fits.write(b"0\r\n\r\n").await;
    assert!(fits.until("\r\n\r\n1024").await.starts_with("HTTP/1.1 200"));
    running.end().await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_our_408_and_one_that_breaks_is_our_400() {
    let running = Running::start().await;

    for path in ["/legacy/collect", "/legacy/bytes"] {
        let mut slow = Client::post(running.address, path, "").await;
        slow.chunk(b"1234").await;
        let answer = slow.until("}").await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(answer.contains("request_timeout"), "{answer}");

        let mut broken = Client::post(running.address, path, "").await;
        broken.write(b"4\r\n1234\r\nno chunk\r\n").await;
        let answer = broken.until("}").await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("bad_request"), "{answer}");
    }
    running.end().await;
}

#[tokio::test]
async fn a_body_that_a_task_still_holds_is_taken_back_with_the_answer() {
    let mut running = Running::start().await;
    let mut client = Client::post(running.address, "/legacy/leave", "").await;

    client.chunk(b"first").await;
    let answer = client.until("left").await;
    assert!(answer.contains("connection: close"), "what follows could be read as a request");
    let told = in_time(running.events.recv()).await.unwrap();

    assert_eq!(told, "the request was answered before its body was read");
    assert_eq!(client.rest().await, "");
    running.end().await;
}

#[tokio::test]
async fn a_router_is_not_offered_to_upgrade_a_connection() {
    let running = Running::start().await;
    let head = "GET /legacy/upgrades HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket";
    let mut client = Client::send(running.address, head).await;

    let answer = client.until("\r\n\r\nfalse").await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.end().await;
}

#[tokio::test]
async fn a_body_that_reads_like_a_refusal_of_the_parser_is_passed_on_to_the_byte() {
    let running = Running::start().await;
    let mut client = Client::send(running.address, "GET /legacy/quotes HTTP/1.1").await;

    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains(&format!("content-length: {}", REFUSAL.len())), "{head}");
    client.write(b"GET /legacy/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let rest = client.rest().await;

    let next = rest.strip_prefix(REFUSAL).unwrap_or_else(|| panic!("{rest}"));
    assert!(next.starts_with("HTTP/1.1 404"), "{next}");
    running.end().await;
}

/// The preface of HTTP/2, empty SETTINGS, and `GET /legacy/trailers` on stream 1.
const ASKS_FOR_TRAILERS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x17\x01\x05\0\0\0\x01\x82\x86\x04\x10/legacy/trailers\x01\x01x";
/// HEADERS that end stream 1 with 5 bytes.
const TRAILERS: &str = "\0\0\x05\x01\x05\0\0\0\x01";

#[tokio::test]
async fn the_short_fields_at_the_end_of_an_answer_are_no_refusal() {
    let running = Running::start().await;
    let mut client = Client(TcpStream::connect(running.address).await.unwrap());

    client.write(ASKS_FOR_TRAILERS).await;
    client.until(TRAILERS).await;
    // What was written is counted before the next answer.
    client.write(b"\0\0\x08\x06\0\0\0\0\0the last").await;
    client.until("the last").await;

    let counted = running.metrics.render().unwrap();
    let none = r#"palisade_refusals_total{listener="public",reason="unreadable_431"} 0"#;
    assert!(counted.contains(none), "{counted}");
    running.end().await;
}
