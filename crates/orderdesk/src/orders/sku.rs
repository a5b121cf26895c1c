//! Article numbers.

use std::fmt;

use palisade::input::{FromText, Invalid, Schema, string_schema, with_keyword};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Most characters of an article number.
const MOST: usize = 64;

/// Names an article: 1 to 64 ASCII letters, digits, `.`, `_` and `-`, kept as written.
///
/// ```
/// use orderdesk::orders::Sku;
/// use palisade::input::FromText;
///
/// assert_eq!(Sku::from_text("TEA-1.b").unwrap().as_str(), "TEA-1.b");
/// assert_eq!(Sku::from_text("TEA 1").unwrap_err().code, "characters");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sku(String);

impl Sku {
    /// Returns the article number as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for Sku {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        // Counted up to one too many: how much longer a text is does not matter.
        if !(1..=MOST).contains(&raw.chars().take(MOST + 1).count()) {
            return Err(Invalid::new("length", "Must be 1 to 64 characters."));
        }
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !raw.bytes().all(is_known) {
            let expected = "Must be letters from A to Z, digits, dots, underscores and hyphens.";
            return Err(Invalid::new("characters", expected));
        }
        Ok(Self(raw.to_owned()))
    }
}

impl Schema for Sku {
    fn schema() -> Value {
        with_keyword(string_schema(1..=MOST, "^[A-Za-z0-9._-]+$"), "examples", ["TEA-1"])
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl Serialize for Sku {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::matching;

    proptest! {
        #[test]
        fn what_the_schema_allows_is_kept_as_written(raw in matching(&Sku::schema())) {
            let sku = Sku::from_text(&raw).unwrap();
            prop_assert_eq!(sku.as_str(), raw);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let code = |raw: &str| Sku::from_text(raw).map_or_else(|why| why.code, |_| "accepted");

        assert_eq!(code(&"a".repeat(64)), "accepted");
        assert_eq!(code(&"a".repeat(65)), "length");
        assert_eq!(code(&"é".repeat(64)), "characters");
        assert_eq!(code(""), "length");
        for raw in [" a", "a\n", "a/b", "a+b", "=a", "a\0"] {
            assert_eq!(code(raw), "characters", "{raw:?}");
        }
    }
}
