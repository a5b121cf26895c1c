//! What a client may do to HTTP/2 itself.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Setup;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

#[tokio::test]
async fn a_client_that_lets_nothing_be_sent_is_cut_off_in_time() {
    let app = Setup::default().setting("limits.write_timeout", "2s").start().await;
    // INITIAL_WINDOW_SIZE is 0; then GET /openapi.json, in HPACK without its table.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let head = [b"\x82\x86\x04\x0d/openapi.json".as_slice(), b"\x01\x01x"].concat();
    let request = frame(HEADERS, 5, 1, &head);
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

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}
