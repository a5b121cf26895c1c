//! The three places where a service finds its secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::secret_file::{self, Access, TextFault};
use super::{Environment, FoundSecret, NotUtf8, SecretError, SecretOrigin, SecretSource};

/// Files that a service manager made, named as the secret in upper or in lower case.
#[derive(Debug)]
pub(super) struct CredentialsDirectory {
    pub(super) directory: Option<PathBuf>,
    pub(super) access: Access,
}

impl SecretSource for CredentialsDirectory {
    fn find(&self, name: &str) -> Result<Vec<FoundSecret>, SecretError> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let lower_case = name.to_lowercase();
        let mut found = Vec::new();
        found.extend(read_file(name, &directory.join(name), self.access)?);
        if lower_case != name {
            found.extend(read_file(name, &directory.join(lower_case), self.access)?);
        }
        Ok(found)
    }
}

/// A file that the variable `<NAME>_FILE` names.
#[derive(Debug)]
pub(super) struct NamedFile {
    pub(super) environment: Arc<Environment>,
    pub(super) access: Access,
}

impl SecretSource for NamedFile {
    fn find(&self, name: &str) -> Result<Vec<FoundSecret>, SecretError> {
        let Some(path) = self.environment.path(&format!("{name}_FILE")) else {
            return Ok(Vec::new());
        };
        match read_file(name, &path, self.access)? {
            Some(found) => Ok(vec![found]),
            None => Err(SecretError::NoSuchFile { name: name.to_owned(), path }),
        }
    }
}

/// The variable `<NAME>` itself.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) environment: Arc<Environment>,
}

impl SecretSource for Variable {
    fn find(&self, name: &str) -> Result<Vec<FoundSecret>, SecretError> {
        let refuse = |fault| SecretError::Variable { name: name.to_owned(), fault };
        let text = self.environment.text(name);
        let Some(text) = text.map_err(|NotUtf8(_)| refuse(TextFault::NotUtf8))? else {
            return Ok(Vec::new());
        };
        let secret = secret_file::judge_text(text.as_bytes()).map_err(refuse)?;
        Ok(vec![FoundSecret { secret, origin: SecretOrigin::Variable(name.to_owned()) }])
    }
}

fn read_file(name: &str, path: &Path, access: Access) -> Result<Option<FoundSecret>, SecretError> {
    let found = |secret| FoundSecret { secret, origin: SecretOrigin::File(path.to_owned()) };
    match secret_file::read(path, access) {
        Ok(secret) => Ok(secret.map(found)),
        Err(fault) => {
            Err(SecretError::File { name: name.to_owned(), path: path.to_owned(), fault })
        }
    }
}
