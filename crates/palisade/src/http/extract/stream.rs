//! Bodies that are read piece by piece, however large their route lets them be.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;

use super::Request;
use super::media_type::check;
use super::reading::Reading;
use crate::http::{Extract, Operation, Problem};

/// The type of a streamed body.
pub trait MediaType: 'static {
    /// The type and subtype in lower case without parameters, such as `text/csv`. For a type of
    /// `text/`, requests may add `charset=utf-8`, and nothing else.
    const NAME: &'static str;
}

/// `text/csv` (RFC 4180).
#[derive(Debug, Clone, Copy)]
pub struct Csv;

/// `application/octet-stream`: bytes that mean nothing to the service.
#[derive(Debug, Clone, Copy)]
pub struct OctetStream;

impl MediaType for Csv {
    const NAME: &'static str = "text/csv";
}

impl MediaType for OctetStream {
    const NAME: &'static str = "application/octet-stream";
}

/// A body that is read piece by piece, so that a large one is never in memory as a whole.
///
/// It is bounded as [`Route::takes_up_to`](crate::http::Route::takes_up_to) says, and by the
/// service's default without. The pieces are as they came from the network: cut anywhere, and not
/// checked to be text even where the type says so. A client that sends faster than the handler
/// reads is held up. Read it in the handler and nowhere else: with the answer, nobody watches
/// any more how fast it arrives.
///
/// ```
/// use palisade::http::{Anyone, Csv, Json, Problem, Route, Stream};
///
/// async fn ends_a_line(mut upload: Stream<Csv>) -> Result<Json<bool>, Problem> {
///     let mut last = None;
///     while let Some(piece) = upload.next().await? {
///         last = piece.last().copied();
///     }
///     Ok(Json(last == Some(b'\n')))
/// }
///
/// let route = Route::post("/imports", "endsALine").takes_up_to(64 * 1024 * 1024).inflates();
/// let endpoint = route.policy(Anyone).handle(ends_a_line);
/// # let _: palisade::http::Endpoint<()> = endpoint;
/// ```
pub struct Stream<M> {
    reading: Reading,
    kind: PhantomData<fn() -> M>,
}

impl<M: MediaType> Stream<M> {
    /// Returns the next piece, which is never empty, or `None` at the end. What came before an
    /// error or before the end may be part of something else than the client meant to send, so
    /// act on it when `None` was returned.
    ///
    /// It may be cancelled: no byte is lost.
    ///
    /// # Errors
    ///
    /// 413 beyond the route's limit, 408 for a client that is too slow, 400 `bad_request` for one
    /// that breaks off, 400 `malformed_body` if the body is compressed and cannot be inflated. The
    /// same error is returned for ever after.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        self.reading.next().await
    }
}

impl<M: MediaType> fmt::Debug for Stream<M> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Stream").field(&M::NAME).field(&self.reading).finish()
    }
}

impl<S: Sync, M: MediaType> Extract<S> for Stream<M> {
    fn describe(operation: &mut Operation) {
        operation.reads_stream(M::NAME);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let coding = check(request, M::NAME)?;
        Ok(Self { reading: Reading::begin(request, coding)?, kind: PhantomData })
    }
}
