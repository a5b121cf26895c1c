//! Bodies over the wire: read while they arrive, refused while they arrive.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::config::Throttle;
use palisade::http::{
    Anyone, Api, App, Json, Lifecycle, LimitsSection, OctetStream, Phase, Problem, Route, Server,
    ServerSection, Socket, State, Stream,
};
use palisade::telemetry::metrics::Metrics;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::{LIMIT, gzip};

const DEADLINE: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_millis(300);

/// What a handler came upon.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Called,
    Piece(usize),
    Worked,
    Refused(String),
}

#[derive(Clone)]
struct Told {
    events: mpsc::Sender<Event>,
    received: Arc<Mutex<Vec<u8>>>,
}

async fn collect(
    State(told): State<Told>,
    mut upload: Stream<OctetStream>,
) -> Result<Json<bool>, Problem> {
    let mut received = Vec::new();
    loop {
        match upload.next().await {
            Ok(Some(piece)) => {
                // Where nobody listens, the channel is full at some time.
                told.events.try_send(Event::Piece(piece.len())).ok();
                received.extend_from_slice(&piece);
            }
            Ok(None) => break,
            Err(problem) => {
                told.events.try_send(Event::Refused(problem.kind().code.to_owned())).ok();
                return Err(problem);
            }
        }
    }
    *told.received.lock().unwrap() = received;
    Ok(Json(true))
}

async fn works_long(
    State(told): State<Told>,
    mut upload: Stream<OctetStream>,
) -> Result<Json<bool>, Problem> {
    told.events.send(Event::Called).await.unwrap();
    upload.next().await?;
    tokio::time::sleep(BODY_TIMEOUT * 2).await;
    told.events.send(Event::Worked).await.unwrap();
    while upload.next().await?.is_some() {}
    Ok(Json(true))
}

/// A server on a free port.
struct Running {
    address: SocketAddr,
    lifecycle: Lifecycle,
    server: JoinHandle<std::io::Result<()>>,
    events: mpsc::Receiver<Event>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    async fn start() -> Self {
        let (sender, events) = mpsc::channel(16);
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let told = Told { events: sender, received: Arc::clone(&received) };
        let post = |path, name| Route::post(path, name).takes_up_to(LIMIT);
        let api = Api::new()
            .route(post("/plain", "plain").policy(Anyone).handle(collect))
            .route(post("/gzip", "gzip").inflates().policy(Anyone).handle(collect))
            .route(post("/works-long", "worksLong").policy(Anyone).handle(works_long));
        let limits = LimitsSection { body_timeout: BODY_TIMEOUT, ..LimitsSection::default() };
        let edge = limits.public_edge(&ServerSection::default(), Throttle::Off);
        let lifecycle = Lifecycle::new();
        let app = App::new(api, &told, edge, lifecycle.clone(), &Metrics::new()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = vec![Socket::Tcp(listener.into_std().unwrap())];
        let server = Server { sockets, tls: None, app, limits: limits.connections() };
        let server = tokio::spawn(server.run(lifecycle.clone()));
        Self { address, lifecycle, server, events, received }
    }

    async fn event(&mut self) -> Event {
        in_time(self.events.recv()).await.unwrap()
    }

    /// Returns the code of the next problem that a reader was told.
    async fn refusal(&mut self) -> String {
        loop {
            if let Event::Refused(code) = self.event().await {
                return code;
            }
        }
    }

    /// Ends the server, which finishes what it has begun.
    async fn end(self) {
        self.lifecycle.enter(Phase::Draining);
        in_time(self.server).await.unwrap().unwrap();
    }
}

/// A connection to a server.
struct Client(TcpStream);

impl Client {
    /// Connects and sends the head of a request.
    async fn post(to: SocketAddr, path: &str, headers: &str) -> Self {
        let mut client = Self(TcpStream::connect(to).await.unwrap());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n\
             connection: close\r\n{headers}\r\n\r\n"
        );
        client.send(head.as_bytes()).await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        in_time(self.0.write_all(bytes)).await.unwrap();
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        self.send(&[size.as_bytes(), bytes, b"\r\n"].concat()).await;
    }

    /// Returns the status of the answer.
    async fn status(&mut self) -> u16 {
        let mut status = [0; 12];
        in_time(self.0.read_exact(&mut status)).await.unwrap();
        std::str::from_utf8(&status[9..]).unwrap().parse().unwrap()
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap()
}

const CHUNKED: &str = "transfer-encoding: chunked";
const CHUNKED_GZIP: &str = "transfer-encoding: chunked\r\ncontent-encoding: gzip";

#[tokio::test]
async fn a_stream_is_read_while_its_client_still_sends() {
    let mut running = Running::start().await;
    let mut client = Client::post(running.address, "/plain", CHUNKED).await;

    for length in [1, 10, 1000] {
        client.chunk(&vec![7; length]).await;
        assert_eq!(running.event().await, Event::Piece(length));
    }
    client.send(b"0\r\n\r\n").await;

    assert_eq!(client.status().await, 200);
    assert_eq!(*running.received.lock().unwrap(), vec![7; 1011]);
    running.end().await;
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_413_before_any_of_it_is_sent() {
    let mut running = Running::start().await;
    let plain = format!("content-length: {}", LIMIT + 1);
    let compressed = format!("{plain}\r\ncontent-encoding: gzip");

    for (path, headers) in [("/plain", &plain), ("/gzip", &compressed)] {
        let mut client = Client::post(running.address, path, headers).await;
        assert_eq!(client.status().await, 413, "{path}");
    }

    assert!(running.events.try_recv().is_err(), "a handler was handed something");
    running.end().await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_413_before_it_ends() {
    let running = Running::start().await;
    let bomb = gzip(&vec![0; LIMIT * 16]);
    let (first, _) = bomb.split_at(bomb.len() / 2);

    let mut plain = Client::post(running.address, "/plain", CHUNKED).await;
    plain.chunk(&[7; LIMIT]).await;
    plain.chunk(&[7]).await;
    let mut compressed = Client::post(running.address, "/gzip", CHUNKED_GZIP).await;
    compressed.chunk(first).await;

    assert_eq!(plain.status().await, 413);
    assert_eq!(compressed.status().await, 413);
    running.end().await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_408_for_its_reader() {
    let mut running = Running::start().await;
    let member = gzip(&[7; 100]);

    for (path, headers, first) in
        [("/plain", CHUNKED, &b"1234"[..]), ("/gzip", CHUNKED_GZIP, &member[..12])]
    {
        let mut client = Client::post(running.address, path, headers).await;
        client.chunk(first).await;
        assert_eq!(client.status().await, 408, "{path}");
        assert_eq!(running.refusal().await, "request_timeout", "{path}");
    }

    running.end().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_for_its_reader_and_never_an_end() {
    let mut running = Running::start().await;
    let member = gzip(&[7; 100]);
    let whole = format!("content-length: {}\r\ncontent-encoding: gzip", member.len() + 1);

    for (path, headers, body) in [
        ("/plain", "content-length: 5", &b"1234"[..]),
        ("/plain", CHUNKED, b"4\r\n1234\r\n"),
        ("/gzip", &whole, &member),
    ] {
        let mut client = Client::post(running.address, path, headers).await;
        client.send(body).await;
        assert!(matches!(running.event().await, Event::Piece(_)), "{path} {headers}");
        client.0.shutdown().await.unwrap();
        assert_eq!(running.refusal().await, "bad_request", "{path} {headers}");
    }

    assert!(running.received.lock().unwrap().is_empty());
    running.end().await;
}

#[tokio::test]
async fn the_time_that_a_handler_takes_is_not_held_against_its_client() {
    let mut running = Running::start().await;
    let mut client = Client::post(running.address, "/works-long", CHUNKED).await;

    assert_eq!(running.event().await, Event::Called);
    client.chunk(b"first").await;
    assert_eq!(running.event().await, Event::Worked);
    tokio::task::yield_now().await;
    client.chunk(b"second").await;
    client.send(b"0\r\n\r\n").await;

    assert_eq!(client.status().await, 200);
    running.end().await;
}

/// A body: a block that is repeated up to a length around the limit.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..4_usize, 0..LIMIT * 2, LIMIT - 3..LIMIT + 4];
    (proptest::collection::vec(any::<u8>(), 1..500), length)
        .prop_map(|(block, length)| block.into_iter().cycle().take(length).collect())
}

#[test]
fn whatever_is_compressed_and_however_it_is_cut_it_arrives_as_it_was_up_to_the_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let running = runtime.block_on(Running::start());
    let mut runner = TestRunner::new(Config { cases: 100, ..Config::default() });

    let outcome = runner.run(&(body(), 1..5000_usize), |(body, cut)| {
        running.received.lock().unwrap().clear();
        let status = runtime.block_on(async {
            let mut client = Client::post(running.address, "/gzip", CHUNKED_GZIP).await;
            for piece in gzip(&body).chunks(cut) {
                client.chunk(piece).await;
            }
            client.send(b"0\r\n\r\n").await;
            client.status().await
        });
        let received = running.received.lock().unwrap();
        match body.len() <= LIMIT {
            true if status == 200 && *received == body => Ok(()),
            false if status == 413 && received.is_empty() => Ok(()),
            _ => Err(TestCaseError::fail(format!("{status} for {} bytes", body.len()))),
        }
    });

    outcome.unwrap();
    runtime.block_on(running.end());
}
