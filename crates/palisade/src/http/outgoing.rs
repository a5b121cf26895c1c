//! What HTTP/2 itself refuses, read off the frames that go out.
//!
//! A stream is refused with `RST_STREAM`, a connection with `GOAWAY`, and a head that is too large
//! with a status and nothing else. None of it becomes a request and nobody is told, so it is counted
//! where it is written, by frames' heads alone.

use super::activity::Activity;
use super::frames::{END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, Reader};
use super::guard::App;
use super::metrics::{CloseReason, Http2Error};

/// The longest head that says a status and nothing else: a name from HPACK's table and three digits
/// (RFC 7541, section 6.2.1). Every answer of ours has a request id.
const BARE_STATUS: usize = 5;
/// The only status with which the protocol refuses by itself.
const HEADERS_TOO_LARGE: u16 = 431;

/// A reader of what is written to one connection.
#[derive(Debug)]
pub(super) struct Outgoing(Reader);

impl Outgoing {
    /// Starts at the beginning of a connection.
    pub(super) fn new() -> Self {
        Self(Reader::after(0))
    }

    /// Counts what is refused in `bytes`, which the stream took.
    pub(super) fn note(&mut self, mut bytes: &[u8], app: &App, activity: &Activity) {
        while let Some(frame) = self.0.next(&mut bytes) {
            match (frame.kind, frame.error_code().and_then(Http2Error::of)) {
                (RST_STREAM, Some(error)) => app.metrics().refused_stream(error),
                (GOAWAY, Some(error)) => {
                    app.metrics().refused_connection(error);
                    activity.ends_because(CloseReason::Unreadable);
                }
                (HEADERS, _) if is_bare_status(frame) && !activity.has_sent_trailers() => {
                    app.note_unreadable(HEADERS_TOO_LARGE);
                }
                _ => {}
            }
        }
    }
}

fn is_bare_status(frame: Frame) -> bool {
    frame.length <= BARE_STATUS && frame.flags & END_STREAM != 0
}
