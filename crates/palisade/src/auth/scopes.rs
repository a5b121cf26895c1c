//! What an API key may be used for.

use std::fmt;

/// The scopes of an API key: names that the service gives to kinds of routes, such as `orders:read`.
///
/// ```
/// use palisade::auth::Scopes;
///
/// let scopes = Scopes::of(["orders:read", "orders:write"]);
/// assert!(scopes.has("orders:read"));
/// assert!(!scopes.has("orders"));
/// assert_eq!(scopes.to_string(), "orders:read orders:write");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Gathers scopes, each once and in the order of their names. A name holds no white space.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scopes: Vec<String> = names.into_iter().map(str::to_owned).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Self {
        Self::of(text.split_ascii_whitespace())
    }

    /// Tells whether `scope` is one of them.
    pub fn has(&self, scope: &str) -> bool {
        self.0.iter().any(|known| known == scope)
    }

    /// Returns each scope.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(" "))
    }
}
