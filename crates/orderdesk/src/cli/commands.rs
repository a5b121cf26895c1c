//! The commands that end by themselves.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use palisade::check::{Refused, mistakes};
use palisade::clock::SystemClock;
use palisade::config::{self, Environment, KeyMaterial, Mistakes};
use palisade::crypto::{HashSettings, Hasher, KeyRing, Password};
use palisade::db::{Db, Purpose};
use palisade::http::ListenAddress;
use palisade::input::FromText;
use palisade::outbound::{ProbeTarget, probe};
use palisade::process::{Sandbox, scrub_environment};
use palisade::secret::redacted;

use super::{password, print};
use crate::accounts::actions::{CreateError, NewAccount, Registry, create};
use crate::accounts::{EmailAddress, Role, Username};
use crate::audit::By;
use crate::config::Settings;
use crate::secrets::{Examined, ServiceSecrets};
use crate::service;

/// Says that settings or secrets are wrong, a line for each mistake.
pub(super) fn wrong(mistakes: Mistakes) -> anyhow::Error {
    anyhow!("the settings are wrong:\n{mistakes}")
}

pub(super) fn settings(file: Option<&Path>) -> anyhow::Result<(Settings, Environment)> {
    let environment = Environment::of_process();
    let loaded = config::load::<Settings>(file, &environment).map_err(wrong)?;
    let settings = loaded.into_settings();
    if settings.sandbox.mode != Sandbox::Off {
        // What waits for a password or the database can be looked at meanwhile. Where it cannot be
        // had the command goes on: only a service is asked to be locked down.
        scrub_environment().ok();
    }
    Ok((settings, environment))
}

/// Runs what waits for the database on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

pub(super) async fn open(settings: &Settings, environment: &Environment) -> anyhow::Result<Db> {
    let url = ServiceSecrets::database_url(environment)?;
    let open = settings.database.open_settings(Purpose::Command);
    Db::open(&url, open).await.context("the database cannot be opened")
}

pub(super) fn migrate(file: Option<&Path>) -> anyhow::Result<()> {
    let (settings, environment) = settings(file)?;
    let count = block_on(async {
        let db = open(&settings, &environment).await?;
        let count = service::migrate(&db).await?;
        db.close().await?;
        Ok(count)
    })?;
    match count {
        0 => print("The database is up to date.\n"),
        1 => print("1 migration was applied.\n"),
        count => print(&format!("{count} migrations were applied.\n")),
    }
}

pub(super) fn show_config(file: Option<&Path>) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let loaded = config::load::<Settings>(file, &environment);
    let Examined { findings, origins, .. } = ServiceSecrets::examine(&environment);
    let (shown, settings) = config::survey(loaded, &origins, Vec::new());
    // A secret may stand in a setting that is none.
    print(&redacted(&shown))?;
    let mut found = settings.map_or_else(|wrong| mistakes(&wrong), |()| Vec::new());
    found.extend(findings);
    Ok(Refused::by(found)?)
}

pub(super) fn example_config() -> anyhow::Result<()> {
    print(&config::example::<Settings>())
}

pub(super) fn new_secret() -> anyhow::Result<()> {
    print(&format!("{}\n", KeyMaterial::generate().expose()))
}

/// What `user add` was given.
pub(super) struct NewUser {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) role: Role,
}

pub(super) fn add_user(file: Option<&Path>, new: NewUser) -> anyhow::Result<()> {
    let (settings, environment) = settings(file)?;
    let username =
        Username::from_text(&new.username).map_err(|why| anyhow!("--username: {why}"))?;
    let email = EmailAddress::from_text(&new.email).map_err(|why| anyhow!("--email: {why}"))?;
    let password = password::read()?;
    let password =
        Password::new(password.expose()).map_err(|why| anyhow!("the password: {why}"))?;
    let name = username.clone();
    // Without the key the hash has no pepper, and gets it at the first sign-in.
    let keys = ServiceSecrets::secret_keys(&environment).ok();
    let ring =
        keys.map(|(current, previous)| KeyRing::new(&current, previous.as_ref())).transpose()?;
    let peppers = ring.map(|ring| ring.peppers()).unwrap_or_default();
    let hasher = Hasher::start(HashSettings::from(&settings.passwords))?.with_peppers(peppers);
    block_on(async {
        let db = open(&settings, &environment).await?;
        service::prepare(&db, &settings).await?;
        let registry =
            Registry { db: db.clone(), clock: Arc::new(SystemClock), hasher: Arc::new(hasher) };
        let new = NewAccount { username, email, password, role: new.role };
        match create(&registry, new, By::command()).await {
            Ok(_) => {}
            Err(CreateError::UsernameTaken) => bail!("the username {name} is taken"),
            Err(CreateError::Password(why)) => bail!("the password: {why}"),
            Err(error) => return Err(error.into()),
        }
        db.close().await?;
        Ok(())
    })?;
    print(&format!("The account {} was added.\n", new.username.trim().to_lowercase()))
}

pub(super) fn print_routes(file: Option<&Path>) -> anyhow::Result<()> {
    let (settings, _) = settings(file)?;
    let (api, _) = service::api(&settings);
    let lines = api.table();
    let width = |of: fn(&palisade::http::RouteLine) -> usize| lines.iter().map(of).max();
    let path_width = width(|line| line.path.len()).unwrap_or_default();
    let policy_width = width(|line| line.policy.len()).unwrap_or_default();
    for line in &lines {
        let row = format!(
            "{:<6} {:<path_width$}  {:<policy_width$}  {}",
            line.method.as_str(),
            line.path,
            line.policy,
            line.limits
        );
        print(&format!("{}\n", row.trim_end()))?;
    }
    Ok(())
}

pub(super) fn print_openapi(file: Option<&Path>) -> anyhow::Result<()> {
    let (settings, _) = settings(file)?;
    let (_, document) = service::api(&settings);
    print(&format!("{document:#}\n"))
}

pub(super) fn health(file: Option<&Path>, address: Option<SocketAddr>) -> anyhow::Result<ExitCode> {
    let address = match address {
        Some(address) => ProbeTarget::Tcp(address),
        None => match settings(file)?.0.server.admin_listen {
            ListenAddress::Tcp(address) => ProbeTarget::Tcp(address),
            ListenAddress::Unix(path) => ProbeTarget::Unix(path),
            ListenAddress::Inherited(_) => bail!(
                "server.admin_listen is a socket of systemd, whose address the settings do not \
                 have: say --url"
            ),
        },
    };
    match probe(&address, "/ready")? {
        200 => print("ready\n").map(|()| ExitCode::SUCCESS),
        status => bail!("not ready: {address} answered {status}"),
    }
}
