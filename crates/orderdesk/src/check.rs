//! What the service adds to the deployment check: its secrets, its database, its own settings.

use std::path::Path;

use palisade::check::{Finding, Tag, database, passwords, sessions};
use palisade::config::Environment;
use palisade::service::{OwnChecks, OwnPart};

use crate::config::{SecondFactorFor, Settings, SignUpMode};
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
    /// A password alone opens everything.
    NO_SECOND_FACTOR = "ODK102", Note, Settings {
        title: "Operators may sign in without a second factor.",
        why: "Whoever learns one operator's password sees and changes everything.",
        mend: "Have every operator set one up (POST /users/me/totp), then set \
               accounts.require_second_factor = \"operators\".",
    }
}

/// Returns what the deployment check judges of this service alone.
pub fn own_checks() -> OwnChecks<Settings> {
    OwnChecks::new(RULES, own_part).of_settings(of_settings)
}

/// Judges the secrets, and with the settings the database.
fn own_part(settings: Option<&Settings>, environment: &Environment) -> OwnPart {
    let Examined { database_url, mut findings, origins, .. } = ServiceSecrets::examine(environment);
    let mut tags = vec![Tag::Secrets];
    if let Some((settings, url)) = settings.zip(database_url.as_ref()) {
        findings.extend(database(url, &settings.database, &SCHEMAS));
        tags.push(Tag::Database);
    }
    let database = database_url.and_then(|url| url.path().map(Path::to_owned));
    let files = origins.iter().filter_map(|(_, origin)| origin.file());
    let secrets = files.map(Path::to_owned).collect();
    OwnPart { findings, tags, secrets, database }
}

/// Judges the settings by themselves.
pub fn of_settings(settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<_> = passwords(&settings.passwords).into_iter().collect();
    findings.extend(sessions(&settings.sessions));
    if settings.accounts.sign_up == SignUpMode::Open {
        findings.push(Finding::new(&OPEN_SIGN_UP, "accounts.sign_up = \"open\""));
    }
    if settings.accounts.require_second_factor == SecondFactorFor::Nobody {
        let what = "accounts.require_second_factor = \"none\"";
        findings.push(Finding::new(&NO_SECOND_FACTOR, what));
    }
    findings
}
