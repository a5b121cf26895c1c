//! From settings to a drained exit, in an order that the types enforce.
//!
//! [`Bound`] holds the sockets, [`LockedDown`] comes only from it, and only that can
//! [`LockedDown::run`]. Threads are started last, because what a process takes from itself does
//! not reach threads that already run.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::http::{App, ConnectionLimits, Lifecycle, Phase, Server, TlsAcceptorSource};
use crate::process::{LockdownError, Report, Sandbox, lock_down};

crate::settings! {
    /// The end of the service.
    pub struct ShutdownSection in "shutdown" {
        /// Longest time for requests in flight to finish after SIGTERM or SIGINT.
        pub drain: Duration = Duration::from_secs(20),
            in Duration::from_millis(100)..=Duration::from_secs(600);
    }
}

/// Sockets that are bound and not yet served.
#[derive(Debug)]
pub struct Bound {
    public: TcpListener,
    admin: TcpListener,
}

/// Why a listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting}): {source}")]
pub struct BindError {
    setting: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

impl Bound {
    /// Binds the public and the admin listener; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The address that cannot be bound, with the setting that names it.
    pub fn bind(public: SocketAddr, admin: SocketAddr) -> Result<Self, BindError> {
        Ok(Self {
            public: listen("server.listen", public)?,
            admin: listen("server.admin_listen", admin)?,
        })
    }

    /// Locks the process down.
    ///
    /// # Errors
    ///
    /// What `mode` demands and cannot be had.
    pub fn lock_down(self, mode: Sandbox) -> Result<(LockedDown, Report), LockdownError> {
        let report = lock_down(mode)?;
        Ok((LockedDown { sockets: self }, report))
    }
}

fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| BindError { setting, address, source })
}

/// A process that is ready to start threads and serve.
#[derive(Debug)]
pub struct LockedDown {
    sockets: Bound,
}

/// What is served, made once the runtime is there.
#[derive(Debug)]
pub struct Applications {
    /// The application on the public listener.
    pub public: App,
    /// The application on the admin listener.
    pub admin: App,
    /// The certificate of the public listener; `None` serves plain HTTP.
    pub tls: Option<Arc<TlsAcceptorSource>>,
    /// What connections may cost.
    pub limits: ConnectionLimits,
    /// Told when the service is ready and when it drains.
    pub lifecycle: Lifecycle,
    /// Longest time for what is in flight when the end is asked for.
    pub drain: Duration,
}

/// Why the service ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError<E> {
    /// The runtime or a socket could not be set up.
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
    /// The service's own start failed.
    #[error(transparent)]
    Start(E),
}

impl LockedDown {
    /// Starts the threads, calls `start`, serves until SIGTERM or SIGINT, drains, and calls `stop`.
    /// A second signal ends the draining at once.
    ///
    /// # Errors
    ///
    /// What kept the service from starting.
    pub fn run<T, E>(
        self,
        start: impl AsyncFnOnce() -> Result<(Applications, T), E>,
        stop: impl AsyncFnOnce(T),
    ) -> Result<(), ServeError<E>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("worker")
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let hangup = signal(SignalKind::hangup())?;
            let (applications, rest) = start().await.map_err(ServeError::Start)?;
            let reloading = tokio::spawn(reload_on(hangup, applications.tls.clone()));
            let serving = Serving::begin(self.sockets, applications)?;
            let mut asked_to_end = async || {
                tokio::select! {
                    // Both only wait for a signal; none is lost when the other comes first.
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            asked_to_end().await;
            tracing::info!("draining");
            tokio::select! {
                () = serving.end() => tracing::info!("drained"),
                // A person who asks twice does not want to wait.
                () = asked_to_end() => tracing::warn!("ended without draining"),
            }
            reloading.abort();
            stop(rest).await;
            Ok(())
        })
    }
}

/// Reads the certificate again on every SIGHUP; a broken one is refused and the old one stays.
async fn reload_on(mut hangup: Signal, tls: Option<Arc<TlsAcceptorSource>>) {
    while hangup.recv().await.is_some() {
        let Some(tls) = tls.clone() else { continue };
        match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Ok(())) => tracing::info!("the certificate was read again"),
            Ok(Err(error)) => tracing::error!(%error, "the certificate stays as it was"),
            Err(error) => tracing::error!(%error, "the certificate could not be read again"),
        }
    }
}

struct Serving {
    public: tokio::task::JoinHandle<()>,
    admin: tokio::task::JoinHandle<()>,
    lifecycle: Lifecycle,
    admin_lifecycle: Lifecycle,
    drain: Duration,
}

/// Longest time for health checks in flight once everything else has ended.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

impl Serving {
    fn begin(sockets: Bound, applications: Applications) -> Result<Self, std::io::Error> {
        let Applications { public, admin, tls, limits, lifecycle, drain } = applications;
        let addresses = (sockets.public.local_addr()?, sockets.admin.local_addr()?);
        let admin_lifecycle = Lifecycle::new();
        let public = Server {
            listener: tokio::net::TcpListener::from_std(sockets.public)?,
            tls,
            app: public,
            limits: limits.clone(),
        };
        let admin = Server {
            listener: tokio::net::TcpListener::from_std(sockets.admin)?,
            tls: None,
            app: admin,
            limits,
        };
        let serving = Self {
            public: tokio::spawn(public.run(lifecycle.clone())),
            admin: tokio::spawn(admin.run(admin_lifecycle.clone())),
            lifecycle,
            admin_lifecycle,
            drain,
        };
        serving.lifecycle.enter(Phase::Ready);
        announce(addresses);
        Ok(serving)
    }

    async fn end(self) {
        self.lifecycle.enter(Phase::Draining);
        if tokio::time::timeout(self.drain, self.public).await.is_err() {
            tracing::warn!("requests were still in flight when the time to drain was over");
        }
        self.admin_lifecycle.enter(Phase::Draining);
        tokio::time::timeout(ADMIN_DRAIN, self.admin).await.ok();
    }
}

/// Tells whoever started the process which addresses were bound, whatever the log shows.
fn announce((public, admin): (SocketAddr, SocketAddr)) {
    let line = serde_json::json!({
        "message": "listening",
        "public": public.to_string(),
        "admin": admin.to_string(),
    });
    // Nobody may be reading standard error, which is no reason not to serve.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
