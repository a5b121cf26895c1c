//! What `serve --dev` makes when it is missing: a folder with keys and a database, and an operator.
//!
//! Nothing of this happens without `--dev`, and nothing that is there is ever replaced.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use palisade::config::{Environment, KeyMaterial};
use palisade::crypto::Password;
use palisade::http::FromRef;
use palisade::input::FromText;
use palisade::secret::Secret;

use crate::accounts::actions::{CreateError, NewAccount, Registry, create};
use crate::accounts::{EmailAddress, Role, Username};
use crate::audit::By;
use crate::service::Parts;

const FOLDER: &str = "orderdesk-data";

/// The folder of a development service.
#[derive(Debug)]
pub(super) struct DevFolder {
    path: PathBuf,
    /// The API key, if it was made just now.
    new_api_key: Option<Secret<String>>,
}

impl DevFolder {
    /// Makes the folder and the keys that are missing, and tells `environment` where they are.
    pub(super) fn prepare(environment: &mut Environment) -> anyhow::Result<Self> {
        let path = std::path::absolute(FOLDER)?;
        make_private(&path)?;
        let mut folder = Self { path, new_api_key: None };
        if !is_given(environment, "DATABASE_URL") {
            let file = folder.path.join("orderdesk.db");
            let Some(file) = file.to_str() else {
                bail!("the path of the present folder is not UTF-8: start from another one")
            };
            environment.set("DATABASE_URL", &format!("sqlite://{file}"));
        }
        folder.new_api_key = folder.key(environment, "API_KEY")?;
        folder.key(environment, "SECRET_KEY")?;
        Ok(folder)
    }

    /// Points `environment` to the file of a key, and returns the key if it was made just now.
    fn key(
        &self,
        environment: &mut Environment,
        name: &str,
    ) -> anyhow::Result<Option<Secret<String>>> {
        if is_given(environment, name) {
            return Ok(None);
        }
        let file = self.path.join(name);
        let made = if file.exists() { None } else { Some(KeyMaterial::generate()) };
        if let Some(key) = &made {
            write_private(&file, key.expose())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        environment.set(&format!("{name}_FILE"), &file.to_string_lossy());
        Ok(made)
    }

    /// Returns where the certificate is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the account `operator` if there is none, and shows what was made, once.
    pub(super) async fn welcome(&self, parts: &Parts) -> anyhow::Result<()> {
        let password = KeyMaterial::generate();
        let new = NewAccount {
            username: Username::from_text("operator")?,
            email: EmailAddress::from_text("operator@localhost")?,
            password: Password::new(password.expose())?,
            role: Role::Operator,
        };
        let password = match create(&Registry::from_ref(&parts.state), new, By::command()).await {
            Ok(_) => Some(password),
            Err(CreateError::UsernameTaken) => None,
            Err(error) => return Err(error).context("cannot add the account operator"),
        };
        self.show(password.as_ref());
        Ok(())
    }

    fn show(&self, password: Option<&Secret<String>>) {
        let mut lines = Vec::new();
        if let Some(password) = password {
            lines.push("operator account:  operator".to_owned());
            lines.push(format!("operator password: {}", password.expose()));
        }
        if let Some(key) = &self.new_api_key {
            lines.push(format!("API key:           {}", key.expose()));
        }
        if lines.is_empty() {
            return;
        }
        let place = self.path.display();
        let text = format!(
            "Set up for development in {place}. This is shown only once:\n\n  {}\n\n",
            lines.join("\n  ")
        );
        // The keys are in their files; that nobody reads this is no reason not to serve.
        io::stderr().lock().write_all(text.as_bytes()).ok();
    }
}

fn is_given(environment: &Environment, name: &str) -> bool {
    environment.is_set(name)
        || environment.is_set(&format!("{name}_FILE"))
        || environment.is_set("CREDENTIALS_DIRECTORY")
}

fn make_private(path: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_private(path),
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

fn check_private(path: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() {
        bail!("{} is in the way: it is no folder", path.display());
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        bail!("others can look into {0}: close it with `chmod 700 {0}`", path.display());
    }
    Ok(())
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
