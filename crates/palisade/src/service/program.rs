//! A whole program around a service: its command line, its settings, its exit status.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::checking::{CheckRequest, Explained, OwnChecks, explained, required_secrets};
use super::command_line::{CheckOptions, Command, CommandLine, usage};
use super::offer::{Failure, Offer, Setup};
use super::{Prepared, Reach, ServiceSettings, StartError, keep_hangups};
use crate::check::{Finding, Refused, mistakes};
use crate::config::{self, Environment, Loaded, Mistake, Mistakes, Secrets};
use crate::http::{InheritedSockets, Introduction};
use crate::process::{Needs, keep_memory_private};
use crate::secret::{legible, redacted};

/// A service as a program, with all that it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The crate's name as it is written in code (`env!("CARGO_CRATE_NAME")`): the log shows the
    /// events of that crate, and errors and metrics begin with it.
    pub name: &'static str,
    /// The version of the program and of its interface (`env!("CARGO_PKG_VERSION")`).
    pub version: &'static str,
    /// What a stranger should know first; the OpenAPI document begins with it.
    pub about: &'static str,
}

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the settings are wrong:\n{0}")]
    Settings(#[from] Mistakes),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Program {
    /// Runs the program with the arguments it was started with, and returns its exit status: 0
    /// done, 1 refused or failed, 2 wrong usage. `main` returns what this returns.
    ///
    /// Without a command it serves: it reads the settings (`--config FILE`, then the environment),
    /// has `build` make what is offered, and serves that until SIGTERM or SIGINT.
    /// `GET /openapi.json` and `GET /problems/{code}` are added, so the routes must not be
    /// [`documented`](crate::http::Api::documented) already. `config example` prints the whole
    /// settings file, `config show` what is in force, `--help` the usage. A self-signed
    /// certificate is kept in `./NAME-data`.
    ///
    /// `check` judges the deployment by number ([`crate::check`]), and what answers at `--url URL`.
    ///
    /// `build` runs in a process that is locked down: it reads the file of the settings, those of
    /// `[tls]`, and those of the secrets that the settings list ([`ServiceSettings::SECRETS`]). A
    /// service that needs more, a database for one, says so in [`main_with`](Self::main_with).
    ///
    /// The example `minimal`, at the top of this crate's documentation, is a whole program.
    ///
    /// # Panics
    ///
    /// If two routes of the offer are the same, or a path is not one.
    pub fn main<C: ServiceSettings, S: Clone + Send + Sync + 'static>(
        self,
        build: impl AsyncFnOnce(Setup<C>) -> Result<Offer<S>, Failure>,
    ) -> ExitCode {
        self.main_with(|_, _| Ok(Needs::new()), OwnChecks::none(), build)
    }

    /// Runs the program as [`main`](Self::main) does, leaves it what `needs` makes of the settings
    /// and the environment when it is locked down, and judges `own` with what is always judged.
    ///
    /// `needs` runs before the lockdown, so what takes the machine's own files or a count of its
    /// cores is done there. What `own` finds is told by `check`, and stops the start where it is to.
    ///
    /// ```no_run
    /// use palisade::http::Api;
    /// use palisade::process::Needs;
    /// use palisade::service::{Offer, OwnChecks, Program};
    ///
    /// palisade::service_settings! {
    ///     /// Everything that can be set.
    ///     pub struct Settings in "GREETER" {}
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let program = Program { name: "greeter", version: "1.0.0", about: "It greets." };
    ///     program.main_with::<Settings, _>(
    ///         |_settings, _environment| Ok(Needs::new().writes("/var/lib/greeter/greetings.db")),
    ///         OwnChecks::none(),
    ///         async |_setup| Ok(Offer::new(Api::new(), ())),
    ///     )
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If two routes of the offer are the same, or a path is not one.
    pub fn main_with<C: ServiceSettings, S: Clone + Send + Sync + 'static>(
        self,
        needs: impl FnOnce(&C, &Environment) -> Result<Needs, Failure>,
        own: OwnChecks<C>,
        build: impl AsyncFnOnce(Setup<C>) -> Result<Offer<S>, Failure>,
    ) -> ExitCode {
        let CommandLine { command, file } = match CommandLine::parse(config::arguments()) {
            Ok(given) => given,
            Err(wrong) => {
                tell(format_args!("{}: {wrong}\n\n{}", self.name, usage(self.name)));
                return ExitCode::from(2);
            }
        };
        if matches!(command, Command::ShowSettings) {
            // It reads every secret. Where the system refuses this, it does so for the service too,
            // which says it.
            keep_memory_private().ok();
        }
        let outcome = match command {
            Command::Serve => self.serve(file.as_deref(), needs, own, build),
            Command::Check(options) => return self.tell_check(file.as_deref(), &options, &own),
            Command::ShowSettings => show_settings::<C>(file.as_deref()),
            Command::ExampleSettings => print(&config::example::<C>()),
            Command::Help => print(&format!("{}\n\n{}\n", self.about, usage(self.name))),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(format_args!("{}: {}", self.name, in_full(&error)));
                ExitCode::FAILURE
            }
        }
    }

    fn serve<C: ServiceSettings, S: Clone + Send + Sync + 'static>(
        self,
        file: Option<&Path>,
        needs: impl FnOnce(&C, &Environment) -> Result<Needs, Failure>,
        own: OwnChecks<C>,
        build: impl AsyncFnOnce(Setup<C>) -> Result<Offer<S>, Failure>,
    ) -> Result<(), Failed> {
        keep_hangups().map_err(StartError::System)?;
        let environment = Environment::of_process();
        let (loaded, mut found) = read::<C>(file, &environment).map_err(StartError::Refused)?;
        let settings = loaded.settings();
        let needs = needs(settings, &environment).map_err(StartError::Service)?;
        let needs = needs.and(files_of::<C>(file, &environment));
        found.extend(own.judge_surroundings(settings, &environment).findings);
        let judge = own.settings_judge();
        let prepared = Prepared::checked(self, &loaded, Reach::AsSet, found, judge)?.needs(needs);
        let settings = loaded.into_settings();
        let public_url = prepared.public_url();
        let inherited = InheritedSockets::take(&environment);
        let certificates = PathBuf::from(format!("{}-data", self.name));
        let Self { name: title, version, about } = self;
        prepared.run(inherited, &certificates, async |metrics| {
            let offer = build(Setup { settings, environment, metrics: metrics.clone() }).await?;
            let introduction = Introduction { title, version, about };
            Ok(offer.with_api(|api| api.documented(introduction, public_url.as_deref()).0))
        })?;
        Ok(())
    }
}

impl Program {
    fn tell_check<C: ServiceSettings>(
        self,
        file: Option<&Path>,
        options: &CheckOptions,
        own: &OwnChecks<C>,
    ) -> ExitCode {
        let outcome = match explained(own.rules(), options.explain.as_deref()) {
            Explained::Text(text) => print(&text).map(|()| ExitCode::SUCCESS),
            Explained::Unknown(message) => {
                tell(format_args!("{}: {message}", self.name));
                Ok(ExitCode::from(2))
            }
            Explained::NotAsked => {
                let (url, authority) = (options.url.as_ref(), options.authority.as_deref());
                let report = self.check(CheckRequest { file, url, authority }, own);
                let text = redacted(&report.written(options.is_json)).into_owned();
                let status = if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
                print(&text).map(|()| status)
            }
        };
        outcome.unwrap_or_else(|error| {
            tell(format_args!("{}: {}", self.name, in_full(&error)));
            ExitCode::FAILURE
        })
    }
}

/// Reads the settings, and looks for every secret that the service cannot do without; what is
/// wrong with either is told in one run.
fn read<C: ServiceSettings>(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(Loaded<C>, Vec<Finding>), Refused> {
    let mut found = required_secrets::<C>(environment).0;
    match config::load::<C>(file, environment) {
        Ok(loaded) => Ok((loaded, found)),
        Err(wrong) => {
            found.splice(0..0, mistakes(&wrong));
            Refused::unless_clear(None, found)
        }
    }
}

/// Returns the files that every service may read again: its settings, and its secrets. Other
/// variables may be called `..._FILE` too, and say nothing about what this service may read.
fn files_of<C: ServiceSettings>(settings: Option<&Path>, environment: &Environment) -> Needs {
    let sources = Secrets::of(environment);
    let found = C::SECRETS.iter().filter_map(|name| sources.find(name).ok().flatten());
    let secrets = found.filter_map(|found| found.origin.file().map(Path::to_owned));
    let files = settings.map(Path::to_owned).into_iter().chain(secrets);
    files.fold(Needs::new(), Needs::rereads)
}

fn show_settings<C: ServiceSettings>(file: Option<&Path>) -> Result<(), Failed> {
    let environment = Environment::of_process();
    let sources = Secrets::of(&environment);
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for name in C::SECRETS {
        match sources.require(name) {
            Ok(secret) => found.push((*name, secret.origin)),
            Err(error) => wrong.push(Mistake::of_secret(name, error)),
        }
    }
    let (shown, mistakes) = config::survey(config::load::<C>(file, &environment), &found, wrong);
    // A secret may stand in a setting that is none.
    print(&redacted(&shown))?;
    Ok(mistakes?)
}

/// Writes to standard output; whoever closed it early has read enough.
fn print(text: &str) -> Result<(), Failed> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn tell(line: std::fmt::Arguments<'_>) {
    let line = line.to_string();
    // Nobody may be reading standard error, and then there is nobody to tell that.
    writeln!(io::stderr().lock(), "{}", legible(&line)).ok();
}

/// Says an error and its causes in one line, without those whose words it has said already.
///
/// ```
/// use palisade::service::in_full;
///
/// let mistake = "nine".parse::<u8>().unwrap_err();
/// assert_eq!(in_full(&mistake), "invalid digit found in string");
/// ```
pub fn in_full(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.ends_with(&cause) => said.to_owned(),
        said => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::service_settings! {
        /// Everything that can be set.
        struct Needy in "NEEDY" with secrets ["SMTP_PASSWORD", "MAP_KEY", "SEAL"] {}
    }

    #[test]
    fn every_secret_that_is_missing_or_wrong_is_told_at_once_and_beside_the_settings() {
        let environment = Environment::from_pairs([
            ("MAP_KEY", "s3cr3t"),
            ("SEAL", ""),
            ("NEEDY__RATE__PER_IP", "often"),
        ]);

        let said = read::<Needy>(None, &environment).map(drop).unwrap_err().to_string();

        assert_eq!(said.lines().count(), 4, "{said}");
        for expected in ["NEEDY__RATE__PER_IP", "secret SMTP_PASSWORD is missing", "SEAL: it is"] {
            assert!(said.contains(expected), "{expected}\n{said}");
        }
        assert!(!said.contains("s3cr3t"), "{said}");
    }

    #[test]
    fn only_the_files_of_its_own_secrets_may_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["settings/all.toml", "keys/map", "others/key"] {
            let file = folder.path().join(name);
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "correct horse battery staple").unwrap();
            let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, closed).unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let environment = Environment::from_pairs([
            ("MAP_KEY_FILE", at("keys/map")),
            ("SOMEBODYS_FILE", at("others/key")),
            ("OTHERS_FILE", at("others")),
            ("CREDENTIALS_DIRECTORY", at("others")),
        ]);

        let needs = files_of::<Needy>(Some(at("settings/all.toml").as_ref()), &environment);

        let expected = Needs::new().rereads(at("settings/all.toml")).rereads(at("keys/map"));
        assert_eq!(needs, expected);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write: {0}")]
    struct Quoting(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Silent(#[source] Quoting);

    #[test]
    fn every_cause_is_told_once() {
        let error = Silent(Quoting(io::Error::other("the disk is full")));

        assert_eq!(in_full(&error), "cannot start: cannot write: the disk is full");
    }
}
