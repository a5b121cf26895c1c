//! Tokens on their way in and out: the only place where they are shown.

use std::fmt;

use palisade::crypto::Token;
use palisade::input::{FromText, Invalid, Schema, string_schema};
use palisade::secret::Secret;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A session's token, shown once to whoever signed in.
#[derive(Clone)]
pub(super) struct SessionToken(Secret<String>);

impl SessionToken {
    /// Shows `token`.
    pub(super) fn new(token: &Token) -> Self {
        Self(Secret::new(token.expose().to_owned()))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for SessionToken {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.0.expose())
    }
}

impl Schema for SessionToken {
    fn schema() -> Value {
        string_schema(53..=53, "^ods_[A-Za-z0-9_-]{43}[0-9a-z]{6}$")
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
