//! What HTTP/2 itself refuses, before there is a request, is counted by its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::exposition::read;
use crate::support::{Setup, TestService};
use crate::support_http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, PING, RST_STREAM, WHOLE,
    WINDOW_UPDATE, frame, get,
};

/// The error code of a stream that its client gives up.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Returns all refusals on the public listener, as `family reason...`, that are not zero.
async fn refusals(app: &TestService) -> BTreeMap<String, f64> {
    let text = app.admin().get("/metrics").send().await.text();
    let mut found = BTreeMap::new();
    for family in read(&text).unwrap() {
        if ["palisade_http2_refusals_total", "palisade_refusals_total"].contains(&&*family.name) {
            for (_, labels, number) in family.samples {
                let is_public = labels.contains(&("listener".into(), "public".into()));
                let said: Vec<_> =
                    labels.into_iter().filter(|(name, _)| name != "listener").collect();
                let said =
                    said.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
                if is_public && number > 0.0 {
                    found.insert(said, number);
                }
            }
        }
    }
    found
}

/// Waits until something is refused; returns that.
async fn next_refusals(app: &TestService) -> BTreeMap<String, f64> {
    let counted = async {
        loop {
            let found = refusals(app).await;
            if !found.is_empty() {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.expect("nothing was counted")
}

/// Sends `bytes` on a connection of their own and reads until something is refused.
async fn refused(app: &TestService, bytes: &[u8]) {
    let mut connection = Http2::connect(app, &[]).await;
    connection.send(bytes).await;
    while let Some(frame) = connection.next().await {
        let is_bare = frame.kind == HEADERS && frame.payload.len() <= 5;
        if frame.kind == RST_STREAM || frame.kind == GOAWAY || is_bare {
            return;
        }
    }
    panic!("the connection ended without a word");
}

fn open(stream: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &get("/openapi.json", &[]))
}

#[tokio::test]
async fn malformed_streams_and_connections_are_counted_by_their_error() {
    let no_method = frame(HEADERS, WHOLE, 1, &[0x86, 0x84, 0x01, 1, b'x']);
    let of_http1 = frame(HEADERS, WHOLE, 1, &get("/", &[("connection", "close")]));
    let upper_case = frame(HEADERS, WHOLE, 1, &get("/", &[("X-Shout", "1")]));
    let bad_index = frame(HEADERS, WHOLE, 1, &[0x80]);
    let no_increment = frame(WINDOW_UPDATE, 0, 0, &[0; 4]);
    let largest = frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]);
    let largest_of_stream = frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]);
    let too_long = [0, 64, 1, PING, 0, 0, 0, 0, 0];
    let body_of_nothing = frame(DATA, 0, 7, b"x");
    let taken_back = |number: u8| {
        let stream = number * 2 + 1;
        [open(stream), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    };
    let rapid_reset = (0..100).flat_map(taken_back).collect::<Vec<_>>();
    let endless_head =
        [frame(HEADERS, 0, 1, &get("/", &[])), frame(CONTINUATION, 0, 1, &[]).repeat(50)];
    let many = (0..101).flat_map(|number| open(number * 2 + 1)).collect::<Vec<_>>();
    // A field of 4000 bytes that is kept in HPACK's table, and named 20 times more.
    let kept = [&[0x40, 1, b'a', 127, 0xa1, 0x1e][..], &[b'x'; 4000], &[0xbe; 20]].concat();
    let large_head = frame(HEADERS, WHOLE, 1, &[get("/", &[]), kept].concat());

    for (what, bytes, expected) in [
        ("no method", no_method, "protocol_error stream"),
        ("a field of HTTP/1.1", of_http1, "protocol_error stream"),
        ("an upper-case name", upper_case, "protocol_error connection"),
        ("a wrong index", bad_index, "protocol_error connection"),
        ("an empty window", no_increment, "protocol_error connection"),
        ("a window too large", largest, "flow_control_error connection"),
        ("a stream's window", [open(1), largest_of_stream].concat(), "flow_control_error stream"),
        ("a frame too long", too_long.to_vec(), "frame_size_error connection"),
        ("a body of nothing", body_of_nothing, "protocol_error connection"),
        ("rapid reset", rapid_reset, "enhance_your_calm connection"),
        ("an endless head", endless_head.concat(), "enhance_your_calm connection"),
        ("a stream too many", many, "refused_stream stream"),
        ("a head too large", large_head, "unreadable_431"),
    ] {
        let app = TestService::start().await;
        refused(&app, &bytes).await;

        let mut found = next_refusals(&app).await;

        // Requests that were read and then given up are counted for themselves.
        found.remove("abandoned");
        assert_eq!(found, BTreeMap::from([(expected.to_owned(), 1.0)]), "{what}");
    }
}

/// Agrees on HTTP/2 and speaks HTTP/1.1.
const WRONG_PREFACE: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.set_alpn_protocols(['h2'])
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
stream = context.wrap_socket(plain, server_hostname='localhost')
stream.sendall(b'GET /openapi.json HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
try:
    assert not stream.recv(1)
except ssl.SSLError:
    pass
";

#[tokio::test]
async fn a_client_that_chose_http2_and_does_not_speak_it_is_counted() {
    let app = Setup::default().dev().start().await;
    let certificate = app.folder.path().join("orderdesk-data/certificate.pem");

    let ended = tokio::process::Command::new("python3")
        .args(["-c", WRONG_PREFACE, &app.service.public().port().to_string()])
        .arg(certificate)
        .status()
        .await
        .unwrap();

    assert!(ended.success());
    let expected = BTreeMap::from([("protocol_error connection".to_owned(), 1.0)]);
    assert_eq!(next_refusals(&app).await, expected);
}

#[tokio::test]
async fn nothing_of_an_honest_conversation_is_counted() {
    let mut app = TestService::start().await;
    let mut connection = Http2::connect(&app, &[]).await;

    // Two whole requests, one refused before its body comes, a ping, and one that is given up.
    let mut body = get("/users", &[("content-type", "application/json")]);
    body[0] = 0x83;
    connection.send(&frame(HEADERS, WHOLE, 1, &get("/problems/not_found", &[]))).await;
    connection.send(&frame(HEADERS, WHOLE, 3, &get("/nothing", &[]))).await;
    let mut early = get("/orders", &[("content-type", "application/json")]);
    early[0] = 0x83;
    connection.send(&frame(HEADERS, END_HEADERS, 5, &early)).await;
    let mut over = Vec::new();
    while over.len() < 3 {
        let frame = connection.next().await.unwrap();
        assert_ne!(frame.kind, GOAWAY);
        if frame.flags & END_STREAM != 0 && [DATA, HEADERS].contains(&frame.kind) {
            over.push(frame.stream);
        }
        if frame.kind == RST_STREAM {
            assert_eq!((frame.stream, frame.payload.as_slice()), (5, &[0; 4][..]));
        }
    }
    connection.send(&frame(HEADERS, END_HEADERS, 7, &body)).await;
    connection.send(&frame(RST_STREAM, 0, 7, &CANCEL)).await;
    connection.send(&frame(PING, 0, 0, b"the last")).await;
    while connection.next().await.unwrap().kind != PING {}
    let counted = refusals(&app).await;
    app.service.ask_to_end();
    let mut last = Vec::new();
    while let Some(frame) = connection.next().await {
        last.push((frame.kind, frame.payload));
    }

    assert!(counted.keys().all(|reason| reason == "abandoned"), "{counted:?}");
    let orderly = |(kind, payload): &(u8, Vec<u8>)| *kind == GOAWAY && payload[4..8] == [0; 4];
    assert!(last.iter().any(orderly), "{last:?}");
    assert!(app.service.ended(Duration::from_secs(10)).await.success());
}
