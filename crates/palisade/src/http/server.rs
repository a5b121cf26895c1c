//! The listener: accepts connections within limits and serves HTTP/1.1 and HTTP/2 on them.
//!
//! A connection that never finishes its TLS handshake, its header or its next request is closed;
//! so many are held in all and so many for one client address. What is in flight when the service
//! drains is finished.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::guard::App;
use super::linger::Lingering;
use super::rate::AddressPrefix;
use super::unreadable::Explaining;
use super::{Lifecycle, TlsAcceptorSource};

/// What connections may cost.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Most connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Most connections at a time for one IPv4 address or IPv6 /64; further ones are closed.
    pub connections_per_ip: usize,
    /// Longest time for a TLS handshake, for the first request of a connection, and for the head
    /// of every HTTP/1.1 request to arrive.
    pub header_timeout: Duration,
    /// Longest time a connection may stay open with no request in flight.
    pub idle_timeout: Duration,
    /// Most header lines; the guard answers beyond it, and the parser gives up beyond four times
    /// as many, at least 256.
    pub header_count: usize,
}

/// Streams that one HTTP/2 connection may have open: enough for a browser, little to hold.
const HTTP2_STREAMS: u32 = 100;
/// Pause after the process ran out of file descriptors, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Header lines that are parsed at least, so that a client with too many gets a whole answer.
const LEAST_PARSED_HEADERS: usize = 256;
/// Most bytes of a request head that the parser buffers.
const HEAD_BUFFER: usize = 64 * 1024;

/// A bound socket with the application that answers on it.
#[derive(Debug)]
pub struct Server {
    /// The bound listener.
    pub listener: TcpListener,
    /// The certificate source; `None` serves plain HTTP.
    pub tls: Option<Arc<TlsAcceptorSource>>,
    /// The application behind its guard.
    pub app: App,
    /// What connections may cost.
    pub limits: ConnectionLimits,
}

impl Server {
    /// Serves until `lifecycle` drains, then finishes what is in flight and returns.
    pub async fn run(self, lifecycle: Lifecycle) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let shared = Arc::new(Shared {
            app: self.app,
            tls: self.tls,
            limits: self.limits,
            clients: Mutex::default(),
        });
        let accepting = async {
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                let Some((stream, peer)) = accept(&self.listener).await else { continue };
                let Some(place) = Place::take(&shared, peer.ip()) else { continue };
                let (shared, watcher) = (Arc::clone(&shared), graceful.watcher());
                tokio::spawn(async move {
                    shared.serve(stream, peer, watcher).await;
                    drop((place, slot));
                });
            }
        };
        tokio::select! {
            // Dropping the accept loop loses at most a connection that sent nothing yet.
            () = accepting => {}
            () = lifecycle.draining() => {}
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            stream.set_nodelay(true).ok();
            Some((stream, peer))
        }
        Err(error) => {
            if !is_peers_fault(&error) {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

fn is_peers_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[derive(Debug)]
struct Shared {
    app: App,
    tls: Option<Arc<TlsAcceptorSource>>,
    limits: ConnectionLimits,
    clients: Mutex<HashMap<AddressPrefix, usize>>,
}

/// A connection's place among those of its client; given back when dropped.
struct Place(Arc<Shared>, AddressPrefix);

impl Place {
    fn take(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let client = AddressPrefix::of(address);
        let mut clients = shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let held = clients.entry(client).or_default();
        if *held >= shared.limits.connections_per_ip {
            return None;
        }
        *held += 1;
        Some(Self(Arc::clone(shared), client))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = clients.get_mut(&self.1) {
            *held -= 1;
            if *held == 0 {
                clients.remove(&self.1);
            }
        }
    }
}

type Watcher = hyper_util::server::graceful::Watcher;

impl Shared {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, peer, watcher).await;
        };
        let handshake = tls.acceptor().accept(stream);
        if let Ok(Ok(stream)) = tokio::time::timeout(self.limits.header_timeout, handshake).await {
            self.serve_http(stream, peer, watcher).await;
        }
    }

    async fn serve_http<IO>(&self, stream: IO, peer: SocketAddr, watcher: Watcher)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let (app, noted) = (self.app.clone(), Arc::clone(&activity));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (app, busy) = (app.clone(), noted.begin());
            async move {
                let response = app.respond(Lingering::body_of(request).map(Body::new), peer).await;
                drop(busy);
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let builder = self.builder();
        let stream = TokioIo::new(Explaining::new(stream, self.app.clone()));
        let connection = builder.serve_connection(stream, service).into_owned();
        tokio::select! {
            // A peer that breaks off is no error of ours; nothing here outlives the connection.
            _ = watcher.watch(connection) => {}
            // Only reached with no request being worked on. An answer that the client has not
            // taken in by then is cut off.
            () = activity.is_idle(&self.limits) => {}
        }
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(self.limits.header_count.saturating_mul(4).max(LEAST_PARSED_HEADERS))
            .max_buf_size(HEAD_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(u32::try_from(HEAD_BUFFER).unwrap_or(u32::MAX))
            .keep_alive_interval(self.limits.idle_timeout)
            .keep_alive_timeout(self.limits.header_timeout);
        builder
    }
}

/// When a connection last had a request in flight.
#[derive(Debug)]
struct Activity(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    in_flight: usize,
    since: Instant,
    /// Whether a request has come at all.
    is_used: bool,
}

/// A request in flight.
struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|in_flight| in_flight.saturating_sub(1));
    }
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(State { in_flight: 0, since: Instant::now(), is_used: false }))
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.change(|in_flight| in_flight.saturating_add(1));
        Busy(Arc::clone(self))
    }

    fn change(&self, count: impl Fn(usize) -> usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_flight = count(state.in_flight);
        *state = State { in_flight, since: Instant::now(), is_used: true };
    }

    /// Waits until no first request came for `limits.header_timeout`, or nothing was in flight
    /// for `limits.idle_timeout` since the last one.
    async fn is_idle(&self, limits: &ConnectionLimits) {
        loop {
            let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let span = if state.is_used { limits.idle_timeout } else { limits.header_timeout };
            let idle = if state.in_flight == 0 { state.since.elapsed() } else { Duration::ZERO };
            match span.min(limits.idle_timeout).checked_sub(idle) {
                Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
                _ => return,
            }
        }
    }
}
