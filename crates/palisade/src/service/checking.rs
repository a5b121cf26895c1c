//! The deployment check of a whole service: the library's parts put together.

use std::fmt;
use std::path::{Path, PathBuf};

use super::command_line::CheckOptions;
use super::{Basics, Program, Reach, ServiceSettings};
use crate::check::{
    Check, CheckSection, Finding, Paths, Report, Rule, Tag, Trust, catalogue, clock, explain,
    files, live, lockdown, manual, mistakes, shown,
};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Environment, Loaded, Mistakes, Settings};
use crate::outbound::Target;

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
    /// Checks a deployment: `basics` are the settings that every service has, `loaded` all of
    /// them, `own` what the service adds, and `rules` those of its own.
    ///
    /// It ends by locking this process down for good, to tell what takes effect here: print the
    /// report, and end.
    pub fn check<C: Settings>(
        self,
        request: CheckRequest<'_>,
        (basics, loaded): (&Basics, &Loaded<C>),
        own: OwnPart,
        rules: &[&'static Rule],
    ) -> Report {
        let mut check = Check::new(self.name, self.version, rules);
        let now = SystemClock.now();
        let set = [Tag::Settings, Tag::Tls, Tag::Limits, Tag::Process];
        check.add(set, basics.deployment(Reach::AsSet, now).findings());
        check.add([], shown(loaded.shown(), &C::outline()));
        let OwnPart { findings, tags, mut secrets, database } = own;
        check.add(tags, findings);
        secrets.extend(basics.tls.key.clone());
        let certificate = basics.tls.certificate.as_deref();
        let database = database.as_deref();
        let paths = Paths { settings: request.file, secrets: &secrets, certificate, database };
        check.add([Tag::Files], files(&paths));
        let dated: Vec<&Path> =
            request.file.into_iter().chain(certificate).chain(database).collect();
        check.add([Tag::Clock], clock(now, &dated));
        look(&mut check, request);
        // Nothing that is looked at can be opened any more.
        check.add([], lockdown(&basics.sandbox));
        check.report(&basics.check)
    }

    /// Checks what can be checked without settings: says what is wrong with them, and judges the
    /// rest of what the service found.
    pub fn check_without_settings(
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
/// use palisade::config::Environment;
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
/// fn judge<C>(_: &C, environment: &Environment) -> OwnPart {
///     let missing = !environment.is_set("GUESTS");
///     let finding = missing.then(|| Finding::new(&NO_GUESTS, "GUESTS is not set"));
///     OwnPart { findings: finding.into_iter().collect(), ..OwnPart::default() }
/// }
///
/// palisade::service_settings! {
///     /// Everything that can be set.
///     struct Settings in "GREETER" {}
/// }
/// let own = OwnChecks::<Settings>::new(RULES, judge);
/// ```
pub struct OwnChecks<C> {
    rules: &'static [&'static Rule],
    judge: fn(&C, &Environment) -> OwnPart,
}

impl<C> OwnChecks<C> {
    /// Judges by `judge`, whose findings are all of `rules`.
    pub fn new(rules: &'static [&'static Rule], judge: fn(&C, &Environment) -> OwnPart) -> Self {
        Self { rules, judge }
    }

    /// Judges nothing.
    pub fn none() -> Self {
        Self::new(&[], |_, _| OwnPart::default())
    }

    pub(super) fn rules(&self) -> &'static [&'static Rule] {
        self.rules
    }

    pub(super) fn judge(&self, settings: &C, environment: &Environment) -> OwnPart {
        (self.judge)(settings, environment)
    }
}

impl<C> fmt::Debug for OwnChecks<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OwnChecks").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Checks a service without a command line of its own.
pub(super) fn check<C: ServiceSettings>(
    program: Program,
    file: Option<&Path>,
    options: &CheckOptions,
    own: OwnChecks<C>,
) -> Report {
    let environment = Environment::of_process();
    let (url, authority) = (options.url.as_ref(), options.authority.as_deref());
    let request = CheckRequest { file, url, authority };
    match config::load::<C>(file, &environment) {
        Ok(loaded) => {
            let basics = loaded.settings().basics();
            let part = own.judge(loaded.settings(), &environment);
            program.check(request, (&basics, &loaded), part, own.rules)
        }
        Err(wrong) => {
            program.check_without_settings(request, &wrong, OwnPart::default(), own.rules)
        }
    }
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
    let trust = request.authority.map_or(Trust::System, Trust::File);
    check.add([Tag::Live], live(target, trust, SystemClock.now()));
}
