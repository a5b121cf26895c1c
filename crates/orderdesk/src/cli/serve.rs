//! `orderdesk serve`: load, check, bind, lock down, start, serve, drain.

use std::path::Path;

use anyhow::{Context, bail};
use palisade::clock::{Clock, SystemClock};
use palisade::config::{Environment, Loaded, Origin};
use palisade::crypto::HashSettings;
use palisade::http::{InheritedSockets, ListenAddress, TlsFiles, TlsMode, self_signed};
use palisade::process::{Report, raise_descriptor_limit};
use palisade::service::{Bound, ServeError};
use palisade::telemetry;

use super::commands::load;
use super::dev::DevFolder;
use crate::config::Settings;
use crate::secrets::ServiceSecrets;
use crate::service::Parts;

pub(super) fn serve(file: Option<&Path>, is_dev: bool) -> anyhow::Result<()> {
    let mut environment = Environment::of_process();
    let mut settings = effective(load(file, &environment)?, is_dev);
    let mut log = telemetry::start("orderdesk", &settings.log);
    check(&settings, is_dev)?;
    fit_connections(&mut settings);
    let dev = if is_dev { Some(DevFolder::prepare(&mut environment)?) } else { None };
    let secrets = ServiceSecrets::read(&environment)?;
    let inherited = InheritedSockets::take(&environment);
    drop(environment);
    let folder = dev.as_ref().map_or(secrets.database_url.folder(), DevFolder::path).to_owned();
    let given = given_files(&settings)?;
    let bound = Bound::bind(&settings.server.listen, &settings.server.admin_listen, inherited)?;
    // What systemd bound is only known now.
    bound
        .reachable_from_outside()?
        .iter()
        .try_for_each(|one| check_outside(one, &settings, is_dev))?;
    let (locked, report) = bound.lock_down(settings.sandbox.mode)?;
    tell(&report);
    let start = async || -> anyhow::Result<_> {
        log.begin()?;
        // Beside the first password hash: each takes as long as all the rest of a first start.
        let is_wanted = settings.tls.mode == TlsMode::SelfSigned;
        let made = is_wanted
            .then(|| tokio::task::spawn_blocking(move || self_signed(&folder, SystemClock.now())));
        let parts = Parts::start(&settings, &secrets).await?;
        if let Some(dev) = &dev {
            dev.welcome(&parts).await?;
        }
        let tls = match made {
            Some(made) => Some(made.await?.context("[tls]")?),
            None => given,
        };
        Ok((parts.applications(&settings, tls)?, parts))
    };
    match locked.run(start, Parts::stop) {
        Ok(()) => Ok(()),
        Err(ServeError::Start(error)) => Err(error),
        Err(ServeError::Runtime(error)) => Err(error).context("cannot start"),
    }
}

/// Returns the settings, with development's own default for TLS where nothing else was said.
fn effective(loaded: Loaded<Settings>, is_dev: bool) -> Settings {
    let is_silent_on_tls = loaded.shown().iter().any(|shown| {
        shown.section == "tls" && shown.key == "mode" && shown.origin == Origin::Default
    });
    let mut settings = loaded.into_settings();
    if is_dev && is_silent_on_tls {
        settings.tls.mode = TlsMode::SelfSigned;
    }
    settings
}

/// Refuses what would put clients in danger, before anything is opened or made.
fn check(settings: &Settings, is_dev: bool) -> anyhow::Result<()> {
    HashSettings::from(&settings.passwords).check().context("[passwords]")?;
    let listeners = settings.server.listen.0.iter();
    listeners
        .filter(|address| !address.is_local())
        .try_for_each(|address| check_outside(address, settings, is_dev))
}

/// Refuses to serve other machines in a way that would put clients in danger.
fn check_outside(address: &ListenAddress, settings: &Settings, is_dev: bool) -> anyhow::Result<()> {
    if is_dev {
        bail!(
            "server.listen = \"{address}\" is not on loopback, and --dev serves nobody else: \
             leave out --dev, or listen on 127.0.0.1"
        );
    }
    match settings.tls.mode {
        TlsMode::Files => Ok(()),
        TlsMode::Off if !settings.server.trusted_proxies.is_empty() => Ok(()),
        TlsMode::Off => bail!(
            "server.listen = \"{address}\" is not on loopback, and tls.mode is \"off\": passwords \
             and tokens would cross the network in the clear. Set tls.mode = \"files\" with a \
             certificate and key, or name the proxy that terminates TLS in \
             server.trusted_proxies, or listen on 127.0.0.1"
        ),
        TlsMode::SelfSigned => bail!(
            "server.listen = \"{address}\" is not on loopback, and tls.mode is \"self-signed\", \
             which no client can trust: set tls.mode = \"files\""
        ),
    }
}

/// Returns the certificate and key that the settings name, once they are seen to be good.
fn given_files(settings: &Settings) -> anyhow::Result<Option<TlsFiles>> {
    let tls = &settings.tls;
    match (tls.mode, tls.certificate.clone(), tls.key.clone()) {
        (TlsMode::Off | TlsMode::SelfSigned, _, _) => Ok(None),
        (TlsMode::Files, Some(certificate), Some(key)) => {
            let files = TlsFiles { certificate, key };
            files.check().context("[tls]")?;
            Ok(Some(files))
        }
        (TlsMode::Files, _, _) => bail!("tls.mode = \"files\" needs tls.certificate and tls.key"),
    }
}

/// Descriptors that are not for connections: the database, the log, files that are read.
const OTHER_DESCRIPTORS: usize = 64;

/// Holds no more connections than there are descriptors for.
fn fit_connections(settings: &mut Settings) {
    let most = raise_descriptor_limit().saturating_sub(OTHER_DESCRIPTORS).max(1);
    let wanted = settings.limits.connections;
    if wanted > most {
        tracing::warn!(wanted, most, "fewer connections than limits.connections: raise ulimit -n");
        settings.limits.connections = most;
    }
}

fn tell(report: &Report) {
    tracing::info!(%report, "locked down");
    if report.is_root {
        tracing::warn!("running as root, which nothing here needs: use an account of its own");
    }
}
