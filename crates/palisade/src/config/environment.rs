//! The environment as a value: read once at the start, handed to whoever needs it.
//!
//! This is the only file that asks the process for its environment (`clippy.toml` holds that).
//! Values may be secret: they are wiped when the snapshot is dropped, and never shown.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A variable that is one of ours holds bytes that are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable {0} is not UTF-8")]
pub struct NotUtf8(pub String);

/// The variables of a process at one moment.
///
/// ```
/// use palisade::config::Environment;
///
/// let environment = Environment::from_pairs([("API_KEY", "s3cr3t")]);
/// assert_eq!(environment.text("API_KEY"), Ok(Some("s3cr3t")));
/// assert_eq!(environment.text("SECRET_KEY"), Ok(None));
/// assert_eq!(format!("{environment:?}"), r#"Environment({"API_KEY"})"#);
/// ```
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, Zeroizing<Vec<u8>>>);

impl Environment {
    /// Takes a snapshot of this process's environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// Makes an environment of exactly these variables; a later one replaces an earlier one.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let wrapped = |(name, value): (N, V)| {
            let value: OsString = value.into();
            (name.into(), Zeroizing::new(value.into_vec()))
        };
        Self(pairs.into_iter().map(wrapped).collect())
    }

    /// Returns the value of `name`, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// [`NotUtf8`].
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotUtf8> {
        let Some(value) = self.0.get(OsStr::new(name)) else {
            return Ok(None);
        };
        std::str::from_utf8(value).map(Some).map_err(|_| NotUtf8(name.to_owned()))
    }

    /// Tells whether `name` is set, if only to an empty value.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(OsStr::new(name))
    }

    /// Sets `name` in this snapshot; the process's own environment stays as it is.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), Zeroizing::new(value.as_bytes().to_vec()));
    }

    /// Returns the path that `name` holds, which need not be UTF-8; an empty one is not set.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.0.get(OsStr::new(name)).filter(|value| !value.is_empty())?;
        Some(Path::new(OsStr::from_bytes(value)).to_owned())
    }

    /// Returns the names that start with `prefix`, sorted; bytes that are not UTF-8 are replaced.
    pub fn names_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
        let ours = move |name: &&OsString| name.as_bytes().starts_with(prefix.as_bytes());
        self.0.keys().filter(ours).map(|name| name.to_string_lossy().into_owned())
    }

    /// Returns the variables whose names start with `prefix`, and nothing of the others.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Self {
        let ours = |name: &OsString| name.as_bytes().starts_with(prefix.as_bytes());
        let kept = self.0.iter().filter(|(name, _)| ours(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Names<'a>(&'a Environment);
        impl fmt::Debug for Names<'_> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.debug_set().entries(self.0.0.keys()).finish()
            }
        }
        out.debug_tuple("Environment").field(&Names(self)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_an_error_only_for_who_asks() {
        let bytes = OsString::from_vec(vec![0xff]);
        let environment =
            Environment::from_pairs([(OsString::from("BAD"), bytes), ("GOOD".into(), "x".into())]);

        assert_eq!(environment.text("GOOD"), Ok(Some("x")));
        assert_eq!(environment.text("BAD"), Err(NotUtf8("BAD".into())));
        assert!(environment.path("BAD").is_some());
    }

    #[test]
    fn the_process_environment_is_read_without_a_panic() {
        assert!(!format!("{:?}", Environment::of_process()).is_empty());
    }
}
