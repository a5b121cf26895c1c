//! One connection: which protocol it speaks, its requests, and the deadlines around them.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;

use super::activity::{Activity, Verdict, Watch};
use super::guard::App;
use super::host::is_plainly_framed;
use super::linger::Rest;
use super::metrics::{CloseReason, ConnectionState, OpenConnection};
use super::payload::{RequestBody, Sending};
use super::server::Shared;
use super::wire::Wire;
use super::{Lifecycle, Phase};

/// Most bytes of a request's head.
pub(super) const HEAD_BUFFER: usize = 64 * 1024;
/// Header lines that the parser takes by itself. Above it the refusal is its own, which ends the
/// connection.
const USUAL_HEADERS: usize = 100;
/// Streams that one HTTP/2 connection may have open: enough for a browser, little to hold.
const HTTP2_STREAMS: u32 = 100;
/// Bytes of bodies that one HTTP/2 connection may send ahead of who reads them.
const HTTP2_CONNECTION_WINDOW: u32 = 512 * 1024;
/// The same for one of its streams.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
/// Bytes of one answer that HTTP/2 holds beyond what its client asked for.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;
/// Streams that may be reset before they were looked at (CVE-2023-44487, rapid reset).
const HTTP2_UNSEEN_RESETS: usize = 20;
/// Streams that may be reset for a client's mistakes.
const HTTP2_MISTAKES: usize = 100;

/// What a client says first when it speaks HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Either side had no more to say.
    Done,
    /// It broke off, or what came was not HTTP.
    Broken,
    /// A deadline or a limit ended it.
    Closed(Verdict),
}

/// Reads from `stream` until it is clear what is spoken; returns that and what was read.
pub(super) async fn recognise<IO: AsyncRead + Unpin>(
    stream: &mut IO,
) -> io::Result<(Protocol, Vec<u8>)> {
    let mut first = Vec::with_capacity(PREFACE.len());
    loop {
        let mut rest = (&mut *stream).take(u64::try_from(PREFACE.len() - first.len()).unwrap_or(0));
        if rest.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&first) {
            return Ok((Protocol::Http1, first));
        }
        if first.len() == PREFACE.len() {
            return Ok((Protocol::Http2, first));
        }
    }
}

impl Shared {
    /// Serves the requests of one connection until it ends.
    pub(super) async fn serve_http<IO>(
        &self,
        (stream, peer): (IO, IpAddr),
        (protocol, first): (Protocol, Vec<u8>),
        open: OpenConnection,
    ) where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        open.enter(ConnectionState::Idle);
        let activity = Arc::new(Activity::new(open));
        let wire = Wire::new(stream, first, self.app.clone(), Arc::clone(&activity));
        let (app, noted) = (self.app.clone(), Arc::clone(&activity));
        let about = (peer, self.limits.requests_per_connection);
        let service =
            service_fn(move |request| answer(app.clone(), Arc::clone(&noted), request, about));
        match protocol {
            Protocol::Http1 => {
                let mut connection = self.http1().serve_connection(TokioIo::new(wire), service);
                let ending = self.attend(&mut connection, &activity).await;
                if ending == Ending::Closed(Verdict::HeaderTimeout) && activity.is_reading_head() {
                    let refused = connection.into_parts().io.into_inner().refuse(408);
                    tokio::time::timeout(self.limits.write_timeout, refused).await.ok();
                }
            }
            Protocol::Http2 => {
                let wire = TokioIo::new(wire.counting_frames());
                let mut connection = pin!(self.http2().serve_connection(wire, service));
                self.attend(&mut connection, &activity).await;
            }
        }
    }

    /// Runs a connection within its limits.
    async fn attend(
        &self,
        connection: &mut (impl Connection + Unpin),
        activity: &Activity,
    ) -> Ending {
        let lifecycle = self.lifecycle();
        let mut watch = Watch::new(activity, &self.limits);
        let mut timer = pin!(tokio::time::sleep(self.limits.header_timeout));
        let mut draining = pin!(lifecycle.draining());
        let mut attended = Attended { is_draining: false, is_registered: false };
        let ending = std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(outcome) = Pin::new(&mut *connection).poll(context) {
                    return Poll::Ready(if outcome.is_ok() {
                        Ending::Done
                    } else {
                        Ending::Broken
                    });
                }
                let has_news = attended.has_news(&timer, lifecycle);
                if !has_news {
                    return Poll::Pending;
                }
                if !attended.is_draining && draining.as_mut().poll(context).is_ready() {
                    attended.is_draining = true;
                    // To be judged again, and in less time.
                    attended.is_registered = false;
                    activity.ends_because(CloseReason::Draining);
                    Pin::new(&mut *connection).retire();
                    continue;
                }
                match watch.judge(self.around(attended.is_draining)) {
                    Ok(wait) => timer.as_mut().reset((Instant::now() + wait).into()),
                    Err(verdict @ (Verdict::Aged | Verdict::Worn)) => {
                        activity.ends_because(verdict.reason());
                        Pin::new(&mut *connection).retire();
                        continue;
                    }
                    Err(verdict) => return Poll::Ready(Ending::Closed(verdict)),
                }
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        activity.ends_because(match ending {
            Ending::Done => CloseReason::Done,
            Ending::Broken => CloseReason::Broken,
            Ending::Closed(verdict) => verdict.reason(),
        });
        ending
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BUFFER);
        // Asking for more costs two allocations a request.
        if self.limits.header_count >= USUAL_HEADERS {
            builder.max_headers(self.limits.header_count.saturating_add(1));
        }
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(u32::try_from(HEAD_BUFFER).unwrap_or(u32::MAX))
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .max_pending_accept_reset_streams(HTTP2_UNSEEN_RESETS)
            .max_local_error_reset_streams(HTTP2_MISTAKES);
        builder
    }
}

/// What a connection's task has seen of its surroundings.
struct Attended {
    is_draining: bool,
    is_registered: bool,
}

impl Attended {
    /// Tells whether the timer or the service's life has something new. Both wake the task by
    /// themselves once they were polled, so that most wake-ups need not poll them again.
    fn has_news(&mut self, timer: &Pin<&mut Sleep>, lifecycle: &Lifecycle) -> bool {
        let is_first = !std::mem::replace(&mut self.is_registered, true);
        // On the way there, too: the change to it was waited for and has to be waited for again.
        let drains =
            !self.is_draining && matches!(lifecycle.phase(), Phase::Leaving | Phase::Draining);
        is_first || drains || timer.is_elapsed()
    }
}

async fn answer(
    app: App,
    activity: Arc<Activity>,
    request: http::Request<Incoming>,
    (peer, most_requests): (IpAddr, u64),
) -> Result<http::Response<Sending>, Infallible> {
    let mut busy = activity.begin();
    let (parts, body) = request.into_parts();
    let (is_http1, asks_first) =
        (parts.version <= Version::HTTP_11, parts.headers.contains_key(EXPECT));
    let is_framed_oddly = !is_plainly_framed(&parts.headers);
    let (body, arrival) = RequestBody::network(body, &activity);
    let request = http::Request::from_parts(parts, body);
    let (mut response, turn) = app.answer(request, peer, &activity).await;
    let unread = arrival.and_then(|arrival| arrival.take_rest());
    let is_whole = match unread.map(|rest| Rest::new(rest, &activity)) {
        None => true,
        Some(_) if asks_first => false,
        Some(mut rest) => {
            let is_over = rest.is_over_soon().await;
            if !is_over {
                rest.linger();
            }
            is_over
        }
    };
    let is_last = !is_whole || is_framed_oddly || activity.requests() >= most_requests;
    if is_http1 && is_last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    busy.is_answered();
    let response = response.map(|body| Sending::new(body, busy, app));
    // From here on the answer counts as unsent.
    drop(turn);
    Ok(response)
}

/// What the two protocols' connections have in common.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Ends it once what is in flight is answered.
    fn retire(self: Pin<&mut Self>);
}

impl<IO, S, B> Connection for http1::Connection<IO, S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    IO: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn retire(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<C: Connection> Connection for Pin<&mut C> {
    fn retire(self: Pin<&mut Self>) {
        self.get_mut().as_mut().retire();
    }
}

impl<IO, S, B> Connection for http2::Connection<IO, S, TokioExecutor>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    IO: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn retire(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
