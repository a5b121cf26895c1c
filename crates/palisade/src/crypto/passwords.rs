//! Passwords: which ones may be chosen, and how one is read at sign-in.
//!
//! The rules are those of NIST SP 800-63B-4 for a password that is the only factor: at least 15
//! characters, long ones welcome, every character allowed, no rule about which kinds must appear,
//! nothing that is commonly used. Both types hold the text in NFC, so that the same word typed on
//! two keyboards is the same password. Hashing is the matter of [`super::Hasher`].

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::common_passwords::is_common;
use crate::input::{FromText, Invalid, Schema};
use crate::secret::Secret;

/// The fewest characters of a password that is chosen; counted after normalisation.
const LEAST: usize = 15;

/// The most characters. Hashing takes the same time for all of them, reading does not.
const MOST: usize = 256;

/// The most bytes that are normalised at all: no character of NFC is made from more than 12.
const MOST_RAW_BYTES: usize = MOST * 12;

/// A password that somebody chose and that may be stored.
///
/// ```
/// use palisade::crypto::Password;
///
/// assert!(Password::new("correct horse battery staple").is_ok());
/// assert_eq!(Password::new("hunter2").unwrap_err().code, "length");
/// assert_eq!(Password::new("Password123456!").unwrap_err().code, "common_password");
/// ```
#[derive(Debug, Clone)]
pub struct Password(pub(super) Secret<String>);

impl Password {
    /// Reads a password that is being chosen.
    ///
    /// # Errors
    ///
    /// `length` for fewer than 15 or more than 256 characters, `common_password` for one that an
    /// attacker tries first.
    pub fn new(raw: &str) -> Result<Self, Invalid> {
        let text = normalised(raw, LEAST)?;
        if is_common(text.expose()) {
            let detail = "Must not be a password that many people use, or one made from such.";
            return Err(Invalid::new("common_password", detail));
        }
        Ok(Self(text))
    }

    /// Returns whether the password is one of `names` but for capitals and spaces around it:
    /// the account's name, its e-mail address, the name of the service.
    pub fn is_any_of(&self, names: &[&str]) -> bool {
        let password = Secret::new(self.0.expose().trim().to_lowercase());
        let is_password = |name: &&str| {
            let name: String = name.trim().nfc().collect();
            name.to_lowercase() == *password.expose()
        };
        names.iter().any(is_password)
    }
}

impl FromText for Password {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        Self::new(raw)
    }
}

impl Schema for Password {
    fn schema() -> Value {
        json!({
            "type": "string",
            "minLength": LEAST,
            "maxLength": MOST,
            "format": "password",
            "writeOnly": true,
        })
    }
}

/// A password that somebody shows at sign-in: any text of 1 to 256 characters.
///
/// It is not judged by the rules for new ones, which may have been others when it was chosen.
#[derive(Debug, Clone)]
pub struct GivenPassword(pub(super) Secret<String>);

impl GivenPassword {
    /// Reads a password that is shown.
    ///
    /// # Errors
    ///
    /// `length` for an empty text or more than 256 characters.
    pub fn new(raw: &str) -> Result<Self, Invalid> {
        normalised(raw, 1).map(Self)
    }
}

impl FromText for GivenPassword {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        Self::new(raw)
    }
}

impl Schema for GivenPassword {
    fn schema() -> Value {
        json!({
            "type": "string",
            "minLength": 1,
            "maxLength": MOST,
            "format": "password",
            "writeOnly": true,
        })
    }
}

/// Returns `raw` in NFC if it then has `least` to 256 characters.
fn normalised(raw: &str, least: usize) -> Result<Secret<String>, Invalid> {
    let wrong_length = || Invalid::new("length", format!("Must be {least} to {MOST} characters."));
    if raw.len() > MOST_RAW_BYTES {
        return Err(wrong_length());
    }
    // Room for the longest outcome: growing would leave copies behind that nobody wipes.
    let mut text = String::with_capacity(raw.len() * 3);
    text.extend(raw.nfc());
    let text = Secret::new(text);
    match (least..=MOST).contains(&text.expose().chars().count()) {
        true => Ok(text),
        false => Err(wrong_length()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(raw: &str) -> Option<&'static str> {
        Password::new(raw).err().map(|why| why.code)
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        for symbol in ["a", "é", "€", "😀"] {
            assert_eq!(code(&symbol.repeat(14)), Some("length"));
            assert_eq!(code(&symbol.repeat(15)), None);
            assert_eq!(code(&symbol.repeat(256)), None);
            assert_eq!(code(&symbol.repeat(257)), Some("length"));
        }
    }

    #[test]
    fn characters_are_counted_after_normalisation() {
        assert_eq!(code(&"e\u{301}".repeat(14)), Some("length"));
        assert_eq!(code(&"e\u{301}".repeat(256)), None);
        // U+1D160 becomes three characters in NFC.
        assert_eq!(code(&"\u{1d160}".repeat(5)), None);
        assert_eq!(code(&"\u{1d160}".repeat(86)), Some("length"));
    }

    #[test]
    fn a_text_too_long_to_be_normalised_is_refused_unread() {
        assert_eq!(code(&"x".repeat(50_000_000)), Some("length"));
        assert!(GivenPassword::new(&"e\u{301}".repeat(50_000)).is_err());
    }

    #[test]
    fn both_ways_of_typing_a_letter_are_the_same_password() {
        let composed = Password::new("caf\u{e9} au lait et pain").unwrap();
        let decomposed = GivenPassword::new("cafe\u{301} au lait et pain").unwrap();
        assert_eq!(composed.0.expose(), decomposed.0.expose());
    }

    #[test]
    fn every_character_is_allowed_and_none_is_asked_for() {
        for raw in [
            "zzzzzzzzzzzzzzz",
            "               ",
            "\u{0}\u{1}\n\t\u{7f}k3jd9wqmzx",
            "ЖЖЖЖЖЖЖЖЖЖЖЖЖЖЖ",
        ] {
            assert_eq!(code(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn a_given_password_needs_one_character_and_no_more() {
        assert!(GivenPassword::new("").is_err());
        assert!(GivenPassword::new("p").is_ok());
        assert!(GivenPassword::new(&"p".repeat(256)).is_ok());
        assert!(GivenPassword::new(&"p".repeat(257)).is_err());
    }

    #[test]
    fn a_password_that_is_a_name_is_found_in_any_case() {
        let password = Password::new("Ada.Lovelace@Example.com ").unwrap();
        assert!(password.is_any_of(&["x", "ada.lovelace@example.COM"]));
        assert!(!password.is_any_of(&["ada.lovelace@example.org", ""]));
        assert!(!password.is_any_of(&[]));
        let password = Password::new("STRA\u{df}E E\u{301}COLE 15").unwrap();
        assert!(password.is_any_of(&["stra\u{df}e \u{e9}cole 15"]));
    }

    #[test]
    fn nothing_of_a_password_is_shown() {
        let shown = format!(
            "{:?} {:?}",
            Password::new("it was a dark night").unwrap(),
            GivenPassword::new("it was a dark night").unwrap()
        );
        assert_eq!(shown, "Password([redacted]) GivenPassword([redacted])");
    }
}
