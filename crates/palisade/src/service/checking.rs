//! The deployment check of a whole service: the library's parts put together.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Program, Reach, ServiceSettings};
use crate::check::{
    Check, CheckSection, Finding, Paths, Report, Rule, SecretReader, Tag, Trust, becomes,
    catalogue, clock, explain, files, live, lockdown, manual, mistakes, revealing, shown,
};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Environment, Loaded, Mistakes, SecretOrigin, Secrets};
use crate::db::files_of;
use crate::http::{TlsMode, TlsSection};
use crate::outbound::Target;
use crate::process::{Needs, keep_memory_private, scrub_environment};

/// What a service adds to its check.
#[derive(Debug, Default)]
pub struct OwnPart {
    /// What it found itself, in its settings, secrets and database.
    pub findings: Vec<Finding>,
    /// What those findings are about.
    pub tags: Vec<Tag>,
    /// The files that hold its secrets.
    pub secrets: Vec<PathBuf>,
    /// Its database.
    pub database: Option<PathBuf>,
}

/// How the check was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckRequest<'a> {
    /// The settings file.
    pub file: Option<&'a Path>,
    /// Where the service answers, to look at it from outside.
    pub url: Option<&'a Target>,
    /// The authority that vouches for its certificate; `None` is those of this system.
    pub authority: Option<&'a Path>,
}

impl Program {
    /// Checks a deployment with the settings and the environment that a start would have, `own`
    /// being what the service adds. Settings that are wrong are told with all that can be judged
    /// without them.
    ///
    /// It ends by locking this process down for good, to tell what takes effect here: print the
    /// report, and end.
    pub fn check<C: ServiceSettings>(
        self,
        request: CheckRequest<'_>,
        own: &OwnChecks<C>,
    ) -> Report {
        let environment = Environment::of_process();
        let loaded = config::load::<C>(request.file, &environment);
        let mut part = own.judge(loaded.as_ref().ok().map(Loaded::settings), &environment);
        if !C::SECRETS.is_empty() {
            let (findings, origins) = required_secrets::<C>(&environment);
            part.findings.splice(0..0, findings);
            part.secrets.extend(files_among(&origins));
            part.tags.push(Tag::Secrets);
        }
        match loaded {
            Ok(loaded) => self.check_with(request, &loaded, part, own.rules),
            Err(wrong) => self.check_without_settings(request, &wrong, part, own.rules),
        }
    }

    fn check_with<C: ServiceSettings>(
        self,
        request: CheckRequest<'_>,
        loaded: &Loaded<C>,
        own: OwnPart,
        rules: &[&'static Rule],
    ) -> Report {
        let basics = &loaded.settings().basics();
        let mut check = Check::new(self.name, self.version, rules);
        let now = SystemClock.now();
        let set = [Tag::Settings, Tag::Tls, Tag::Limits, Tag::Process];
        check.add(set, basics.deployment(Reach::AsSet, now).findings());
        check.add([], shown(loaded.shown(), &C::outline()));
        check.add([], revealing(loaded.shown()));
        let OwnPart { findings, tags, mut secrets, database } = own;
        check.add(tags, findings);
        secrets.extend(basics.tls.key.clone());
        let certificate = basics.tls.certificate.as_deref();
        let database = database.as_deref();
        let user = becomes(&basics.sandbox);
        let paths =
            Paths { settings: request.file, secrets: &secrets, certificate, database, user };
        check.add([Tag::Files], files(&paths));
        let dated: Vec<&Path> =
            request.file.into_iter().chain(certificate).chain(database).collect();
        check.add([Tag::Clock], clock(now, &dated));
        look(&mut check, request);
        // Nothing that is looked at can be opened any more.
        check.add([], lockdown(&basics.sandbox, &needs(&basics.tls, database)));
        check.report(&basics.check)
    }

    fn check_without_settings(
        self,
        request: CheckRequest<'_>,
        wrong: &Mistakes,
        own: OwnPart,
        rules: &[&'static Rule],
    ) -> Report {
        let mut check = Check::new(self.name, self.version, rules);
        check.add([], mistakes(wrong));
        check.add(own.tags, own.findings);
        let paths = Paths { settings: request.file, secrets: &own.secrets, ..Paths::default() };
        check.add([], files(&paths));
        look(&mut check, request);
        check.report(&CheckSection::default())
    }
}

/// Judges what a service adds of its own; given to [`Program::main_with`].
///
/// ```
/// use palisade::check::Finding;
/// use palisade::service::{OwnChecks, OwnPart};
///
/// palisade::rules! {
///     /// What the greeter judges.
///     RULES;
///     NO_GUESTS = "GRT101", Note, Settings {
///         title: "Nobody is on the list of guests.",
///         why: "Everybody is a stranger then.",
///         mend: "Set GUESTS.",
///     }
/// }
///
/// palisade::service_settings! {
///     /// Everything that can be set.
///     struct Settings in "GREETER" {}
/// }
/// let own = OwnChecks::<Settings>::new(RULES, |_settings, environment| {
///     let missing = !environment.is_set("GUESTS");
///     let finding = missing.then(|| Finding::new(&NO_GUESTS, "GUESTS is not set"));
///     OwnPart { findings: finding.into_iter().collect(), ..OwnPart::default() }
/// });
/// ```
pub struct OwnChecks<C> {
    rules: &'static [&'static Rule],
    judge: fn(Option<&C>, &Environment) -> OwnPart,
    of_settings: fn(&C) -> Vec<Finding>,
}

impl<C> OwnChecks<C> {
    /// Judges by `judge`, whose findings are all of `rules`; it is given no settings if they are
    /// wrong.
    pub fn new(
        rules: &'static [&'static Rule],
        judge: fn(Option<&C>, &Environment) -> OwnPart,
    ) -> Self {
        Self { rules, judge, of_settings: |_| Vec::new() }
    }

    /// Judges nothing.
    pub fn none() -> Self {
        Self::new(&[], |_, _| OwnPart::default())
    }

    /// Judges the settings by themselves too: they are judged so at each reload as well, and those
    /// with which the service would not start again are refused then.
    #[must_use]
    pub fn of_settings(mut self, judge: fn(&C) -> Vec<Finding>) -> Self {
        self.of_settings = judge;
        self
    }

    pub(super) fn rules(&self) -> &'static [&'static Rule] {
        self.rules
    }

    /// Returns how settings are judged by themselves.
    pub(super) fn settings_judge(&self) -> fn(&C) -> Vec<Finding> {
        self.of_settings
    }

    /// Judges everything but the settings by themselves.
    pub(super) fn judge_surroundings(&self, settings: &C, environment: &Environment) -> OwnPart {
        (self.judge)(Some(settings), environment)
    }

    fn judge(&self, settings: Option<&C>, environment: &Environment) -> OwnPart {
        let mut part = (self.judge)(settings, environment);
        part.findings.extend(settings.map(self.of_settings).unwrap_or_default());
        part
    }
}

impl<C> fmt::Debug for OwnChecks<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OwnChecks").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Looks for every secret that the service cannot do without; returns what is wrong with them, and
/// where they are.
pub(super) fn required_secrets<C: ServiceSettings>(
    environment: &Environment,
) -> (Vec<Finding>, Vec<(&'static str, SecretOrigin)>) {
    let mut reader = SecretReader::new(Secrets::of(environment));
    for name in C::SECRETS {
        // Only what is wrong with it: the service reads it itself.
        reader.text(name);
    }
    reader.finish()
}

fn files_among(origins: &[(&str, SecretOrigin)]) -> impl Iterator<Item = PathBuf> {
    origins.iter().filter_map(|(_, origin)| origin.file()).map(Path::to_owned)
}

/// Returns what the service must be able to read and write once it is who it is to be.
fn needs(tls: &TlsSection, database: Option<&Path>) -> Needs {
    let files = [&tls.certificate, &tls.key].into_iter().flatten();
    let read = files.filter(|_| tls.mode == TlsMode::Files).fold(Needs::new(), Needs::reads);
    database.into_iter().flat_map(files_of).fold(read, Needs::writes)
}

/// What `check --explain` comes to.
#[derive(Debug)]
pub enum Explained {
    /// Nobody asked.
    NotAsked,
    /// What the manual says.
    Text(String),
    /// There is no such finding.
    Unknown(String),
}

/// Explains the finding `id` in any case of letters, or every one if it is `all`; `own` are the
/// service's rules.
pub fn explained(own: &[&'static Rule], id: Option<&str>) -> Explained {
    let Some(id) = id else { return Explained::NotAsked };
    let all = catalogue(own);
    if id == "all" {
        return Explained::Text(manual(&all));
    }
    match all.iter().find(|rule| rule.id.eq_ignore_ascii_case(id)) {
        Some(rule) => Explained::Text(format!("{}- Manual: {}\n", explain(rule), rule.link())),
        None => Explained::Unknown(format!("there is no finding {}", config::quoted(id))),
    }
}

fn look(check: &mut Check, request: CheckRequest<'_>) {
    let Some(target) = request.url else { return };
    // Who answers may take a while, and secrets were read. What the system refuses is told at the end.
    scrub_environment().ok();
    keep_memory_private().ok();
    let trust = request.authority.map_or(Trust::System, Trust::File);
    check.add([Tag::Live], live(target, trust, SystemClock.now()));
}
