//! The listener: accepts connections within limits and serves HTTP/1.1 and HTTP/2 on them.
//!
//! A connection that never finishes its TLS handshake, its header or its next request is closed;
//! so many are held in all and so many for one client address. What is in flight when the service
//! drains is finished.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_user_timeout};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::activity::Around;
use super::connection::{Protocol, recognise};
use super::guard::App;
use super::listen::{Accepted, Listener, Socket};
use super::metrics::{
    CloseReason, ConnectionMetrics, ConnectionState, Handshake, Http2Error, OpenConnection,
};
use super::places::Places;
use super::{Lifecycle, TlsAcceptorSource};

/// What connections may cost.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Most connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Most connections at a time for one IPv4 address or IPv6 /64; further ones are closed. A
    /// declared proxy speaks for many and has no limit of its own.
    pub connections_per_ip: usize,
    /// Longest time for a TLS handshake, for the first request of a connection, and for the head
    /// of every HTTP/1.1 request to arrive.
    pub header_timeout: Duration,
    /// Longest time a connection may stay open with no request in flight.
    pub idle_timeout: Duration,
    /// Longest time that a client may take nothing of its answer, or less than
    /// `least_bytes_per_second`.
    pub write_timeout: Duration,
    /// Least speed of a client that reads, in bytes a second.
    pub least_bytes_per_second: u64,
    /// Requests after which a connection is ended in good order.
    pub requests_per_connection: u64,
    /// Age at which a connection is ended in good order.
    pub connection_age: Duration,
    /// Most header lines; the guard answers beyond it, and the parser gives up beyond 100 or this.
    pub header_count: usize,
}

/// Pause after the process ran out of file descriptors, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of answers that the kernel keeps for one connection, of which it makes twice as much.
/// Left to itself it keeps up to some MiB for a client that reads nothing, which nobody counts.
const SEND_BUFFER: usize = 128 * 1024;
/// How often the log says that connections cannot be accepted.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Bound sockets with the application that answers on them.
#[derive(Debug)]
pub struct Server {
    /// The bound sockets.
    pub sockets: Vec<Socket>,
    /// The certificate source; `None` serves plain HTTP.
    pub tls: Option<Arc<TlsAcceptorSource>>,
    /// The application behind its guard.
    pub app: App,
    /// What connections may cost.
    pub limits: ConnectionLimits,
}

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) app: App,
    pub(super) limits: ConnectionLimits,
    tls: Option<Arc<TlsAcceptorSource>>,
    places: Places,
    slots: Arc<Semaphore>,
    lifecycle: Lifecycle,
}

impl Server {
    /// Serves until `lifecycle` drains, then finishes what is in flight and returns.
    ///
    /// # Errors
    ///
    /// A socket that the runtime cannot wait for.
    pub async fn run(self, lifecycle: Lifecycle) -> io::Result<()> {
        let listeners: Vec<Listener> =
            self.sockets.into_iter().map(Listener::new).collect::<io::Result<_>>()?;
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let shared = Arc::new(Shared {
            app: self.app,
            limits: self.limits,
            tls: self.tls,
            places: Places::default(),
            slots: Arc::clone(&slots),
            lifecycle: lifecycle.clone(),
        });
        tokio::select! {
            // Dropping the accept loops loses at most a connection that sent nothing yet.
            _ = join_all(listeners.iter().map(|listener| shared.accept_from(listener))) => {}
            () = lifecycle.draining() => {}
        }
        drop(listeners);
        let all = u32::try_from(shared.limits.connections).unwrap_or(u32::MAX);
        // Every connection gives its slot back when it ends.
        drop(slots.acquire_many(all).await);
        Ok(())
    }
}

impl Shared {
    async fn accept_from(self: &Arc<Self>, listener: &Listener) {
        let mut told: Option<Instant> = None;
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_peers_fault(&error) => continue,
                Err(error) => {
                    self.metrics().accept_failed();
                    if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let most = match self.app.is_proxy(peer) {
                true => usize::MAX,
                false => self.limits.connections_per_ip,
            };
            let open = self.metrics().opened(ConnectionState::Handshake);
            let Some(place) = self.places.take(peer, most) else {
                open.ends_because(CloseReason::PerIp);
                continue;
            };
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                shared.serve(stream, peer, open).await;
                drop((place, slot));
            });
        }
    }

    async fn serve(&self, stream: Accepted, peer: IpAddr, open: OpenConnection) {
        match stream {
            Accepted::Tcp(stream) => {
                // So that the kernel, too, gives up on what nobody acknowledges; later than we
                // do, who can say why.
                let patience = u32::try_from(self.limits.write_timeout.as_millis() * 2);
                set_socket_send_buffer_size(stream.as_fd(), SEND_BUFFER).ok();
                set_tcp_user_timeout(stream.as_fd(), patience.unwrap_or(u32::MAX)).ok();
                self.serve_stream(stream, peer, open).await;
            }
            Accepted::Unix(stream) => self.serve_stream(stream, peer, open).await,
        }
    }

    async fn serve_stream<IO>(&self, mut stream: IO, peer: IpAddr, open: OpenConnection)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = &self.tls else {
            if let Some((spoken, open)) = self.recognised(&mut stream, open).await {
                self.serve_http((stream, peer), spoken, open).await;
            }
            return;
        };
        let handshake = tls.acceptor().accept(stream);
        let (result, reason) = match self.begun(self.limits.header_timeout, handshake).await {
            Ok(stream) => {
                self.metrics().handshake(Handshake::Ok);
                return match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => self.serve_http2(stream, peer, open).await,
                    _ => {
                        let spoken = (Protocol::Http1, Vec::new());
                        self.serve_http((stream, peer), spoken, open).await;
                    }
                };
            }
            Err(Unbegun::Late) => (Handshake::Timeout, CloseReason::HandshakeTimeout),
            Err(Unbegun::Failed) => (Handshake::Failed, CloseReason::HandshakeFailed),
            Err(Unbegun::Draining) => return open.ends_because(CloseReason::Draining),
        };
        self.metrics().handshake(result);
        open.ends_because(reason);
    }

    /// Serves a client that chose HTTP/2, unless it speaks something else then: the protocol below
    /// us would end that connection without a word.
    async fn serve_http2<IO>(&self, mut stream: IO, peer: IpAddr, open: OpenConnection)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.recognised(&mut stream, open).await {
            Some((spoken @ (Protocol::Http2, _), open)) => {
                self.serve_http((stream, peer), spoken, open).await;
            }
            Some((_, open)) => {
                self.app.metrics().refused_connection(Http2Error::Protocol);
                open.ends_because(CloseReason::Unreadable);
            }
            None => {}
        }
    }

    /// Waits until it is clear what is spoken; `None` if the connection has ended before.
    async fn recognised<IO: AsyncRead + Unpin>(
        &self,
        stream: &mut IO,
        open: OpenConnection,
    ) -> Option<((Protocol, Vec<u8>), OpenConnection)> {
        let patience = self.limits.header_timeout.min(self.limits.idle_timeout);
        let reason = match self.begun(patience, recognise(stream)).await {
            Ok(spoken) => return Some((spoken, open)),
            Err(Unbegun::Late) => CloseReason::HeaderTimeout,
            Err(Unbegun::Failed) => CloseReason::Done,
            Err(Unbegun::Draining) => CloseReason::Draining,
        };
        open.ends_because(reason);
        None
    }

    /// Waits for the beginning of a connection.
    async fn begun<T>(
        &self,
        patience: Duration,
        beginning: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Unbegun> {
        tokio::select! {
            begun = timeout(patience, beginning) => match begun {
                Ok(Ok(begun)) => Ok(begun),
                Ok(Err(_)) => Err(Unbegun::Failed),
                Err(_) => Err(Unbegun::Late),
            },
            // There is nothing to finish yet.
            () = self.lifecycle.draining() => Err(Unbegun::Draining),
        }
    }

    fn metrics(&self) -> &Arc<ConnectionMetrics> {
        self.app.metrics().connections()
    }

    /// Tells what presses on connections.
    pub(super) fn around(&self, is_draining: bool) -> Around {
        let free = self.slots.available_permits();
        Around {
            is_pressed: self.app.is_pressed(),
            is_filling: free < self.limits.connections / 2,
            is_full: free == 0,
            is_draining,
        }
    }

    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

/// Why a connection never began.
enum Unbegun {
    Failed,
    Late,
    Draining,
}

fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
