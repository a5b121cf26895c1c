//! Secrets and where they come from: a credentials directory, a named file, a variable.
//!
//! Each secret has exactly one source: two are refused, because nobody could say which one is
//! in force. No message here ever holds a secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Environment;
use super::known_secrets::keep_out_of_the_log;
use super::secret_file::{Access, FileFault, TextFault};
use super::sources::{CredentialsDirectory, NamedFile, Variable};
use crate::secret::{Secret, Unregistered};

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretOrigin {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// Another program that keeps secrets, by its own name for the place.
    Manager(String),
}

impl SecretOrigin {
    /// Returns the file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Variable(_) | Self::Manager(_) => None,
        }
    }
}

impl fmt::Display for SecretOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "the file {}", path.display()),
            Self::Variable(name) => write!(out, "the variable {name}"),
            Self::Manager(place) => out.write_str(place),
        }
    }
}

/// A secret and its origin.
#[derive(Debug, Clone)]
pub struct FoundSecret {
    /// The secret.
    pub secret: Secret<String>,
    /// Where it was found.
    pub origin: SecretOrigin,
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No source has it.
    #[error(
        "the secret {0} is missing: give it as the file $CREDENTIALS_DIRECTORY/{0}, as a file \
         named by the variable {0}_FILE, or as the variable {0}"
    )]
    Missing(String),
    /// Two sources have it.
    #[error("the secret {name} is given twice, by {first} and by {second}: remove one of them")]
    Twice {
        /// The secret's name.
        name: String,
        /// One source.
        first: SecretOrigin,
        /// Another one.
        second: SecretOrigin,
    },
    /// Its file is not acceptable.
    #[error("the secret {name} in the file {}: {fault}", shown(.path))]
    File {
        /// The secret's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// The variable `<NAME>_FILE` names a file that is not there.
    #[error("the secret {name}: {name}_FILE names {}, and there is no such file", shown(.path))]
    NoSuchFile {
        /// The secret's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Its variable is not acceptable.
    #[error("the secret {name} in the variable {name}: {fault}")]
    Variable {
        /// The secret's name.
        name: String,
        /// What is wrong with it.
        fault: TextFault,
    },
    /// There are too many secrets to keep all of them out of the log.
    #[error("the secret {name}: {fault}")]
    TooMany {
        /// The secret's name.
        name: String,
        /// How many there may be.
        fault: Unregistered,
    },
    /// The name cannot be the name of a secret.
    #[error("{0:?} is not the name of a secret: those are made of A to Z, 0 to 9 and _")]
    Name(String),
    /// Another program that keeps secrets failed.
    #[error("the secret {name}: {message}")]
    Manager {
        /// The secret's name.
        name: String,
        /// Its words, which must not hold the secret.
        message: String,
    },
}

/// Longest last part of a path that is shown; a key has at least 32 random bytes.
const LONGEST_SHOWN: usize = 31;

/// Returns the path as a message can show it: not where the variable may hold the secret itself,
/// which is how `NAME_FILE` and `NAME` are mixed up.
fn shown(path: &Path) -> String {
    let is_short = path.file_name().is_some_and(|name| name.len() <= LONGEST_SHOWN);
    let is_path = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    if is_short && is_path {
        return path.display().to_string();
    }
    "something that is no absolute path, or has a long name, and is not shown because it may be \
     the secret itself"
        .to_owned()
}

/// Something that may have a secret.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// Returns every place of this source that has the secret `name`; none is no error.
    ///
    /// # Errors
    ///
    /// When there is a secret but it cannot be accepted.
    fn find(&self, name: &str) -> Result<Vec<FoundSecret>, SecretError>;
}

/// All the sources of a service.
///
/// What is found is [registered](crate::secret::register) with the redactor, and with it a password inside a URL:
/// neither is ever in a line of the log. Secrets of less than 8 bytes cannot be kept out.
///
/// ```
/// use palisade::config::{Environment, Secrets};
///
/// let environment = Environment::from_pairs([("API_KEY", "s3cr3t")]);
/// let secrets = Secrets::of(&environment);
/// assert_eq!(secrets.require("API_KEY").unwrap().secret.expose(), "s3cr3t");
/// assert!(secrets.find("SECRET_KEY").unwrap().is_none());
/// assert!(secrets.require("SECRET_KEY").unwrap_err().to_string().contains("SECRET_KEY_FILE"));
/// ```
#[derive(Debug)]
pub struct Secrets(Vec<Box<dyn SecretSource>>);

impl Secrets {
    /// Looks at the credentials directory, at named files and at variables.
    ///
    /// A named file must be closed to all but its owner; one in `$CREDENTIALS_DIRECTORY` may be
    /// readable to its group, as systemd makes it.
    pub fn of(environment: &Environment) -> Self {
        Self::with_access(environment, Access::GroupReads, Access::OwnerOnly)
    }

    /// As [`of`](Self::of), but accepts files that everybody may read (never: write), which is
    /// how Kubernetes mounts secrets by default. Everybody in the same container can read them.
    pub fn danger_allow_secret_file_mode(environment: &Environment) -> Self {
        Self::with_access(environment, Access::EverybodyReads, Access::EverybodyReads)
    }

    /// Asks `source` too.
    #[must_use]
    pub fn and(mut self, source: impl SecretSource + 'static) -> Self {
        self.0.push(Box::new(source));
        self
    }

    /// Returns the secret `name`, or `None` if no source has it. It is registered with the
    /// redactor even if it is refused because there is another.
    ///
    /// # Errors
    ///
    /// [`SecretError`], but not [`SecretError::Missing`].
    pub fn find(&self, name: &str) -> Result<Option<FoundSecret>, SecretError> {
        let is_allowed =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_allowed) {
            return Err(SecretError::Name(name.to_owned()));
        }
        let mut only: Result<Option<FoundSecret>, SecretError> = Ok(None);
        // Every source is read, also behind a mistake: what is there must not be shown by others.
        for source in &self.0 {
            match source.find(name) {
                Ok(all) => {
                    for found in all {
                        keep_out_of_the_log(name, &found.secret)?;
                        only = only.and_then(|before| one_of(name, before, found));
                    }
                }
                Err(error) => only = only.and(Err(error)),
            }
        }
        only
    }

    /// Returns the secret `name`.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    pub fn require(&self, name: &str) -> Result<FoundSecret, SecretError> {
        self.find(name)?.ok_or_else(|| SecretError::Missing(name.to_owned()))
    }

    fn with_access(environment: &Environment, credentials: Access, named: Access) -> Self {
        let directory = environment.path("CREDENTIALS_DIRECTORY");
        let environment = Arc::new(environment.clone());
        Self(vec![
            Box::new(CredentialsDirectory { directory, access: credentials }),
            Box::new(NamedFile { environment: Arc::clone(&environment), access: named }),
            Box::new(Variable { environment }),
        ])
    }
}

/// Returns `found`, unless there is one already.
fn one_of(
    name: &str,
    before: Option<FoundSecret>,
    found: FoundSecret,
) -> Result<Option<FoundSecret>, SecretError> {
    match before {
        None => Ok(Some(found)),
        Some(FoundSecret { origin: first, .. }) => {
            Err(SecretError::Twice { name: name.to_owned(), first, second: found.origin })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn put(path: &Path, content: &str, mode: u32) {
        std::fs::write(path, content).expect("a file");
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }

    fn environment_with(variable: &str, path: &Path) -> Environment {
        Environment::from_pairs([(variable, path.as_os_str())])
    }

    #[test]
    fn a_credential_is_found_under_its_name_in_either_case() {
        for file_name in ["API_KEY", "api_key"] {
            let directory = tempfile::tempdir().expect("a directory");
            put(&directory.path().join(file_name), "s3cr3t\n", 0o440);
            let environment = environment_with("CREDENTIALS_DIRECTORY", directory.path());

            let found = Secrets::of(&environment).require("API_KEY").expect("the secret");

            assert_eq!(found.secret.expose(), "s3cr3t");
            assert_eq!(found.origin, SecretOrigin::File(directory.path().join(file_name)));
        }
    }

    #[test]
    fn two_sources_for_one_secret_are_refused_and_both_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        put(&path, "s3cr3t", 0o600);
        let environment = Environment::from_pairs([
            ("API_KEY", "s3cr3t".as_ref()),
            ("API_KEY_FILE", path.as_os_str()),
        ]);

        let refused = Secrets::of(&environment).find("API_KEY").expect_err("two").to_string();

        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert!(refused.contains("the variable API_KEY:"), "{refused}");
        assert!(!refused.contains("s3cr3t"), "{refused}");
    }

    #[test]
    fn both_cases_in_one_credentials_directory_are_two_sources() {
        let directory = tempfile::tempdir().expect("a directory");
        put(&directory.path().join("API_KEY"), "one", 0o400);
        put(&directory.path().join("api_key"), "two", 0o400);
        let environment = environment_with("CREDENTIALS_DIRECTORY", directory.path());

        let refused = Secrets::of(&environment).find("API_KEY");

        assert!(matches!(refused, Err(SecretError::Twice { .. })), "{refused:?}");
    }

    #[test]
    fn a_named_file_that_is_missing_or_open_to_others_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        let environment = environment_with("API_KEY_FILE", &path);

        let missing = Secrets::of(&environment).find("API_KEY");
        assert!(matches!(missing, Err(SecretError::NoSuchFile { .. })), "{missing:?}");

        put(&path, "s3cr3t", 0o644);
        let open = Secrets::of(&environment).find("API_KEY");
        assert!(matches!(open, Err(SecretError::File { .. })), "{open:?}");
        let allowed = Secrets::danger_allow_secret_file_mode(&environment).find("API_KEY");
        assert!(matches!(allowed, Ok(Some(_))), "{allowed:?}");
    }

    #[test]
    fn a_secret_where_the_path_of_its_file_belongs_is_not_repeated() {
        for secret in [
            "7esd3OU1Ujxfepzd9Oyo369wgNXbDffw67Cr9jG5544",
            "/esd3OU1Ujxfepzd9Oyo369wgNXbDffw67Cr9jG5544",
        ] {
            let environment = environment_with("API_KEY_FILE", Path::new(secret));
            let refused = Secrets::of(&environment).find("API_KEY").expect_err("none").to_string();
            assert!(
                refused.contains("API_KEY_FILE names") && !refused.contains("esd3"),
                "{refused}"
            );
        }
        let environment = environment_with("API_KEY_FILE", Path::new("/run/secrets/api-key"));
        let refused = Secrets::of(&environment).find("API_KEY").expect_err("none").to_string();
        assert!(refused.contains("/run/secrets/api-key"), "{refused}");
    }

    #[test]
    fn an_empty_variable_is_a_mistake_and_not_an_absence() {
        let environment = Environment::from_pairs([("API_KEY", "")]);
        let refused = Secrets::of(&environment).find("API_KEY").expect_err("empty").to_string();
        assert_eq!(refused, "the secret API_KEY in the variable API_KEY: it is empty");
    }

    #[test]
    fn a_missing_secret_names_the_three_ways_to_give_it() {
        let refused = Secrets::of(&Environment::default()).require("API_KEY").expect_err("missing");
        insta::assert_snapshot!(refused, @"the secret API_KEY is missing: give it as the file $CREDENTIALS_DIRECTORY/API_KEY, as a file named by the variable API_KEY_FILE, or as the variable API_KEY");
    }

    #[test]
    fn a_name_cannot_leave_the_credentials_directory() {
        let refused = Secrets::of(&Environment::default()).find("../../etc/passwd");
        assert!(matches!(refused, Err(SecretError::Name(_))), "{refused:?}");
    }

    #[test]
    fn a_manager_can_be_added_and_is_a_source_like_the_others() {
        #[derive(Debug)]
        struct Vault;
        impl SecretSource for Vault {
            fn find(&self, _: &str) -> Result<Vec<FoundSecret>, SecretError> {
                let secret = Secret::new("s3cr3t".to_owned());
                Ok(vec![FoundSecret { secret, origin: SecretOrigin::Manager("the vault".into()) }])
            }
        }
        let environment = Environment::from_pairs([("API_KEY", "s3cr3t")]);
        let secrets = Secrets::of(&environment).and(Vault);

        assert!(secrets.require("SECRET_KEY").is_ok());
        assert!(matches!(secrets.find("API_KEY"), Err(SecretError::Twice { .. })));
    }

    #[test]
    fn a_secret_that_is_refused_for_being_given_twice_is_kept_out_of_the_log_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        put(&path, "one of two keys", 0o600);
        let environment = Environment::from_pairs([
            ("API_KEY", "two of two keys".as_ref()),
            ("API_KEY_FILE", path.as_os_str()),
        ]);

        assert!(Secrets::of(&environment).find("API_KEY").is_err());

        let said = crate::secret::redacted("one of two keys two of two keys");
        assert_eq!(said, "[redacted] [redacted]");
    }
}
