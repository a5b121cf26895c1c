//! Lets a client that is still sending read why nobody listens any more.
//!
//! A refusal often comes before the body is read. Closing the connection then resets it, and many
//! clients report the reset instead of the answer that came before. So the rest of the body is
//! taken in and forgotten, for a moment and up to a size (compare RFC 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

/// A request's body; what is left of it when it is dropped is taken in and forgotten.
pub(super) struct Lingering {
    body: Option<Incoming>,
    lingers: bool,
}

impl Lingering {
    /// Wraps the body of a request.
    ///
    /// A client that asked first whether to send its body sends none. On HTTP/2, where a refusal
    /// ends only its own stream, some clients (curl 7.88) lose the answer to the reset as well.
    pub(super) fn body_of(request: Request<Incoming>) -> Request<Self> {
        let lingers = !request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), lingers })
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.lingers && !body.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            // Its connection, which the server waits for when it drains, lives at least as long.
            runtime.spawn(tokio::time::timeout(LONGEST, forget(rest)));
        }
    }
}

async fn forget(mut body: Incoming) {
    let mut left = MOST_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}

/// Enough to have sent what was on its way.
const LONGEST: Duration = Duration::from_millis(500);
/// What a person may send by mistake.
const MOST_BYTES: usize = 16 * 1024 * 1024;
