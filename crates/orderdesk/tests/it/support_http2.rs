//! A client that speaks HTTP/2 frame by frame, so that it can say what no honest one would.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::TestService;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// HEADERS that are a whole request.
pub(crate) const WHOLE: u8 = END_HEADERS | END_STREAM;

/// Longest wait for a frame; every one takes far less.
const PATIENCE: Duration = Duration::from_secs(60);

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection on which the preface was sent.
pub(crate) struct Http2 {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Http2 {
    /// Connects and sends the preface with `settings`, a payload of SETTINGS.
    pub(crate) async fn connect(app: &TestService, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(app.service.public()).await.unwrap();
        let mut connection = Self { stream, received: Vec::new() };
        connection.send(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await;
        connection
    }

    /// Sends `bytes`, unless the service is gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// Returns the next frame; `None` once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.received);
            let read = tokio::time::timeout(PATIENCE, read).await;
            if !matches!(read.expect("nothing came"), Ok(1..)) {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, d, e, f, g] = *self.received.first_chunk()?;
        let end = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        let payload = self.received.get(9..end)?.to_vec();
        self.received.drain(..end);
        Some(Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload })
    }
}

/// Returns a frame of at most 64 KiB.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, high, low, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Returns the head of `GET path` with more fields, in HPACK without its table (RFC 7541).
pub(crate) fn get(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // From the static table: the method 2, the scheme 6, the names of path 4 and authority 1.
    let mut head = vec![0x82, 0x86, 0x04];
    head.extend(string(path));
    head.extend([0x01, 1, b'x']);
    for (name, value) in more {
        head.push(0);
        head.extend([string(name), string(value)].concat());
    }
    head
}

/// A literal in HPACK, not compressed (RFC 7541, sections 5.1 and 5.2).
fn string(text: &str) -> Vec<u8> {
    let mut rest = text.len();
    let mut bytes = Vec::new();
    if rest < 127 {
        bytes.push(u8::try_from(rest).unwrap());
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        bytes.push(u8::try_from(rest).unwrap());
    }
    bytes.extend(text.as_bytes());
    bytes
}
