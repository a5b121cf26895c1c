//! The layers put together: [`load`] answers with every setting and its origin, or every mistake.

use std::path::{Path, PathBuf};

use super::document::{self, Layer};
use super::mistake::{Mistake, Origin, Place};
use super::reader::Reader;
use super::{Environment, Mistakes, Reloader, Settings, file};

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value as TOML.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// Settings, and for every key where its value comes from.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    settings: S,
    shown: Vec<Shown>,
    path: Option<PathBuf>,
    /// Those that are settings, never secrets: they are kept for as long as the service runs.
    variables: Environment,
}

impl<S: Settings> Loaded<S> {
    /// As [`reloader`](Self::reloader), but what is read must also pass `judge`: what that finds wrong
    /// is a mistake like any other, and changes nothing.
    pub fn reloader_judged(
        &self,
        judge: impl Fn(&Self) -> Vec<Mistake> + Send + Sync + 'static,
    ) -> Reloader {
        let (path, variables) = (self.path.clone(), self.variables.clone());
        Reloader::of(self.settings.clone(), self.shown.clone(), (path, variables), judge)
    }

    /// Returns what reads these settings again, and changes those that can change in every clone
    /// of [`settings`](Self::settings).
    pub fn reloader(&self) -> Reloader {
        self.reloader_judged(|_| Vec::new())
    }

    fn from(self, path: Option<&Path>, environment: &Environment) -> Self {
        let variables = environment.with_prefix(&format!("{}__", S::PREFIX));
        Self { path: path.map(Path::to_owned), variables, ..self }
    }
}

impl<S> Loaded<S> {
    /// Returns the settings.
    pub fn settings(&self) -> &S {
        &self.settings
    }

    /// Changes the settings, for a default that depends on how the service is started. What
    /// [`survey`](super::survey) shows and a reload compares with stays what was read.
    pub fn settings_mut(&mut self) -> &mut S {
        &mut self.settings
    }

    /// Takes the settings out.
    pub fn into_settings(self) -> S {
        self.settings
    }

    /// Returns every key with its effective value, in the order of the declaration.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// Returns where the value of a key comes from; `None` for a key that there is not.
    pub fn origin(&self, section: &str, key: &str) -> Option<&Origin> {
        let is_it = |shown: &&Shown| (shown.section, shown.key) == (section, key);
        self.shown.iter().find(is_it).map(|shown| &shown.origin)
    }

    pub(super) fn into_parts(self) -> (S, Vec<Shown>) {
        (self.settings, self.shown)
    }
}

/// Reads the settings: defaults, then `path` if one is given, then the environment.
///
/// # Errors
///
/// Every mistake of every layer at once. A rule over several keys of a section is only judged
/// when each key of that section is right by itself.
pub fn load<S: Settings>(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<S>, Mistakes> {
    let outline = S::outline();
    let from_file = path.map_or_else(Layer::default, |path| match file::read(path) {
        Ok(text) => document::read_toml(path, &text, &outline),
        Err(wrong) => {
            let mistake = Mistake { place: Place::File(path.to_owned()), wrong };
            Layer { mistakes: vec![mistake], ..Layer::default() }
        }
    });
    let from_variables = document::read_variables(S::PREFIX, environment, &outline);
    let loaded = combine(from_file, from_variables)?;
    Ok(loaded.from(path, environment))
}

/// Reads the settings from a text that stands for the file `path`, which only a
/// [`reloader`](Loaded::reloader) opens.
///
/// ```
/// # use palisade::config::{Environment, load_text};
/// # palisade::settings! {
/// #     /// The listeners.
/// #     pub struct Server in "server" {
/// #         /// Where to listen.
/// #         pub listen: std::net::SocketAddr = ([127, 0, 0, 1], 8443).into();
/// #     }
/// # }
/// # palisade::settings_of! {
/// #     /// Everything.
/// #     pub struct Settings in "ORDERDESK" {
/// #         /// The listeners.
/// #         pub server: Server,
/// #     }
/// # }
/// let text = "[server]\nlisen = '[::1]:8443'\n";
/// let mistakes =
///     load_text::<Settings>("orderdesk.toml".as_ref(), text, &Environment::default()).unwrap_err();
/// assert_eq!(
///     mistakes.to_string(),
///     "orderdesk.toml:2: unknown key lisen in [server], did you mean `listen`?"
/// );
/// ```
///
/// # Errors
///
/// As [`load`].
pub fn load_text<S: Settings>(
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Loaded<S>, Mistakes> {
    let outline = S::outline();
    let from_file = document::read_toml(path, text, &outline);
    let from_variables = document::read_variables(S::PREFIX, environment, &outline);
    let loaded = combine(from_file, from_variables)?;
    Ok(loaded.from(Some(path), environment))
}

fn combine<S: Settings>(file: Layer, variables: Layer) -> Result<Loaded<S>, Mistakes> {
    let (mut entries, mut mistakes) = (file.entries, file.mistakes);
    entries.extend(variables.entries);
    mistakes.extend(variables.mistakes);
    let mut reader = Reader::new(entries, mistakes);
    let settings = S::read(&mut reader);
    let (mistakes, shown) = reader.into_parts();
    match settings {
        Some(settings) if mistakes.is_empty() => {
            Ok(Loaded { settings, shown, path: None, variables: Environment::default() })
        }
        _ => Err(Mistakes::beside(shown, mistakes)),
    }
}
