//! Reading one value: from TOML with its types, from the environment as text.
//!
//! Every type here can write itself the way people do, and reads that back as the same value.

use std::borrow::Cow;
use std::fmt;

use crate::secret::redacted;

/// Most characters of a wrong value that a message repeats.
const MOST_SHOWN: usize = 80;

/// Least length of what is taken for a key: 30 random bytes in base64url.
const LIKE_A_KEY: usize = 40;

/// A value as it was written, before anybody judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A TOML string.
    Text(String),
    /// A TOML integer of any base.
    Integer(i128),
    /// `true` or `false`.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Self>),
    /// What no setting accepts: a float, a date, a table, an array in an array.
    Other(String),
    /// A value of the environment, where everything is text.
    Variable(String),
}

impl fmt::Display for Raw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Variable(text) => out.write_str(&quoted(text)),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Boolean(truth) => write!(out, "{truth}"),
            Self::Other(what) => out.write_str(what),
            Self::List(elements) => {
                let shown: Vec<String> = elements.iter().map(Self::to_string).collect();
                write!(out, "[{}]", shown.join(", "))
            }
        }
    }
}

/// A value that cannot be what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Unfit {
    /// What would be accepted.
    pub expected: String,
    /// What was written instead, shortened if it is long.
    pub found: String,
}

impl Unfit {
    /// Says that `raw` is not what `T` expects.
    pub fn for_type<T: FromSetting>(raw: &Raw) -> Self {
        Self::new(T::expected(), &raw.to_string())
    }

    /// Says what would be accepted instead of `found`.
    ///
    /// What is found is not repeated where it may hold a secret: a private key, a URL with a
    /// password, or 40 letters and digits in a row, as a key or a token has them.
    pub fn new(expected: impl Into<String>, found: &str) -> Self {
        // Of a secret that is cut in two, nobody would recognise the half.
        let found = redacted(found);
        if may_hold_a_secret(&found) || looks_like_a_key(&found) {
            return Self { expected: expected.into(), found: HIDDEN.to_owned() };
        }
        let mut shown: String = found.chars().take(MOST_SHOWN).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { expected: expected.into(), found: shown }
    }
}

/// Stands for a value that is not shown.
pub(super) const HIDDEN: &str = "something that is not shown because it may hold a secret";

/// Tells whether a value is a private key, or a URL with a password.
pub(super) fn may_hold_a_secret(value: &str) -> bool {
    let has_user = value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    has_user || value.contains("-----BEGIN")
}

fn looks_like_a_key(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+=".contains(c);
    value.split(|c| !is_part(c)).any(|run| run.len() >= LIKE_A_KEY)
}

/// A type that a setting can have.
///
/// Implement [`from_text`](Self::from_text) and [`written`](Self::written) for a value that is
/// a string in TOML; the other methods then follow.
///
/// ```
/// use std::borrow::Cow;
/// use palisade::config::{FromSetting, Raw};
///
/// #[derive(Debug, PartialEq)]
/// struct Colour(String);
///
/// impl FromSetting for Colour {
///     fn expected() -> Cow<'static, str> {
///         "a colour such as \"green\"".into()
///     }
///     fn from_text(text: &str) -> Option<Self> {
///         text.bytes().all(|b| b.is_ascii_lowercase()).then(|| Self(text.to_owned()))
///     }
///     fn written(&self) -> String {
///         self.0.clone()
///     }
/// }
///
/// let green = Colour::from_raw(&Raw::Text("green".into())).unwrap();
/// assert_eq!(green.to_toml(), "\"green\"");
/// assert!(Colour::from_raw(&Raw::Integer(7)).is_err());
/// ```
pub trait FromSetting: Sized {
    /// Says in words what is accepted, to follow "expected".
    fn expected() -> Cow<'static, str>;

    /// Reads the text form, as the environment has it.
    fn from_text(text: &str) -> Option<Self>;

    /// Writes the text form, so that [`from_text`](Self::from_text) reads the same value.
    fn written(&self) -> String;

    /// Reads a value as it was written in either layer.
    ///
    /// # Errors
    ///
    /// [`Unfit`] for a wrong type or an impossible value.
    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        match raw {
            Raw::Text(text) | Raw::Variable(text) => Self::from_text(text),
            Raw::Integer(_) | Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Unfit::for_type::<Self>(raw))
    }

    /// Writes the value as TOML.
    fn to_toml(&self) -> String {
        quoted(&self.written())
    }

    /// Returns the smallest and the largest value of the type itself, where that says something.
    fn natural_bounds() -> Option<(String, String)> {
        None
    }
}

/// Writes `text` as a TOML basic string, with everything that could upset a terminal escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            unsafe_one if needs_escape(unsafe_one) => {
                out.push_str(&format!("\\u{:04X}", u32::from(unsafe_one)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// Controls, and the marks that turn the direction of writing; all of them below U+10000.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, register};

    #[test]
    fn no_half_of_a_known_secret_is_repeated_where_a_wrong_value_is_cut() {
        register(&Secret::new("correct horse battery".to_owned())).unwrap();

        let unfit = Unfit::new("a rate", &format!("{} correct horse battery", "x y ".repeat(17)));

        assert!(unfit.found.ends_with("x y  [redacted]"), "{unfit}");
    }

    #[test]
    fn what_looks_like_a_key_is_not_repeated_and_what_is_shorter_is() {
        for (found, is_shown) in [("a".repeat(40), false), ("a".repeat(39), true)] {
            let unfit = Unfit::new("a rate", &format!("\"{found}\""));

            assert_eq!(unfit.found.contains(&found), is_shown, "{unfit}");
        }
    }
}
