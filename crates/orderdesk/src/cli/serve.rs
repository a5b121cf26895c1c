//! `orderdesk serve`: load, check, read secrets, and hand the service to its assembly.

use std::path::Path;

use palisade::check::{Refused, mistakes};
use palisade::config::{Environment, Loaded, Origin, load};
use palisade::crypto::HashSettings;
use palisade::http::{InheritedSockets, TlsMode};
use palisade::process::{Needs, memory_limit};
use palisade::service::{Prepared, Reach, keep_hangups};
use palisade::telemetry;

use super::dev::DevFolder;
use crate::check::of_settings;
use crate::config::Settings;
use crate::secrets::ServiceSecrets;
use crate::service::{LOG_FIELDS, PROGRAM, Parts};

/// Where a self-signed certificate is kept if there is no folder of a database.
const CERTIFICATES: &str = "orderdesk-data";

/// Why development listens on loopback only, as the end of a sentence.
const DEV_ONLY: &str = "--dev serves nobody else: leave out --dev, or listen on 127.0.0.1";

pub(super) fn serve(file: Option<&Path>, is_dev: bool) -> anyhow::Result<()> {
    keep_hangups()?;
    let mut environment = Environment::of_process();
    // Development makes the secrets that are missing, later.
    let examined = (!is_dev).then(|| ServiceSecrets::examine(&environment));
    let mut found = examined.as_ref().map(|secrets| secrets.findings.clone()).unwrap_or_default();
    let mut loaded = match load(file, &environment) {
        Ok(loaded) => effective(loaded, is_dev),
        Err(wrong) => {
            found.splice(0..0, mistakes(&wrong));
            return Ok(Refused::by(found)?);
        }
    };
    // Counted now: a process that is locked down is not told how much its container allows it.
    let passwords_section = &mut loaded.settings_mut().passwords;
    let hashing = HashSettings::from(&*passwords_section);
    if passwords_section.workers == 0 {
        passwords_section.workers = hashing.within(memory_limit()).workers;
    }
    let settings = loaded.settings();
    telemetry::keep(LOG_FIELDS);
    let reach = if is_dev { Reach::ThisMachine(DEV_ONLY) } else { Reach::AsSet };
    let prepared = Prepared::checked(PROGRAM, &loaded, reach, found, of_settings)?;
    let dev = if is_dev { Some(DevFolder::prepare(&mut environment)?) } else { None };
    let examined = examined.unwrap_or_else(|| ServiceSecrets::examine(&environment));
    let secrets = examined.complete()?;
    let inherited = InheritedSockets::take(&environment);
    drop(environment);
    let needs = needs(file, &secrets);
    let of_database = secrets.database_url.folder().unwrap_or(Path::new(CERTIFICATES));
    let folder = dev.as_ref().map_or(of_database, DevFolder::path);
    prepared.needs(needs).run(inherited, folder, async |metrics| {
        let parts = Parts::start(settings, &secrets, metrics).await?;
        if let Some(dev) = &dev {
            dev.welcome(&parts).await?;
        }
        Ok(parts.offer(settings, metrics)?)
    })?;
    Ok(())
}

/// Returns what the service needs once it is locked down: its database, and to read again what its
/// settings and secrets came from.
fn needs(file: Option<&Path>, secrets: &ServiceSecrets) -> Needs {
    let written = secrets.database_url.needs();
    let files = secrets.origins.iter().filter_map(|(_, origin)| origin.file());
    file.into_iter().chain(files).fold(written, Needs::rereads)
}

/// Returns the settings, with development's own default for TLS where nothing else was said.
fn effective(mut loaded: Loaded<Settings>, is_dev: bool) -> Loaded<Settings> {
    let is_silent_on_tls = loaded.origin("tls", "mode") == Some(&Origin::Default);
    if is_dev && is_silent_on_tls {
        loaded.settings_mut().tls.mode = TlsMode::SelfSigned;
    }
    loaded
}
