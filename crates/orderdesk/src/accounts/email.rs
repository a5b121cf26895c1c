//! E-mail addresses: trimmed, in lower case, in the plain form that people write.
//!
//! The grammar is the dot-atom form of RFC 5322 in ASCII: `local@domain`, the local part at most 64
//! characters, each label of the domain at most 63. One label is enough (`root@localhost`): an
//! address is deliverable where somebody says so, not where a rule guesses. Refused, though
//! the RFC knows them, are quoted local parts, IP literals, comments, display names and anything
//! outside ASCII; an international domain is written in its `xn--` form. Whether mail arrives is
//! not known here, and two accounts may have the same address.

use std::fmt;

use email_address::Options;
use palisade::input::{FromText, Invalid, Schema, string_schema, with_keyword};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::trimmed::{WHITE_SPACE, trimmed};

/// Most characters of an address as it comes in, the white space around it included.
const MOST_RAW: usize = 512;

/// Most bytes of an address itself: what SMTP can carry (RFC 5321, erratum 1690).
const MOST: usize = 254;

/// The shortest address is `a@b`.
const LEAST: usize = 3;

/// A run of the characters that a local part has between its dots (RFC 5322 `atext`).
const ATOM: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";

/// A part of a domain between its dots.
const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/// Where mail for an account goes.
///
/// ```
/// use orderdesk::accounts::EmailAddress;
/// use palisade::input::FromText;
///
/// assert_eq!(EmailAddress::from_text("Alice@Example.COM").unwrap().as_str(), "alice@example.com");
/// assert_eq!(EmailAddress::from_text("alice at example.com").unwrap_err().code, "format");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Returns the address in its stored form: lower case, no white space around it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for EmailAddress {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let address = trimmed(raw, MOST_RAW).unwrap_or_default();
        if !(1..=MOST).contains(&address.len()) {
            return Err(Invalid::new("length", "Must be at most 254 bytes, and not empty."));
        }
        if !is_plain(address) {
            let expected = "Must be an address such as ada@example.com: ASCII, no quotes.";
            return Err(Invalid::new("format", expected));
        }
        Ok(Self(address.to_ascii_lowercase()))
    }
}

/// Asks the library, then leaves out what it allows beyond the grammar of this module.
fn is_plain(address: &str) -> bool {
    let options = Options::default().without_display_text().without_domain_literal();
    if email_address::EmailAddress::parse_with_options(address, options).is_err() {
        return false;
    }
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    local.is_ascii() && !local.starts_with('"') && domain.bytes().all(is_host)
}

impl Schema for EmailAddress {
    /// The two look-aheads bound the local part and the whole, which the grammar cannot say.
    fn schema() -> Value {
        let limits = format!("(?![^@]{{65}})(?![!-~]{{{}}})", MOST + 1);
        let address = format!(r"{ATOM}(?:\.{ATOM})*@{LABEL}(?:\.{LABEL})*");
        let pattern = format!("^{WHITE_SPACE}*{limits}{address}{WHITE_SPACE}*$");
        with_keyword(string_schema(LEAST..=MOST_RAW, &pattern), "examples", ["ada@example.com"])
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::matching;

    fn code(raw: &str) -> &'static str {
        EmailAddress::from_text(raw).map_or_else(|why| why.code, |_| "accepted")
    }

    /// Reads the pattern by hand: what it allows, said in another way than the type does.
    fn is_allowed(raw: &str) -> bool {
        let address = raw.trim();
        let Some((local, domain)) = address.split_once('@') else { return false };
        let atext = |symbol: char| "!#$%&'*+/=?^_`{|}~-".contains(symbol);
        let is_atom = |atom: &str| {
            !atom.is_empty() && atom.chars().all(|c| c.is_ascii_alphanumeric() || atext(c))
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        address.len() <= 254
            && local.len() <= 64
            && local.split('.').all(is_atom)
            && domain.split('.').all(is_label)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_the_schema_allows_is_accepted_and_read_again_the_same(
            raw in matching(&EmailAddress::schema()).prop_filter("look-ahead", |raw| is_allowed(raw)),
        ) {
            let address = EmailAddress::from_text(&raw).unwrap();
            prop_assert_eq!(address.as_str(), raw.trim().to_ascii_lowercase());
            prop_assert_eq!(EmailAddress::from_text(address.as_str()), Ok(address));
        }

        #[test]
        fn what_is_accepted_is_allowed_by_the_schema(raw in "[aB1.!é\"@\\[\\]() <>-]{0,6}@[aB1.!é@\\[\\] >-]{0,6}") {
            prop_assert_eq!(EmailAddress::from_text(&raw).is_ok(), is_allowed(&raw), "{:?}", raw);
        }
    }

    #[test]
    fn the_longest_parts_are_accepted_and_one_more_is_not() {
        let (local, label) = ("l".repeat(64), "d".repeat(63));
        let longest = format!("{local}@{label}.{label}.{}", "d".repeat(61));

        assert_eq!(longest.len(), 254);
        assert_eq!(code(&longest), "accepted");
        assert_eq!(code(&format!(" {longest}\u{3000}")), "accepted");
        assert_eq!(code(&format!("{longest}d")), "length");
        assert_eq!(code(&format!("l{local}@d")), "format");
        assert_eq!(code(&format!("l@d{label}")), "format");
        assert_eq!(code(&format!("l@d{}", " ".repeat(509))), "accepted");
        assert_eq!(code(&format!("l@d{}", " ".repeat(510))), "length");
        assert_eq!(code("  "), "length");
    }

    #[test]
    fn forms_that_mail_programs_read_in_different_ways_are_refused() {
        for raw in [
            "\"a b\"@example.com",
            "a@[127.0.0.1]",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "a(comment)@example.com",
            "a@b@c",
            "a@b,c@d",
            "a@b\r\nBcc: c@d",
            "ä@example.com",
            "a@exämple.com",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@b.",
            "a@.b",
            "a@-b",
            "a@b-",
            "a@b_c",
            "@",
            "a",
        ] {
            assert_eq!(code(raw), "format", "{raw:?}");
        }
    }
}
