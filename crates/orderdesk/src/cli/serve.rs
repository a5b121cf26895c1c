//! `orderdesk serve`: load, check, read secrets, and hand the service to its assembly.

use std::path::Path;

use anyhow::Context;
use palisade::config::{Environment, Loaded, Origin};
use palisade::crypto::HashSettings;
use palisade::http::{InheritedSockets, TlsMode};
use palisade::service::{Prepared, Reach, ServiceSettings};
use palisade::telemetry;

use super::commands::load;
use super::dev::DevFolder;
use crate::config::Settings;
use crate::secrets::ServiceSecrets;
use crate::service::{LOG_FIELDS, PROGRAM, Parts};

/// Why development listens on loopback only, as the end of a sentence.
const DEV_ONLY: &str = "--dev serves nobody else: leave out --dev, or listen on 127.0.0.1";

pub(super) fn serve(file: Option<&Path>, is_dev: bool) -> anyhow::Result<()> {
    let mut environment = Environment::of_process();
    let settings = effective(load(file, &environment)?, is_dev);
    HashSettings::from(&settings.passwords).check().context("[passwords]")?;
    telemetry::keep(LOG_FIELDS);
    let reach = if is_dev { Reach::ThisMachine(DEV_ONLY) } else { Reach::AsSet };
    let prepared = Prepared::new(PROGRAM, settings.basics(), reach)?;
    let dev = if is_dev { Some(DevFolder::prepare(&mut environment)?) } else { None };
    let secrets = ServiceSecrets::read(&environment)?;
    let inherited = InheritedSockets::take(&environment);
    drop(environment);
    let folder = dev.as_ref().map_or(secrets.database_url.folder(), DevFolder::path);
    prepared.run(inherited, folder, async |_| {
        let parts = Parts::start(&settings, &secrets).await?;
        if let Some(dev) = &dev {
            dev.welcome(&parts).await?;
        }
        Ok(parts.offer(&settings))
    })?;
    Ok(())
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
