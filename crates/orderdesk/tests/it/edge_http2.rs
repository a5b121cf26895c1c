//! What a client may do to HTTP/2 itself: frames that ask for nothing, and windows that stay shut.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Setup, TestService};
use crate::support_http2::{
    HEADERS, PING, PREFACE, PRIORITY, SETTINGS, WHOLE, WINDOW_UPDATE, frame, get,
};

const UNKNOWN: u8 = 0xfa;

#[tokio::test]
async fn frames_that_ask_for_nothing_are_borne_up_to_a_number() {
    let app = TestService::start().await;
    let last = frame(PING, 0, 0, b"the last");
    let floods = [
        frame(PING, 0, 0, b"once too"),
        frame(SETTINGS, 0, 0, &[]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]),
        frame(UNKNOWN, 0, 0, &[]),
    ];

    for one in floods {
        let few = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &one.repeat(900), &last].concat();
        assert!(is_answered(&app, &few, b"the last").await, "few of {:?}", &one[..9]);

        let many = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &one.repeat(1100), &last].concat();
        assert!(!is_answered(&app, &many, b"the last").await, "many of {:?}", &one[..9]);
    }
}

#[tokio::test]
async fn a_client_that_lets_nothing_be_sent_is_cut_off_in_time() {
    let app = Setup::default().setting("limits.write_timeout", "2s").start().await;
    // INITIAL_WINDOW_SIZE is 0.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let request = frame(HEADERS, WHOLE, 1, &get("/openapi.json", &[]));
    let mut stream = TcpStream::connect(app.service.public()).await.unwrap();
    let began = Instant::now();

    stream.write_all(&[PREFACE, &settings, &request].concat()).await.unwrap();
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received);
    tokio::time::timeout(Duration::from_secs(10), end).await.unwrap().ok();

    let waited = began.elapsed();
    assert!(received.windows(4).any(|bytes| bytes[0] == HEADERS), "there was an answer");
    assert!(waited > Duration::from_secs(2), "{waited:?}");
    assert!(waited < Duration::from_millis(3500), "{waited:?}");
}

/// Sends `bytes`; tells whether `awaited` comes back before the connection ends.
async fn is_answered(app: &TestService, bytes: &[u8], awaited: &[u8]) -> bool {
    let stream = TcpStream::connect(app.service.public()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let search = async {
        let mut received = Vec::new();
        while !received.windows(awaited.len()).any(|part| part == awaited) {
            if !matches!(reader.read_buf(&mut received).await, Ok(1..)) {
                return false;
            }
        }
        true
    };
    // The service may be gone before all is sent.
    let (_, found) = tokio::join!(writer.write_all(bytes), search);
    found
}
