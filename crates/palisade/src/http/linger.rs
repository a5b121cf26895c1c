//! Lets a client that is still sending read why nobody listens any more.
//!
//! A refusal often comes before the body is read. Closing the connection then resets it, and many
//! clients report the reset instead of the answer that came before. So the rest of the body is
//! taken in and forgotten, for a moment and up to a size (compare RFC 9112, section 9.6). On
//! HTTP/2, where a refusal ends only its own stream, some clients (curl 7.88) lose the answer to
//! the reset as well. A client that asked first whether to send its body sends none.
//!
//! On HTTP/1.1 such a connection is the last one's unless the body is over when the answer is
//! sent: a proxy that stops sending a body once it has its answer, and then uses the connection
//! again (`HAProxy` 2.6 does for HTTP/2 clients), would have its next request read as the body's rest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::activity::Activity;

/// Enough for what was on its way when the answer was there.
const SHORT: Duration = Duration::from_millis(10);
/// Enough to have sent what was on its way.
const LONGEST: Duration = Duration::from_millis(500);
/// What a person may send by mistake.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What is left of a body that nobody will read.
pub(super) struct Rest {
    body: Incoming,
    activity: Arc<Activity>,
    left: usize,
}

impl Rest {
    pub(super) fn new(body: Incoming, activity: &Arc<Activity>) -> Self {
        Self { body, activity: Arc::clone(activity), left: MOST_BYTES }
    }

    /// Waits a moment for the end of the body; tells whether it came.
    pub(super) async fn is_over_soon(&mut self) -> bool {
        tokio::time::timeout(SHORT, self.forget()).await.unwrap_or(false)
    }

    /// Goes on taking in the body while the answer is sent.
    pub(super) fn linger(mut self) {
        tokio::spawn(async move { tokio::time::timeout(LONGEST, self.forget()).await });
    }

    /// Takes in the body; tells whether it came to its end.
    async fn forget(&mut self) -> bool {
        while let Some(frame) = self.body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.activity.note_body(length);
            let Some(less) = self.left.checked_sub(length) else { return false };
            self.left = less;
        }
        true
    }
}
