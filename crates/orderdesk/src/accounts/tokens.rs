//! Tokens on their way in and out: the only place where they are shown.

use std::fmt;

use palisade::crypto::Token;
use palisade::input::{FromText, Invalid, Schema, string_schema, with_keyword};
use palisade::secret::Secret;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::credentials::RESET;

/// Declares a token that is shown once to whoever made it, and a text of its form that is read.
macro_rules! shown_once {
    ($(#[doc = $about:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $about])*
        #[derive(Clone)]
        pub(super) struct $name(Secret<String>);

        impl $name {
            /// Shows `token`.
            pub(super) fn new(token: &Token) -> Self {
                Self(Secret::new(token.expose().to_owned()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.0.expose())
            }
        }

        impl Schema for $name {
            fn schema() -> Value {
                string_schema(53..=53, concat!("^", $prefix, "[A-Za-z0-9_-]{43}[0-9a-z]{6}$"))
            }
        }
    };
}

shown_once! {
    /// A session's token, shown once to whoever signed in.
    SessionToken, "ods_"
}

shown_once! {
    /// An API key, shown once to whoever made it.
    ShownKey, "odk_"
}

shown_once! {
    /// A token that chooses a new password, shown once to the operator who made it.
    ShownReset, "odr_"
}

/// A token that chooses a new password, as somebody sends it. One of another form is like one that
/// there is not.
#[derive(Debug, Clone)]
pub(super) struct GivenReset(Option<Token>);

impl GivenReset {
    /// Returns the token, if it has the form of one.
    pub(super) fn into_token(self) -> Option<Token> {
        self.0
    }
}

impl FromText for GivenReset {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        match (1..=200).contains(&raw.len()) {
            true => Ok(Self(Token::parse(RESET, raw))),
            false => Err(Invalid::new("length", "Must be 1 to 200 characters.")),
        }
    }
}

impl Schema for GivenReset {
    fn schema() -> Value {
        with_keyword(string_schema(1..=200, "^.*$"), "writeOnly", true)
    }
}

/// A text that is shown once, such as a recovery code.
#[derive(Clone)]
pub(super) struct ShownSecret(Secret<String>);

impl ShownSecret {
    /// Shows `secret`.
    pub(super) fn new(secret: Secret<String>) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for ShownSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for ShownSecret {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.0.expose())
    }
}

impl Schema for ShownSecret {
    fn schema() -> Value {
        string_schema(1..=400, "^[ -~]+$")
    }
}

/// The token by which an account knows a device again.
#[derive(Clone)]
pub(super) struct DeviceToken(Secret<String>);

impl DeviceToken {
    /// Shows `token`.
    pub(super) fn new(token: Secret<String>) -> Self {
        Self(token)
    }

    /// Returns the token's text.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromText for DeviceToken {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if (1..=200).contains(&raw.len()) && raw.bytes().all(is_plain) {
            return Ok(Self(Secret::new(raw.to_owned())));
        }
        Err(Invalid::new("pattern", "Must be a device_token that a sign-in gave."))
    }
}

impl Serialize for DeviceToken {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.0.expose())
    }
}

impl Schema for DeviceToken {
    fn schema() -> Value {
        string_schema(1..=200, "^[A-Za-z0-9_-]+$")
    }
}
