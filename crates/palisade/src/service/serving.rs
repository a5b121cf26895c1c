//! Threads, signals, draining: from a locked-down process to its exit.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::hangup::hangups;
use super::{Bound, Reloading, ShutdownSection};
use crate::clock::SystemClock;
use crate::config::Live;
use crate::http::{
    App, ConnectionLimits, Lifecycle, ListenAddress, Phase, Server, Socket, TlsAcceptorSource,
};
use crate::secret::redacted;

/// A process that is ready to start threads and serve.
#[derive(Debug)]
pub struct LockedDown {
    sockets: Bound,
    cores: Option<NonZeroUsize>,
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
    /// How long the end may take, asked when it comes.
    pub shutdown: Live<ShutdownSection>,
    /// What SIGHUP has read again.
    pub reloading: Reloading,
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
    /// Takes over the sockets of a process that was locked down just now, and how many cores it
    /// may use, as far as that was told before.
    pub(super) fn new(sockets: Bound, cores: Option<NonZeroUsize>) -> Self {
        Self { sockets, cores }
    }

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
        let hangup = hangups()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.cores.map_or(1, NonZeroUsize::get))
            .thread_name("worker")
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(async {
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let (applications, rest) = start().await.map_err(ServeError::Start)?;
            let (serving, reloading) = Serving::begin(self.sockets, applications)?;
            // Its tasks end with it.
            let renewing = follow(reloading, hangup, serving.tls.clone());
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
            drop(renewing);
            stop(rest).await;
            Ok(())
        });
        runtime.shutdown_timeout(LAST_BLOCKING);
        outcome
    }
}

/// Starts what has files read again: on SIGHUP, and the certificate also when it changes.
fn follow(
    reloading: Reloading,
    hangup: Signal,
    tls: Option<Arc<TlsAcceptorSource>>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let asked = Arc::new(Notify::new());
    if let Some(tls) = tls {
        tasks.spawn(tls.keep_fresh(Arc::clone(&asked), reloading.notices(), SystemClock));
    }
    tasks.spawn(reloading.follow(hangup, asked));
    tasks
}

/// Longest time for what blocks a thread after the end, such as a look at the certificate's files
/// on a file server that hangs.
const LAST_BLOCKING: Duration = Duration::from_secs(1);

struct Serving {
    public: JoinHandle<std::io::Result<()>>,
    admin: JoinHandle<std::io::Result<()>>,
    lifecycle: Lifecycle,
    admin_lifecycle: Lifecycle,
    tls: Option<Arc<TlsAcceptorSource>>,
    shutdown: Live<ShutdownSection>,
}

/// Longest time for health checks in flight once everything else has ended.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

impl Serving {
    fn begin(
        sockets: Bound,
        applications: Applications,
    ) -> Result<(Self, Reloading), std::io::Error> {
        let Applications { public, admin, tls, limits, lifecycle, shutdown, reloading } =
            applications;
        let addresses: Vec<_> =
            sockets.public.iter().map(Socket::address).collect::<Result<_, _>>()?;
        let admin_address = sockets.admin.address()?;
        let admin_lifecycle = Lifecycle::new();
        let (sockets, admin_socket) = (sockets.public, sockets.admin);
        let public = Server { sockets, tls: tls.clone(), app: public, limits: limits.clone() };
        let admin = Server { sockets: vec![admin_socket], tls: None, app: admin, limits };
        let serving = Self {
            public: tokio::spawn(public.run(lifecycle.clone())),
            admin: tokio::spawn(admin.run(admin_lifecycle.clone())),
            lifecycle,
            admin_lifecycle,
            tls,
            shutdown,
        };
        serving.lifecycle.enter(Phase::Ready);
        announce(&addresses, &admin_address);
        Ok((serving, reloading))
    }

    async fn end(self) {
        let ShutdownSection { drain, grace } = *self.shutdown.now();
        if !grace.is_zero() {
            self.lifecycle.enter(Phase::Leaving);
            tokio::time::sleep(grace).await;
        }
        self.lifecycle.enter(Phase::Draining);
        if tokio::time::timeout(drain, self.public).await.is_err() {
            tracing::warn!("requests were still in flight when the time to drain was over");
        }
        self.admin_lifecycle.enter(Phase::Draining);
        tokio::time::timeout(ADMIN_DRAIN, self.admin).await.ok();
    }
}

/// Tells whoever started the process which addresses were bound, whatever the log shows.
fn announce(public: &[ListenAddress], admin: &ListenAddress) {
    let all: Vec<String> = public.iter().map(ListenAddress::to_string).collect();
    let line = serde_json::json!({
        "message": "listening",
        "public": all.first(),
        "admin": admin.to_string(),
        "listeners": all,
    });
    let line = line.to_string();
    // Nobody may be reading standard error, which is no reason not to serve.
    writeln!(std::io::stderr().lock(), "{}", redacted(&line)).ok();
}
