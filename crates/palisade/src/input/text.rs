//! Rules for text that several types share.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::{FromText, Invalid, Schema, string_schema};

/// One line of free text of `LEAST` to `MOST` characters, kept by the rules of [`line()`].
///
/// `LEAST` is 1 or more, or it does not compile. For text that means nothing else; what does, such as a name to sign in with, deserves a type of
/// its own.
///
/// ```
/// use palisade::input::{FromText, Line};
///
/// assert_eq!(Line::<1, 40>::from_text("e\u{301}te\u{301}").unwrap().as_str(), "été");
/// assert_eq!(Line::<1, 40>::from_text("").unwrap_err().code, "length");
/// assert_eq!(Line::<1, 40>::from_text("a\nb").unwrap_err().code, "characters");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line<const LEAST: usize, const MOST: usize>(String);

impl<const LEAST: usize, const MOST: usize> Line<LEAST, MOST> {
    /// Returns the text in NFC.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const LEAST: usize, const MOST: usize> FromText for Line<LEAST, MOST> {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        const { assert!(1 <= LEAST && LEAST <= MOST, "no text has such a length") };
        line(raw, LEAST, MOST).map(Self)
    }
}

impl<const LEAST: usize, const MOST: usize> Schema for Line<LEAST, MOST> {
    fn schema() -> Value {
        string_schema(LEAST..=MOST, LINE_PATTERN)
    }
}

impl<const LEAST: usize, const MOST: usize> fmt::Display for Line<LEAST, MOST> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl<const LEAST: usize, const MOST: usize> Serialize for Line<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

/// Reads one line of free text: NFC, `least` to `most` characters, no controls, no characters
/// that turn the direction of writing.
///
/// The characters are counted after normalisation (Unicode Standard Annex 15). Controls are
/// refused because they break logs and terminals; the bidirectional overrides and isolates
/// because they make text read otherwise than it is stored (Unicode Technical Standard 39).
///
/// # Errors
///
/// `length` or `characters`.
pub fn line(raw: &str, least: usize, most: usize) -> Result<String, Invalid> {
    let wrong_length = || Invalid::new("length", format!("Must be {least} to {most} characters."));
    // NFC at most triples a text's bytes, and a character has at most four of them.
    if raw.len() > most.saturating_mul(12) {
        return Err(wrong_length());
    }
    let text: String = raw.nfc().collect();
    if !(least..=most).contains(&text.chars().count()) {
        return Err(wrong_length());
    }
    if text.chars().any(is_unsafe) {
        let expected = "Must not hold control characters or marks that turn the writing direction.";
        return Err(Invalid::new("characters", expected));
    }
    Ok(text)
}

/// The ECMA-262 pattern of a text that [`line()`] accepts.
pub const LINE_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+$";

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
