//! Lets a client that is still sending read why nobody listens any more.
//!
//! A refusal often comes before the body is read. Closing the connection then resets it, and many
//! clients report the reset instead of the answer that came before. So the rest of the body is
//! taken in and forgotten, for a moment and up to a size (compare RFC 9112, section 9.6). On
//! HTTP/2, where a refusal ends only its own stream, some clients (curl 7.88) lose the answer to
//! the reset as well. A client that asked first whether to send its body sends none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::activity::Activity;

/// Enough to have sent what was on its way.
const LONGEST: Duration = Duration::from_millis(500);
/// What a person may send by mistake.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Takes in the rest of a body of the connection that `activity` is about.
pub(super) fn linger(rest: Incoming, activity: Arc<Activity>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        // Its connection, which the server waits for when it drains, lives at least as long.
        runtime.spawn(tokio::time::timeout(LONGEST, forget(rest, activity)));
    }
}

async fn forget(mut body: Incoming, activity: Arc<Activity>) {
    let mut left = MOST_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        activity.note_body(length);
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}
