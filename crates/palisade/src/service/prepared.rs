//! The assembly: listeners, lockdown, log, TLS, guard, metrics and health around what a service
//! offers.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::offer::{Ending, Failure, Offer};
use super::{
    Applications, Basics, BindError, Bound, Program, Reach, Reloading, ServeError, ServiceSettings,
};
use crate::check::{Checked, Finding, Refused, revealing, shown};
use crate::clock::{Clock, SystemClock};
use crate::config::{Loaded, Mistake, Reloader, Throttle};
use crate::http::health::{self, Health, Notices};
use crate::http::{
    App, InheritedSockets, Lifecycle, LimitsSection, TlsAcceptorSource, TlsError, TlsFiles,
    TlsMode, TlsSection, make_certificate_folder, self_signed,
};
use crate::process::{
    self, Account, LockdownError, Measure, Needs, Report, Sandbox, State, raise_descriptor_limit,
};
use crate::telemetry::metrics::{MetricError, Metrics};
use crate::telemetry::{self, Log};

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The check has found what stops the start.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// `tls.mode` asks for files that the settings do not name.
    #[error("tls.mode = \"files\" needs tls.certificate and tls.key")]
    FilesUnnamed,
    /// TLS cannot be served.
    #[error("[tls]: {0}")]
    Tls(#[from] TlsError),
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The process cannot be locked down as asked.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The operating system refuses threads, sockets or signals.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// Two metrics have one name.
    #[error(transparent)]
    Metrics(#[from] MetricError),
    /// The service's own start failed.
    #[error(transparent)]
    Service(Failure),
}

/// A service whose settings were judged: its log gathers events, and nothing is open yet.
///
/// Between [`new`](Self::new) and [`run`](Self::run) a service reads its secrets. It must not
/// start threads there: they would keep what the process gives up in `run`.
///
/// ```no_run
/// use palisade::config::{Environment, load};
/// use palisade::http::{Api, InheritedSockets};
/// use palisade::service::{Offer, Prepared, Program, Reach};
///
/// palisade::service_settings! {
///     /// Everything that can be set.
///     pub struct Settings in "GREETER" {}
/// }
///
/// fn serve() -> Result<(), Box<dyn std::error::Error>> {
///     let program = Program { name: "greeter", version: "1.0.0", about: "It greets." };
///     let environment = Environment::of_process();
///     let loaded = load::<Settings>(None, &environment)?;
///     let prepared = Prepared::new(program, &loaded, Reach::AsSet)?;
///     let inherited = InheritedSockets::take(&environment);
///     let folder = "greeter-data".as_ref();
///     prepared.run(inherited, folder, async |_metrics| Ok(Offer::new(Api::new(), ())))?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Prepared {
    program: Program,
    basics: Basics,
    reloader: Reloader,
    reach: Reach,
    account: Option<Account>,
    needs: Needs,
    log: Log,
    /// Nothing is bound without it.
    checked: Checked,
    /// Errors that do not stop the start, and that nobody has silenced.
    weak: Vec<Finding>,
}

impl Prepared {
    /// Starts the log, judges addresses and certificate, and looks the account up; holds no more
    /// connections than there are descriptors for.
    ///
    /// # Errors
    ///
    /// [`StartError::Refused`], with everything that stops the start; [`StartError::Lockdown`].
    pub fn new<C: ServiceSettings>(
        program: Program,
        loaded: &Loaded<C>,
        reach: Reach,
    ) -> Result<Self, StartError> {
        Self::checked(program, loaded, reach, Vec::new(), |_| Vec::new())
    }

    /// As [`new`](Self::new), but refuses for what the service found in its own secrets, and for
    /// what `judge` finds in the settings, so that all of it is told at once. Settings that are
    /// read again are judged as well. Findings that do not stop a start are left out.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn checked<C: ServiceSettings>(
        program: Program,
        loaded: &Loaded<C>,
        reach: Reach,
        mut own: Vec<Finding>,
        judge: fn(&C) -> Vec<Finding>,
    ) -> Result<Self, StartError> {
        let mut basics = loaded.settings().basics();
        let log = telemetry::start(program.name, &basics.log.now());
        basics.log.on_change(telemetry::apply);
        own.extend(judge(loaded.settings()));
        own.extend(revealing(loaded.shown()));
        let deployment = basics.deployment(reach, SystemClock.now());
        let mut weak = deployment.findings();
        weak.extend(shown(loaded.shown(), &C::outline()));
        weak.retain(|finding| finding.weighs_and_is_let_pass(&basics.check));
        let checked = deployment.clear(own)?;
        fit_connections(&mut basics.limits);
        let account = basics.sandbox.user.as_ref().map(Account::find).transpose();
        let account = account.map_err(LockdownError::from)?;
        // What would not start is not taken while it runs either.
        let reloader = loaded.reloader_judged(move |fresh| {
            let mut own = judge(fresh.settings());
            own.extend(revealing(fresh.shown()));
            would_not_start(&fresh.settings().basics(), reach, own)
        });
        let needs = Needs::new();
        Ok(Self { program, basics, reloader, reach, account, needs, log, checked, weak })
    }

    /// Says what the service itself needs once it is locked down: its database, the files of its
    /// settings and secrets, the ports that it connects to. The files of `[tls]` are known already.
    #[must_use]
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = self.needs.and(needs);
        self
    }

    /// Returns how clients reach the service from outside, if the settings say so.
    pub(super) fn public_url(&self) -> Option<String> {
        self.basics.server.public_url.clone()
    }

    /// Binds, locks the process down, starts threads, and serves what `build` offers until SIGTERM
    /// or SIGINT; then drains. A self-signed certificate, if the settings want one, is made in the
    /// folder `certificates`.
    ///
    /// Everything that can be judged of settings, secrets and surroundings is judged before this is
    /// called: here the process begins to give up what judging takes.
    ///
    /// # Errors
    ///
    /// What kept the service from starting.
    ///
    /// # Panics
    ///
    /// If two routes of the offer are the same, or a path is not one.
    pub fn run<S: Clone + Send + Sync + 'static>(
        self,
        inherited: InheritedSockets,
        certificates: &Path,
        build: impl AsyncFnOnce(&Metrics) -> Result<Offer<S>, Failure>,
    ) -> Result<(), StartError> {
        let Self { program, basics, reloader, reach, account, needs, mut log, checked, weak } =
            self;
        let Checked { .. } = checked;
        let given = given_files(&basics.tls)?;
        let bound = Bound::bind(&basics.server.listen, &basics.server.admin_listen, inherited)?;
        // What systemd bound is only known now.
        let deployment = basics.deployment(reach, SystemClock.now());
        Refused::by(deployment.exposed(&bound.reachable_from_outside()?))?;
        let metrics = Metrics::new();
        process::metrics::register(&metrics, program.name, program.version)?;
        let needs = needs.and(needs_of(&basics.tls, given.as_ref(), certificates)?);
        let (locked_down, report) =
            bound.lock_down(basics.sandbox.mode, account.as_ref(), needs)?;
        tell(&report);
        for finding in &weak {
            let (code, detail) = (finding.rule().id, finding.what());
            tracing::warn!(%code, %detail, "the deployment check would not let this pass");
        }
        process::metrics::register_lockdown(&metrics, &report)?;
        let start = async || {
            log.begin()?;
            let making = self_signing(&basics.tls, certificates);
            let offer = build(&metrics).await.map_err(StartError::Service)?;
            let tls = match making {
                Some(making) => Some(making.await.map_err(std::io::Error::from)??),
                None => given,
            };
            applications(&basics, reloader, tls, offer, metrics)
        };
        locked_down.run(start, async |ending| ending.await).map_err(|error| match error {
            ServeError::Start(error) => error,
            ServeError::Runtime(error) => StartError::System(error),
        })
    }
}

/// Returns what serving the certificate takes: reading renewed files, or making some in a folder
/// that is made now, because nothing can be made beside it later.
fn needs_of(
    tls: &TlsSection,
    given: Option<&TlsFiles>,
    certificates: &Path,
) -> Result<Needs, TlsError> {
    if let Some(TlsFiles { certificate, key }) = given {
        return Ok(Needs::new().reads(certificate).reads(key));
    }
    if tls.mode != TlsMode::SelfSigned {
        return Ok(Needs::new());
    }
    make_certificate_folder(certificates)?;
    Ok(Needs::new().writes(certificates))
}

/// Returns why a service with these settings would not start again: for its addresses, or for what
/// it found in them itself. Of files it is only judged whether they are there, and the account not
/// at all: what the process does not have yet is out of its reach.
fn would_not_start(basics: &Basics, reach: Reach, own: Vec<Finding>) -> Vec<Mistake> {
    let deployment = basics.deployment(reach, SystemClock.now());
    let mut findings = deployment.exposed(&basics.server.listen.0);
    findings.extend(deployment.without_files());
    findings.extend(own);
    findings.iter().filter(|finding| finding.rule().stops_start).map(Mistake::of_all).collect()
}

/// Makes the certificate, if the settings want one of our own, beside the service's own start,
/// which may take as long.
fn self_signing(tls: &TlsSection, folder: &Path) -> Option<JoinHandle<Result<TlsFiles, TlsError>>> {
    let folder = folder.to_owned();
    let make = move || self_signed(&folder, SystemClock.now());
    (tls.mode == TlsMode::SelfSigned).then(|| tokio::task::spawn_blocking(make))
}

/// Puts the guard around what is offered, and health and metrics beside it.
fn applications<S: Clone + Send + Sync + 'static>(
    basics: &Basics,
    reloader: Reloader,
    tls: Option<TlsFiles>,
    offer: Offer<S>,
    metrics: Metrics,
) -> Result<(Applications, Ending), StartError> {
    let Offer { api, state, readiness, ending } = offer;
    let limits = &basics.limits;
    let oldest = basics.tls.min_version;
    let tls = tls.map(|files| TlsAcceptorSource::open(files, oldest)).transpose()?.map(Arc::new);
    count_the_rest(&metrics, tls.as_ref())?;
    let lifecycle = Lifecycle::new();
    let mut edge = limits.public_edge(&basics.server, Throttle::Off);
    edge.per_ip = Arc::clone(&basics.per_ip);
    edge.per_account = Arc::clone(&basics.per_account);
    edge.strict_transport = basics.tls.mode == TlsMode::Files;
    let public = App::new(api, &state, edge, lifecycle.clone(), &metrics)?;
    let notices = Notices::default();
    let reloading = Reloading::new(reloader, notices.clone(), &metrics)?;
    let health =
        Health { lifecycle: lifecycle.clone(), readiness, notices, metrics: metrics.clone() };
    let edge = limits.admin_edge();
    let admin = App::new(health::routes(), &health, edge, lifecycle.clone(), &metrics)?;
    let applications = Applications {
        public,
        admin,
        tls,
        limits: limits.connections(),
        lifecycle,
        shutdown: basics.shutdown.clone(),
        reloading,
    };
    Ok((applications, ending))
}

/// Counts what belongs to no listener: lost lines of the log, and the certificate.
fn count_the_rest(
    metrics: &Metrics,
    tls: Option<&Arc<TlsAcceptorSource>>,
) -> Result<(), MetricError> {
    let exact = |number: u64| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    metrics.counter_at_scrape(
        "palisade_log_lines_dropped_total",
        "Lines of the log that nobody read in time.",
        &[],
        move || Some(exact(telemetry::dropped_lines())),
    )?;
    let Some(tls) = tls else { return Ok(()) };
    let source = Arc::clone(tls);
    metrics.gauge_at_scrape(
        "palisade_tls_certificate_not_after_timestamp_seconds",
        "When the certificate that is served expires.",
        &[],
        move || Some(source.validity().not_after.as_secs_f64()),
    )?;
    let source = Arc::clone(tls);
    metrics.counter_at_scrape(
        "palisade_tls_reload_failures_total",
        "Certificate files that were changed and could not be used.",
        &[],
        move || Some(exact(source.failed_reloads())),
    )
}

/// Returns the certificate and key that the settings name, once they are seen to be good.
fn given_files(tls: &TlsSection) -> Result<Option<TlsFiles>, StartError> {
    match (tls.mode, tls.certificate.clone(), tls.key.clone()) {
        (TlsMode::Off | TlsMode::SelfSigned, _, _) => Ok(None),
        (TlsMode::Files, Some(certificate), Some(key)) => {
            let files = TlsFiles { certificate, key };
            files.check()?;
            Ok(Some(files))
        }
        (TlsMode::Files, _, _) => Err(StartError::FilesUnnamed),
    }
}

/// Descriptors that are not for connections: a database, the log, files that are read.
const OTHER_DESCRIPTORS: usize = 64;

/// Holds no more connections than there are descriptors for.
fn fit_connections(limits: &mut LimitsSection) {
    let most = raise_descriptor_limit().saturating_sub(OTHER_DESCRIPTORS).max(1);
    let wanted = limits.connections;
    if wanted > most {
        tracing::warn!(wanted, most, "fewer connections than limits.connections: raise ulimit -n");
        limits.connections = most;
    }
}

fn tell(report: &Report) {
    let mode = report.mode().to_string();
    let (taken, missing) = (report.listed(State::InEffect), report.listed(State::Missing));
    if report.mode() == Sandbox::Off {
        tracing::warn!(mode, "not locked down: sandbox.mode is \"off\"");
    } else if missing.is_empty() {
        tracing::info!(mode, taken, "locked down");
    } else {
        tracing::warn!(mode, taken, missing, "locked down in part");
    }
    if !report.is_in_effect(Measure::User) {
        tracing::warn!("running as root, which nothing here needs: use an account of its own");
    }
}
