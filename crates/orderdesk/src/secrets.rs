//! The service's secrets, each from its own source, all mistakes at once.

use palisade::config::{Environment, FoundSecret, KeyMaterial, SecretOrigin, Secrets};
use palisade::db::DatabaseUrl;
use palisade::secret::Secret;

/// The names of all secrets.
pub const NAMES: [&str; 5] =
    ["DATABASE_URL", "API_KEY", "API_KEY_PREVIOUS", "SECRET_KEY", "SECRET_KEY_PREVIOUS"];

/// Everything that must not be shown.
#[derive(Debug)]
pub struct ServiceSecrets {
    /// Where the database is.
    pub database_url: DatabaseUrl,
    /// The machine operator's key, and the previous one during a rotation.
    pub api_keys: Vec<Secret<String>>,
    /// The key from which the others are derived.
    pub secret_key: Secret<Vec<u8>>,
    /// What still verifies during a rotation.
    pub secret_key_previous: Option<Secret<Vec<u8>>>,
    /// Where each came from.
    pub origins: Vec<(&'static str, SecretOrigin)>,
}

/// What is wrong with the secrets: a line for each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SecretMistakes(Vec<String>);

/// Reads secrets and gathers what is wrong with them.
struct Gathering {
    sources: Secrets,
    mistakes: Vec<String>,
    origins: Vec<(&'static str, SecretOrigin)>,
}

impl ServiceSecrets {
    /// Reads every secret from its source.
    ///
    /// # Errors
    ///
    /// All that are missing, ambiguous, unreadable or weak.
    pub fn read(environment: &Environment) -> Result<Self, SecretMistakes> {
        let sources = Secrets::of(environment);
        let mut gathering = Gathering { sources, mistakes: Vec::new(), origins: Vec::new() };
        let database_url = gathering.database_url();
        let (api_key, _) = gathering.required_key("API_KEY").unzip();
        let (api_key_previous, _) = gathering.optional_key("API_KEY_PREVIOUS").unzip();
        let secret_key = gathering.required_key("SECRET_KEY");
        let secret_key_previous = gathering.optional_key("SECRET_KEY_PREVIOUS");
        let same = api_key.as_ref().zip(secret_key.as_ref());
        if same.is_some_and(|(api, (secret, _))| api.matches(secret.expose().as_bytes())) {
            gathering.mistakes.push("API_KEY and SECRET_KEY are the same: make two keys".into());
        }
        match (database_url, secret_key, gathering.mistakes.is_empty()) {
            (Some(database_url), Some((_, secret_key)), true) => Ok(Self {
                database_url,
                api_keys: api_key.into_iter().chain(api_key_previous).collect(),
                secret_key,
                secret_key_previous: secret_key_previous.map(|(_, bytes)| bytes),
                origins: gathering.origins,
            }),
            _ => Err(SecretMistakes(gathering.mistakes)),
        }
    }

    /// Reads only what a command on the database needs.
    ///
    /// # Errors
    ///
    /// What is wrong with `DATABASE_URL`.
    pub fn database_url(environment: &Environment) -> Result<DatabaseUrl, SecretMistakes> {
        let sources = Secrets::of(environment);
        let mut gathering = Gathering { sources, mistakes: Vec::new(), origins: Vec::new() };
        gathering.database_url().ok_or(SecretMistakes(gathering.mistakes))
    }
}

type Key = (Secret<String>, Secret<Vec<u8>>);

impl Gathering {
    fn database_url(&mut self) -> Option<DatabaseUrl> {
        let found = self.require("DATABASE_URL")?;
        let parsed = DatabaseUrl::parse(found.secret.expose());
        parsed.map_err(|error| self.mistakes.push(format!("DATABASE_URL: {error}"))).ok()
    }

    fn required_key(&mut self, name: &'static str) -> Option<Key> {
        let found = self.require(name)?;
        self.key(name, found.secret)
    }

    fn optional_key(&mut self, name: &'static str) -> Option<Key> {
        match self.sources.find(name) {
            Ok(found) => {
                let found = found?;
                self.origins.push((name, found.origin));
                self.key(name, found.secret)
            }
            Err(error) => {
                self.mistakes.push(error.to_string());
                None
            }
        }
    }

    fn key(&mut self, name: &str, text: Secret<String>) -> Option<Key> {
        let parsed = KeyMaterial::parse(&text);
        let bytes = parsed.map_err(|error| self.mistakes.push(format!("{name}: {error}"))).ok()?;
        Some((text, bytes))
    }

    fn require(&mut self, name: &'static str) -> Option<FoundSecret> {
        match self.sources.require(name) {
            Ok(found) => {
                self.origins.push((name, found.origin.clone()));
                Some(found)
            }
            Err(error) => {
                self.mistakes.push(error.to_string());
                None
            }
        }
    }
}
