//! How connections end, where the service listens, and the order in which it goes down.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{Folder, Setup, TestService};
use crate::support_orders::{Answer, answers};

/// Longest that anything here may take; everything takes far less.
const PATIENCE: Duration = Duration::from_secs(15);

/// Writes `bytes` and reads until the service closes the connection.
async fn to_the_end(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    bytes: &[u8],
) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    let mut received = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    // A reset after the answer is an end, too.
    read.expect("the connection was kept open").ok();
    received
}

async fn connected(app: &TestService) -> TcpStream {
    TcpStream::connect(app.service.public()).await.unwrap()
}

#[tokio::test]
async fn what_follows_a_refused_body_is_never_a_request() {
    let app = TestService::start().await;
    let hidden = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let head = "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

    for length in [1_000, 10_000_000] {
        let mut stream = connected(&app).await;
        stream
            .write_all(format!("{head}content-length: {length}\r\n\r\n{{").as_bytes())
            .await
            .unwrap();
        let mut first = vec![0; 12];
        stream.read_exact(&mut first).await.unwrap();
        // The client has its answer, gives up its body, and believes to say something new.
        let rest = to_the_end(stream, hidden.as_bytes()).await;

        let all = answers(&[first, rest].concat());
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].assert_problem(401, "authentication_failed");
        assert_eq!(all[0].header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_connection_ends_in_good_order_after_so_many_requests() {
    let app = Setup::default().setting("limits.requests_per_connection", "3").start().await;
    let request = "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n";

    let received = to_the_end(connected(&app).await, request.repeat(5).as_bytes()).await;

    let all: Vec<Answer> = answers(&received);
    assert_eq!(all.len(), 3, "{all:?}");
    let said: Vec<_> = all.iter().map(|answer| answer.header("connection")).collect();
    assert_eq!(said, [None, None, Some("close")]);
}

#[tokio::test]
async fn a_connection_ends_in_good_order_when_it_is_old() {
    let app = Setup::default().setting("limits.connection_age", "1s").start().await;
    let request = "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n";
    let started = Instant::now();

    let received = to_the_end(connected(&app).await, request.as_bytes()).await;

    assert_eq!(answers(&received).len(), 1);
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let app = Setup::default()
        .setting("limits.write_timeout", "500ms")
        .setting("limits.body_timeout", "60s")
        .start()
        .await;
    let (mut reader, mut writer) = connected(&app).await.into_split();
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);

    // More answers than the kernel's buffers hold, until the service wants no more of this.
    let cut_off = async { while writer.write_all(request.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, cut_off).await.expect("the connection was kept open");

    // What is left is what the kernel held; then it ends, by a reset or in order.
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, reader.read_to_end(&mut rest)).await.unwrap().ok();
    assert!(
        counted(
            &app,
            r#"palisade_connections_closed_total{listener="public",reason="write_stalled"}"#
        )
        .await
            >= 1
    );
}

#[tokio::test]
async fn a_client_that_sends_more_than_requests_is_cut_off() {
    let app = TestService::start().await;
    let mut stream = connected(&app).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let pings = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(1_000);

    stream.write_all(preface).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.ok();
    });
    let flooded = async { while writer.write_all(&pings).await.is_ok() {} };

    tokio::time::timeout(PATIENCE, flooded).await.expect("pings without end were taken");
    reading.await.unwrap();
    let flooding = r#"palisade_connections_closed_total{listener="public",reason="flooding"}"#;
    let told = async { while counted(&app, flooding).await == 0 {} };
    tokio::time::timeout(PATIENCE, told).await.expect("it was not told apart");
}

/// Returns the number of a series on the admin listener.
async fn counted(app: &TestService, series: &str) -> u64 {
    let text = app.admin().get("/metrics").send().await.text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).trim().parse().unwrap()
}

#[tokio::test]
async fn several_listeners_serve_the_same_and_a_unix_socket_is_one() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("orderdesk.sock");
    let both = format!("127.0.0.1:0,unix:{}", socket.display());
    let setup = Setup::default().setting("server.listen", &both);
    // A socket that a killed process left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut app = setup.start().await;
    let request = b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    let through_file = to_the_end(UnixStream::connect(&socket).await.unwrap(), request).await;
    let through_network = to_the_end(connected(&app).await, request).await;

    for received in [through_file, through_network] {
        answers(&received)[0].assert_problem(404, "not_found");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&socket.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    assert!(app.service.terminate().await.success());
    assert!(!socket.exists(), "the socket goes with the service");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_replaced() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("precious");
    std::fs::write(&file, "text").unwrap();
    let listen = format!("unix:{}", file.display());
    let folder = Setup::default().setting("server.listen", &listen).folder();

    let refused = folder.serve().run().await;

    assert!(refused.assert_code(1).stderr.contains("server.listen"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
}

/// Binds as systemd does, hands the sockets over as descriptors 3 and 4, and becomes the program.
const AS_SYSTEMD: &str = "
import os, socket, sys
for place in (3, 4):
    bound = socket.create_server((sys.argv[2], 0) if place == 3 else ('127.0.0.1', 0))
    os.dup2(bound.fileno(), place)
    if bound.fileno() != place:
        bound.close()
    else:
        bound.detach()
for place in (3, 4):
    os.set_inheritable(place, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='web:admin')
os.execv(sys.argv[1], [sys.argv[1], 'serve'])
";

fn handed_over(folder: &Folder, address: &str) -> tokio::process::Child {
    tokio::process::Command::new("python3")
        .args(["-c", AS_SYSTEMD, env!("CARGO_BIN_EXE_orderdesk"), address])
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .envs(folder.environment())
        .env("ORDERDESK__SERVER__LISTEN", "systemd:web")
        .env("ORDERDESK__SERVER__ADMIN_LISTEN", "systemd:admin")
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn sockets_of_systemd_are_served() {
    let folder = Setup::default().folder();
    let mut child = handed_over(&folder, "127.0.0.1");
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = loop {
        let line = stderr.next_line().await.unwrap().expect("it did not start");
        if line.contains("listening") {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };

    for (place, path, status) in [("public", "/nothing", 404), ("admin", "/ready", 200)] {
        let address = told[place].as_str().unwrap().parse().unwrap();
        palisade_testing::Client::http(address).get(path).send().await.assert_status(status);
    }
}

#[tokio::test]
async fn a_socket_of_systemd_that_others_can_reach_needs_tls_like_any_other() {
    let folder = Setup::default().folder();

    let ended = handed_over(&folder, "0.0.0.0").wait_with_output().await.unwrap();

    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("tls.mode"), "{said}");
}

/// Sends half of a request, which is then in flight.
async fn held(app: &TestService) -> TcpStream {
    let mut stream = connected(app).await;
    let half = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 2\r\n\r\n{";
    stream.write_all(half.as_bytes()).await.unwrap();
    let in_flight = r#"http_requests_in_flight{listener="public"}"#;
    while counted(app, in_flight).await == 0 {
        tokio::task::yield_now().await;
    }
    stream
}

#[tokio::test]
async fn a_second_signal_ends_the_draining_at_once() {
    let mut app = TestService::start().await;
    let _held = held(&app).await;
    let started = Instant::now();

    app.service.ask_to_end();
    app.service.wait_for_line(|line| line.contains("draining")).await;
    assert!(app.service.terminate().await.success());

    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(app.service.stderr().contains("ended without draining"));
}

#[tokio::test]
async fn requests_are_taken_while_the_balancer_is_given_time_to_look() {
    let mut app = Setup::default().setting("shutdown.grace", "2s").start().await;
    let client = app.client();
    client.get("/openapi.json").send().await.assert_status(200);

    app.service.ask_to_end();
    let left = async { while app.admin().get("/ready").send().await.status() == 200 {} };
    tokio::time::timeout(PATIENCE, left).await.unwrap();

    client.get("/openapi.json").send().await.assert_status(200);
    assert!(app.service.ended(PATIENCE).await.success());
    assert!(client.get("/openapi.json").try_send().await.is_err());
}

#[tokio::test]
async fn bodies_that_never_come_do_not_take_the_places_of_others() {
    let app = Setup::default()
        .setting("limits.in_flight", "16")
        .setting("server.trusted_proxies", "127.0.0.9/32")
        .start()
        .await;
    let mut holding = Vec::new();
    for _ in 0..12 {
        holding.push(held(&app).await);
    }
    while counted(&app, r#"palisade_refusals_total{listener="public",reason="in_flight"}"#).await
        == 0
    {
        holding.push(held(&app).await);
    }

    // Somebody else is served: the rest of the places is not this client's to take.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let other = socket.connect(app.service.public()).await.unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    assert_eq!(answers(&to_the_end(other, request).await)[0].status, 200);
}

#[tokio::test]
async fn idle_connections_give_their_places_to_others() {
    let app = Setup::default().setting("limits.connections", "4").start().await;
    let request = b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut stream = connected(&app).await;
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        idle.push(stream);
    }
    // By default an idle connection may stay for a minute.
    let started = Instant::now();
    for _ in 0..3 {
        let mut newcomer = connected(&app).await;
        newcomer.write_all(request).await.unwrap();
        let mut first = [0; 12];
        let served = newcomer.read_exact(&mut first);
        tokio::time::timeout(PATIENCE, served).await.expect("there was no place").unwrap();
        idle.push(newcomer);
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[tokio::test]
async fn connections_that_ask_nothing_do_not_delay_the_end() {
    for grace in ["0s", "1s"] {
        let mut app = Setup::default()
            .setting("shutdown.grace", grace)
            .setting("shutdown.drain", "30s")
            .start()
            .await;
        let mut streams = Vec::new();
        for bytes in [
            &b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            b"GET /nothing HTTP/1.1\r\nhost",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ] {
            let mut stream = connected(&app).await;
            stream.write_all(bytes).await.unwrap();
            streams.push(stream);
        }
        streams[0].read_exact(&mut [0; 12]).await.unwrap();
        streams[2].read_exact(&mut [0; 9]).await.unwrap();
        let started = Instant::now();

        assert!(app.service.terminate().await.success());

        assert!(started.elapsed() < Duration::from_secs(10), "{grace}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_body_is_framed_by_chunks_or_its_length_and_nothing_else() {
    let app = TestService::start().await;
    let head = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let behind = "0\r\n\r\nGET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    for codings in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
    ] {
        let bytes = format!("{head}{codings}\r\n{behind}");
        let all = answers(&to_the_end(connected(&app).await, bytes.as_bytes()).await);
        assert_eq!(all.len(), 1, "{codings}: {all:?}");
        assert_eq!(all[0].status, 400, "{codings}");
    }
}
