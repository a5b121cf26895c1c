//! Usernames: 1 to 32 ASCII letters and digits, in lower case.
//!
//! The white space around a name is dropped and its case is folded before it is judged, so `Ada`
//! and ` ada ` are one account. Other scripts are left out: names that look alike are a way to
//! pass for somebody else.

use std::fmt;

use palisade::input::{FromText, Invalid, Schema, string_schema, with_keyword};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::trimmed::{WHITE_SPACE, trimmed};

/// Most characters of a name as it comes in, the white space around it included.
const MOST_RAW: usize = 256;

/// Most characters of a name itself.
const MOST: usize = 32;

/// Names that nobody signs up with, sorted: they speak for the service, for mail (RFC 2142), or
/// for nobody, or could be taken for a part of a path. Operators may still be given one.
const RESERVED: &[&str] = &[
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "apikey",
    "guest",
    "help",
    "hostmaster",
    "info",
    "mail",
    "mailerdaemon",
    "me",
    "moderator",
    "nobody",
    "noreply",
    "null",
    "operator",
    "orderdesk",
    "orders",
    "owner",
    "postmaster",
    "root",
    "security",
    "staff",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "undefined",
    "users",
    "webmaster",
    "www",
];

/// The name by which an account signs in.
///
/// ```
/// use orderdesk::accounts::Username;
/// use palisade::input::FromText;
///
/// assert_eq!(Username::from_text("  Alice42 ").unwrap().as_str(), "alice42");
/// assert_eq!(Username::from_text("a b").unwrap_err().code, "characters");
/// assert_eq!(Username::from_text(" ").unwrap_err().code, "length");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

impl Username {
    /// Returns the name in its stored form: lower case, no white space.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the name could be taken for the service or for one of its people.
    ///
    /// Only [`NewUsername`] asks: an account made by an operator may have such a name.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

impl FromText for Username {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let name = trimmed(raw, MOST_RAW).unwrap_or_default();
        if !(1..=MOST).contains(&name.chars().count()) {
            return Err(Invalid::new("length", "Must be 1 to 32 letters and digits."));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Invalid::new("characters", "Must be letters from a to z and digits only."));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl Schema for Username {
    fn schema() -> Value {
        let pattern = format!("^{WHITE_SPACE}*[A-Za-z0-9]{{1,{MOST}}}{WHITE_SPACE}*$");
        with_keyword(string_schema(1..=MOST_RAW, &pattern), "examples", ["ada"])
    }
}

impl fmt::Display for Username {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl Serialize for Username {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

/// A name that somebody gives to sign in: any text, because a name that no account can have is
/// refused like one that none has.
#[derive(Debug, Clone)]
pub struct GivenUsername(Option<Username>);

impl GivenUsername {
    /// Returns the name, or `None` if no account can have it.
    pub fn into_username(self) -> Option<Username> {
        self.0
    }
}

impl FromText for GivenUsername {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        if !(1..=MOST_RAW).contains(&raw.chars().count()) {
            return Err(Invalid::new("length", "Must be 1 to 256 characters."));
        }
        Ok(Self(Username::from_text(raw).ok()))
    }
}

impl Schema for GivenUsername {
    fn schema() -> Value {
        let any = serde_json::json!({"type": "string", "minLength": 1, "maxLength": MOST_RAW});
        with_keyword(any, "examples", ["ada"])
    }
}

/// A name that somebody wants to sign up with: a [`Username`] that is not reserved.
///
/// ```
/// use orderdesk::accounts::NewUsername;
/// use palisade::input::FromText;
///
/// assert_eq!(NewUsername::from_text("ada").unwrap().into_username().as_str(), "ada");
/// assert_eq!(NewUsername::from_text(" Root").unwrap_err().code, "reserved");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUsername(Username);

impl NewUsername {
    /// Returns the name, now that it is known to be free to take.
    pub fn into_username(self) -> Username {
        self.0
    }
}

impl FromText for NewUsername {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let name = Username::from_text(raw)?;
        match name.is_reserved() {
            true => Err(Invalid::new("reserved", "This name is kept for the service itself.")),
            false => Ok(Self(name)),
        }
    }
}

impl Schema for NewUsername {
    /// Lists the reserved names in their stored form; other spellings of them are refused too.
    fn schema() -> Value {
        with_keyword(Username::schema(), "not", json!({ "enum": RESERVED }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::matching;

    fn code(raw: &str) -> &'static str {
        Username::from_text(raw).map_or_else(|why| why.code, |_| "accepted")
    }

    proptest! {
        #[test]
        fn what_the_schema_allows_is_accepted_and_read_again_the_same(
            raw in matching(&Username::schema()),
        ) {
            let name = Username::from_text(&raw).unwrap();
            prop_assert_eq!(name.as_str(), raw.trim().to_ascii_lowercase());
            prop_assert_eq!(Username::from_text(name.as_str()), Ok(name));
        }

        #[test]
        fn what_is_accepted_is_allowed_by_the_schema(raw in "[\\sA-C0-3_é\u{0}]{0,40}") {
            let is_name = |name: &str| name.chars().all(|symbol| symbol.is_ascii_alphanumeric());
            let allowed = (1..=32).contains(&raw.trim().len()) && is_name(raw.trim());
            prop_assert_eq!(Username::from_text(&raw).is_ok(), allowed);
        }
    }

    #[test]
    fn the_lengths_are_checked_before_and_after_trimming() {
        let padded = |spaces: usize| format!("{}a", "\u{3000}".repeat(spaces));

        assert_eq!(code(&padded(255)), "accepted");
        assert_eq!(code(&padded(256)), "length");
        assert_eq!(code(&"a".repeat(32)), "accepted");
        assert_eq!(code(&"a".repeat(33)), "length");
        assert_eq!(code(""), "length");
        assert_eq!(code("\u{a0}\t"), "length");
    }

    #[test]
    fn letters_of_other_scripts_are_refused() {
        for raw in ["аda", "ada\u{200b}", "a\u{301}", "a-b", "a\0", "ａda", "K\u{212a}"] {
            assert_eq!(code(raw), "characters", "{raw:?}");
        }
    }

    #[test]
    fn every_reserved_name_is_one_in_any_spelling() {
        assert!(RESERVED.is_sorted());
        for name in RESERVED {
            let spelled = format!(" {}\n", name.to_ascii_uppercase());
            assert_eq!(NewUsername::from_text(&spelled).unwrap_err().code, "reserved");
            assert_eq!(Username::from_text(&spelled).unwrap().as_str(), *name);
        }
    }
}
