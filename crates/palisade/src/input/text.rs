//! Rules for text that several types share.

use unicode_normalization::UnicodeNormalization;

use super::Invalid;

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
