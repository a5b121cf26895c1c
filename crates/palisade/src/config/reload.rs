//! The settings read again while the service runs: all that can change, or nothing of it.
//!
//! What is read is compared with what is in force, key by key. With any mistake nothing changes.
//! Otherwise the sections that are [`Live`](super::Live) take over what is new; a key of any other
//! section that differs is named, and stays what it was.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::load::Shown;
use super::mistake::{Mistake, Origin};
use super::{Environment, Loaded, Mistakes, Settings, load};

/// A key whose value is to be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value in force, as TOML.
    pub old: String,
    /// The value that was read, as TOML.
    pub new: String,
    /// Who says so.
    pub origin: Origin,
}

/// The settings as they were just read, before anything of them is in force.
pub struct Reread {
    changes: Vec<Change>,
    need_restart: Vec<Change>,
    adopt: Box<dyn FnOnce() + Send>,
}

impl Reread {
    /// Returns what [`apply`](Self::apply) will change.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns what stays as it is until the next start.
    pub fn need_restart(&self) -> &[Change] {
        &self.need_restart
    }

    /// Puts the changes in force and tells whoever follows them.
    pub fn apply(self) {
        (self.adopt)();
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = out.debug_struct("Reread");
        shown.field("changes", &self.changes).field("need_restart", &self.need_restart);
        shown.finish_non_exhaustive()
    }
}

type Reading = Arc<dyn Fn() -> Result<Reread, Mistakes> + Send + Sync>;

/// Reads the settings of a running service again, from where they came at its start.
///
/// ```
/// use palisade::config::{Environment, Live, Size, load};
///
/// palisade::settings! {
///     /// What one request may cost.
///     pub live struct Limits in "limits" {
///         /// Largest request body.
///         pub body_bytes: Size = Size::kib(64);
///     }
/// }
///
/// palisade::settings_of! {
///     /// Everything that can be set.
///     pub struct Settings in "ORDERDESK" {
///         /// What one request may cost.
///         pub limits: Live<Limits>,
///     }
/// }
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("orderdesk.toml");
/// std::fs::write(&file, "limits.body_bytes = '1KiB'")?;
/// let loaded = load::<Settings>(Some(&file), &Environment::default())?;
/// let reloader = loaded.reloader();
/// let settings = loaded.into_settings();
///
/// std::fs::write(&file, "limits.body_bytes = '2KiB'")?;
/// let reread = reloader.read()?;
/// assert_eq!(reread.changes()[0].new, "\"2KiB\"");
/// assert_eq!(settings.limits.now().body_bytes, Size::kib(1));
/// reread.apply();
/// assert_eq!(settings.limits.now().body_bytes, Size::kib(2));
///
/// std::fs::write(&file, "limits.body_bytes = 'much'")?;
/// assert!(reloader.read().is_err());
/// assert_eq!(settings.limits.now().body_bytes, Size::kib(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reloader(Reading);

impl Reloader {
    /// Reads the file as it is now, and the variables as they were at the start: a process's
    /// environment does not change. It reads a file, so call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Every mistake of every layer at once, as [`load`](super::load()).
    pub fn read(&self) -> Result<Reread, Mistakes> {
        (self.0)()
    }

    /// Reads a file and variables into what replaces `settings`, of which `shown` is in force,
    /// unless `judge` finds something wrong with it.
    pub(super) fn of<S: Settings>(
        settings: S,
        shown: Vec<Shown>,
        (path, variables): (Option<PathBuf>, Environment),
        judge: impl Fn(&Loaded<S>) -> Vec<Mistake> + Send + Sync + 'static,
    ) -> Self {
        let in_force = Arc::new(Mutex::new(shown));
        Self(Arc::new(move || {
            let fresh = load::<S>(path.as_deref(), &variables)?;
            Mistakes::gathered(judge(&fresh)).map_or(Ok(()), Err)?;
            Ok(compare(settings.clone(), fresh.into_parts(), &in_force))
        }))
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Reloader")
    }
}

fn compare<S: Settings>(
    settings: S,
    (fresh, read): (S, Vec<Shown>),
    in_force: &Arc<Mutex<Vec<Shown>>>,
) -> Reread {
    let (mut changes, mut need_restart) = (Vec::new(), Vec::new());
    let live = live_sections::<S>();
    // Both list every key, in the order of the declaration.
    for (old, new) in lock(in_force).iter().zip(&read) {
        if old.value == new.value {
            continue;
        }
        let Shown { section, key, value, origin } = new.clone();
        let change = Change { section, key, old: old.value.clone(), new: value, origin };
        if live.contains(&section) { changes.push(change) } else { need_restart.push(change) }
    }
    let in_force = Arc::clone(in_force);
    let adopt = Box::new(move || {
        settings.adopt(&fresh);
        for (old, new) in lock(&in_force).iter_mut().zip(read) {
            if live.contains(&new.section) {
                *old = new;
            }
        }
    });
    Reread { changes, need_restart, adopt }
}

fn live_sections<S: Settings>() -> Vec<&'static str> {
    let outline = S::outline();
    outline.iter().filter(|section| section.is_live).map(|section| section.name).collect()
}

fn lock(in_force: &Mutex<Vec<Shown>>) -> MutexGuard<'_, Vec<Shown>> {
    in_force.lock().unwrap_or_else(PoisonError::into_inner)
}
