//! What the service adds to the deployment check: its secrets, its database, its own settings.

use std::path::Path;

use palisade::check::{Finding, Tag, database, passwords, sessions};
use palisade::config::Environment;
use palisade::service::OwnPart;

use crate::config::{Settings, SignUpMode};
use crate::secrets::{Examined, ServiceSecrets};
use crate::service::SCHEMAS;

palisade::rules! {
    /// What only this service has.
    pub RULES;

    /// Strangers may become customers.
    OPEN_SIGN_UP = "ODK101", Note, Settings {
        title: "Anybody may open an account.",
        why: "Strangers fill the database up to rate.sign_up, and learn which usernames are taken.",
        mend: "Set accounts.sign_up = \"closed\" where operators add the customers.",
    }
}

/// Judges the service's secrets, and with its settings the rest that is its own.
pub fn own_part(settings: Option<&Settings>, environment: &Environment) -> OwnPart {
    let Examined { database_url, mut findings, origins, .. } = ServiceSecrets::examine(environment);
    let mut tags = vec![Tag::Secrets];
    if let Some(settings) = settings {
        findings.extend(of_settings(settings));
        if let Some(url) = &database_url {
            findings.extend(database(url, &settings.database, &SCHEMAS));
            tags.push(Tag::Database);
        }
    }
    let database = database_url.map(|url| url.path().to_owned());
    let files = origins.iter().filter_map(|(_, origin)| origin.file());
    let secrets = files.map(Path::to_owned).collect();
    OwnPart { findings, tags, secrets, database }
}

fn of_settings(settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<_> = passwords(&settings.passwords).into_iter().collect();
    findings.extend(sessions(&settings.sessions));
    if settings.accounts.sign_up == SignUpMode::Open {
        findings.push(Finding::new(&OPEN_SIGN_UP, "accounts.sign_up = \"open\""));
    }
    findings
}
