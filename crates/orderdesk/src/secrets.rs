//! The service's secrets, each from its own source, all mistakes at once.

use palisade::check::{Finding, Refused, SecretReader};
use palisade::config::{Environment, SecretOrigin, Secrets};
use palisade::db::DatabaseUrl;
use palisade::secret::Secret;

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

/// The secret key, and the one before it during a rotation.
pub type SecretKeys = (Secret<Vec<u8>>, Option<Secret<Vec<u8>>>);

/// Secrets as far as they are there, and what is wrong with them.
#[derive(Debug)]
pub struct Examined {
    /// All of them, if what has to be there is.
    pub secrets: Option<ServiceSecrets>,
    /// Where the database is, whatever else is wrong.
    pub database_url: Option<DatabaseUrl>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Where each secret that was found came from.
    pub origins: Vec<(&'static str, SecretOrigin)>,
}

impl Examined {
    /// Returns the secrets, if nothing about them stops the start.
    ///
    /// # Errors
    ///
    /// All that does.
    pub fn complete(self) -> Result<ServiceSecrets, Refused> {
        Refused::unless_clear(self.secrets, self.findings)
    }
}

impl ServiceSecrets {
    /// Reads every secret from its source, and judges each and all together.
    pub fn examine(environment: &Environment) -> Examined {
        let mut reader = SecretReader::new(Secrets::of(environment));
        let database_url = reader.database_url("DATABASE_URL");
        let api_key = reader.key("API_KEY");
        let api_key_previous = reader.optional_key("API_KEY_PREVIOUS");
        let secret_key = reader.key("SECRET_KEY");
        let secret_key_previous = reader.optional_key("SECRET_KEY_PREVIOUS");
        let (findings, origins) = reader.finish();
        let required = database_url.clone().zip(api_key).zip(secret_key);
        let secrets = required.map(|((database_url, api_key), secret_key)| Self {
            database_url,
            api_keys: [Some(api_key), api_key_previous]
                .into_iter()
                .flatten()
                .map(|(text, _)| text)
                .collect(),
            secret_key: secret_key.1,
            secret_key_previous: secret_key_previous.map(|(_, bytes)| bytes),
            origins: origins.clone(),
        });
        Examined { secrets, database_url, findings, origins }
    }

    /// Reads only what opens and judges what the service has signed: the key and the one before it.
    ///
    /// # Errors
    ///
    /// What is wrong with `SECRET_KEY` or `SECRET_KEY_PREVIOUS`.
    pub fn secret_keys(environment: &Environment) -> Result<SecretKeys, Refused> {
        let mut reader = SecretReader::new(Secrets::of(environment));
        let current = reader.key("SECRET_KEY").map(|(_, bytes)| bytes);
        let previous = reader.optional_key("SECRET_KEY_PREVIOUS").map(|(_, bytes)| bytes);
        Ok((Refused::unless_clear(current, reader.finish().0)?, previous))
    }

    /// Reads only what a command on the database needs.
    ///
    /// # Errors
    ///
    /// What is wrong with `DATABASE_URL`.
    pub fn database_url(environment: &Environment) -> Result<DatabaseUrl, Refused> {
        let mut reader = SecretReader::new(Secrets::of(environment));
        let url = reader.database_url("DATABASE_URL");
        Refused::unless_clear(url, reader.finish().0)
    }
}
