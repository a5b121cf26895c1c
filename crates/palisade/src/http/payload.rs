//! Bodies on their way in and out.
//!
//! A request's body keeps to its pace, and leaves what nobody read to the connection. An
//! answer's body counts as unsent until the connection took it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::activity::{Activity, Busy};
use super::arrival::Arrival;
use super::guard::App;

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Network(Network),
}

/// A body that arrives while it is read.
struct Network {
    body: Option<Incoming>,
    arrival: Arc<Arrival>,
    activity: Arc<Activity>,
}

/// Why a body cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke off, or what came is not a body.
    #[error("the body broke off or is framed wrongly")]
    Broken,
}

impl RequestBody {
    /// Makes a body that is there already: for tests.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Whole(bytes.into()))
    }

    /// Makes the body that comes on a connection. The second value tells what becomes of it;
    /// `None` if there is nothing to come.
    pub(super) fn network(
        body: Incoming,
        activity: &Arc<Activity>,
    ) -> (Self, Option<Arc<Arrival>>) {
        if body.is_end_stream() {
            return (Self::whole(Bytes::new()), None);
        }
        let (arrival, activity) = (Arc::new(Arrival::new()), Arc::clone(activity));
        let network = Network { body: Some(body), arrival: Arc::clone(&arrival), activity };
        (Self(Source::Network(network)), Some(arrival))
    }

    /// Returns how the body arrives; `None` if it is there already.
    pub(super) fn arrival(&self) -> Option<Arc<Arrival>> {
        match &self.0 {
            Source::Whole(_) => None,
            Source::Network(network) => Some(Arc::clone(&network.arrival)),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Network").field("arrival", &self.arrival).finish_non_exhaustive()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Network(network) => network.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Network(network) => network.body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Whole(bytes) => exact(bytes.len()),
            Source::Network(Network { body: Some(body), .. }) => body.size_hint(),
            Source::Network(_) => SizeHint::with_exact(0),
        }
    }
}

impl Network {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
            if self.arrival.is_late() {
                return Poll::Ready(Some(Err(BodyError::TooSlow)));
            }
            self.arrival.wait();
            return Poll::Pending;
        };
        let length = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => 0,
        };
        self.activity.note_body(length);
        self.arrival.receive(u64::try_from(length).unwrap_or(u64::MAX));
        Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyError::Broken)))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.arrival.leave(rest);
        }
    }
}

/// The body of an answer.
#[derive(Debug, Default)]
pub struct AnswerBody(Content);

#[derive(Debug, Default)]
enum Content {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(UnsyncBoxBody<Bytes, BrokenOff>),
}

/// An answer that cannot be sent to its end. The client sees that it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// An answer: head and body.
pub type Response = http::Response<AnswerBody>;

impl AnswerBody {
    /// Makes a body of bytes that are all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Content::Whole(bytes.into()))
    }

    /// Makes a body that is produced while it is sent, no faster than the client reads.
    pub fn stream(body: impl Body<Data = Bytes, Error = BrokenOff> + Send + 'static) -> Self {
        Self(Content::Stream(UnsyncBoxBody::new(body)))
    }

    /// Returns the bytes, if they are all there.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.0 {
            Content::Empty => Some(Bytes::new()),
            Content::Whole(bytes) => Some(bytes.clone()),
            Content::Stream(_) => None,
        }
    }

    /// Returns the length in bytes where it is known.
    pub(super) fn length(&self) -> Option<usize> {
        match &self.0 {
            Content::Empty => Some(0),
            Content::Whole(bytes) => Some(bytes.len()),
            Content::Stream(_) => None,
        }
    }
}

/// Most bytes that are handed to the connection at a time, so that a client which reads nothing
/// is noticed by what is left.
pub(super) const PIECE: usize = 16 * 1024;

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.0 {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) if bytes.len() > PIECE => {
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(PIECE)))))
            }
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => exact(bytes.len()),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

fn exact(length: usize) -> SizeHint {
    SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
}

/// An answer's body on its way: until it is over, its request counts as going on and what the
/// connection has not taken counts as unsent, for the connection and for the application.
pub(super) struct Sending {
    body: AnswerBody,
    left: usize,
    /// Of these, what was handed over. It counts as sent once more is asked for: on HTTP/2 a piece
    /// is taken before there is room for it.
    lent: usize,
    busy: Busy,
    app: App,
}

impl Sending {
    pub(super) fn new(body: AnswerBody, busy: Busy, app: App) -> Self {
        // One that is produced while it is sent counts as unsent until its end.
        let left = body.length().unwrap_or(1);
        if left > 0 {
            busy.activity().note_unsent(left);
            app.note_unsent(left);
        }
        Self { body, left, lent: 0, busy, app }
    }

    fn release(&mut self, bytes: usize) {
        let bytes = bytes.min(self.left);
        if bytes > 0 {
            self.left -= bytes;
            self.busy.activity().note_released(bytes);
            self.app.note_released(bytes);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.release(self.left);
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let lent = std::mem::take(&mut self.lent);
        if lent > 0 {
            self.busy.activity().note_sent(lent);
            if self.body.length().is_some() {
                self.release(lent);
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let data = frame.data_ref().map_or(&[][..], Bytes::as_ref);
            if data.ends_with(b"\n") {
                self.busy.activity().note_line_end(true);
            }
            if frame.is_trailers() {
                self.busy.activity().note_trailers();
            }
            self.lent = data.len();
            self.app.note_sent(self.lent);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
