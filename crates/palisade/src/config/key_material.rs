//! Keys that people paste: decoded, and refused when a machine could guess them.
//!
//! No test can prove that bytes are random. These refuse what is surely not: words, patterns,
//! sentences, encoded text. A key from a good source passes but for one in a million.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::key_words;
use crate::secret::Secret;

/// Fewest bytes of a key: as many as SHA-256 gives.
const LEAST_BYTES: usize = 32;

/// Most characters of a key; the checks look at every pair of them.
const MOST_CHARACTERS: usize = 1024;

/// Fewest different bytes among those of a key; 32 random ones have about 30.
const LEAST_DISTINCT: usize = 16;

/// What people write where a key should be, without separators and in lower case. Six letters
/// and more: shorter words turn up in good keys by chance.
const PLACEHOLDERS: [&str; 9] = [
    "changeme",
    "placeholder",
    "example",
    "password",
    "insecure",
    "secret",
    "replace",
    "qwertyui",
    "notarealkey",
];

/// Why a key is refused. The words never hold any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// It is neither base64url nor hex.
    #[error("the key is neither base64url (with - and _, not + and /) nor hex")]
    Encoding,
    /// It has too few bytes.
    #[error("the key is shorter than {LEAST_BYTES} bytes (43 characters base64url, 64 hex)")]
    TooShort,
    /// It has too many bytes.
    #[error("the key is longer than {MOST_CHARACTERS} characters")]
    TooLong,
    /// It holds a word such as `changeme`.
    #[error("the key is a placeholder, not a key")]
    Placeholder,
    /// It repeats itself.
    #[error("the key repeats itself")]
    Repetition,
    /// It counts up or down.
    #[error("the key is a sequence")]
    Sequence,
    /// It is text that somebody thought of.
    #[error("the key is text, not random bytes")]
    Text,
    /// It has too few different bytes.
    #[error("the key has fewer than {LEAST_DISTINCT} different bytes, so it is not random")]
    LowEntropy,
}

/// Reads and makes keys of at least 32 random bytes.
///
/// ```
/// use palisade::config::{KeyMaterial, WeakKey};
/// use palisade::secret::Secret;
///
/// let key = KeyMaterial::generate();
/// assert_eq!(KeyMaterial::parse(&key).unwrap().expose().len(), 32);
///
/// let lazy = Secret::new("changeme".repeat(8));
/// assert_eq!(KeyMaterial::parse(&lazy).unwrap_err(), WeakKey::Placeholder);
/// ```
#[derive(Debug)]
pub enum KeyMaterial {}

impl KeyMaterial {
    /// Decodes `written`: hex if it is 64 or more hexadecimal digits, otherwise base64url, with
    /// or without padding.
    ///
    /// # Errors
    ///
    /// [`WeakKey`].
    pub fn parse(written: &Secret<String>) -> Result<Secret<Vec<u8>>, WeakKey> {
        let text = written.expose();
        if text.len() > MOST_CHARACTERS {
            return Err(WeakKey::TooLong);
        }
        judge_text(text)?;
        let bytes = decode(text)?;
        judge_bytes(bytes.expose())?;
        Ok(bytes)
    }

    /// Makes a key of 32 random bytes, as 43 characters of base64url.
    ///
    /// # Panics
    ///
    /// Never in practice: only if the operating system has no random source.
    pub fn generate() -> Secret<String> {
        loop {
            let mut bytes = Zeroizing::new([0_u8; LEAST_BYTES]);
            #[expect(clippy::expect_used, reason = "without randomness nothing here is safe")]
            getrandom::fill(bytes.as_mut()).expect("the operating system gives random bytes");
            let key = Secret::new(BASE64URL_NOPAD.encode(bytes.as_ref()));
            if Self::parse(&key).is_ok() {
                return key;
            }
        }
    }
}

fn decode(text: &str) -> Result<Secret<Vec<u8>>, WeakKey> {
    let is_hex = !text.is_empty() && text.bytes().all(|symbol| symbol.is_ascii_hexdigit());
    // Fewer digits would decode as base64url too, but whoever wrote them meant hex.
    if is_hex && text.len() < 2 * LEAST_BYTES {
        return Err(WeakKey::TooShort);
    }
    let (encoding, symbols) =
        if is_hex { (&HEXLOWER_PERMISSIVE, text) } else { (&BASE64URL_NOPAD, unpadded(text)?) };
    let length = encoding.decode_len(symbols.len()).map_err(|_| WeakKey::Encoding)?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    encoding.decode_mut(symbols.as_bytes(), &mut bytes).map_err(|_| WeakKey::Encoding)?;
    if bytes.len() < LEAST_BYTES {
        return Err(WeakKey::TooShort);
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Takes complete padding off.
fn unpadded(text: &str) -> Result<&str, WeakKey> {
    let symbols = text.trim_end_matches('=');
    let padding = text.len() - symbols.len();
    let is_complete = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    is_complete.then_some(symbols).ok_or(WeakKey::Encoding)
}

/// Refuses what is weak as it is written, whatever it decodes to.
fn judge_text(text: &str) -> Result<(), WeakKey> {
    let letters = text.chars().filter(|symbol| symbol.is_alphanumeric());
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    if PLACEHOLDERS.iter().any(|word| plain.contains(word)) {
        return Err(WeakKey::Placeholder);
    }
    let symbols = text.trim_end_matches('=').as_bytes();
    judge_pattern(symbols)?;
    let one_case =
        symbols.iter().all(u8::is_ascii_lowercase) || symbols.iter().all(u8::is_ascii_uppercase);
    let is_text = (one_case && !symbols.is_empty()) || key_words::are_most_of(text);
    if is_text { Err(WeakKey::Text) } else { Ok(()) }
}

fn judge_bytes(bytes: &[u8]) -> Result<(), WeakKey> {
    judge_pattern(bytes)?;
    if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Err(WeakKey::Text);
    }
    let mut seen = Zeroizing::new([false; 256]);
    for byte in bytes {
        if let Some(mark) = seen.get_mut(usize::from(*byte)) {
            *mark = true;
        }
    }
    let distinct = seen.iter().filter(|mark| **mark).count();
    if distinct < LEAST_DISTINCT { Err(WeakKey::LowEntropy) } else { Ok(()) }
}

/// Refuses symbols that repeat with any period, that count in equal steps, or of which most are
/// neighbours of the one before.
fn judge_pattern(symbols: &[u8]) -> Result<(), WeakKey> {
    let repeats = |period: usize| {
        let shifted = symbols.get(period..).unwrap_or_default();
        symbols.iter().zip(shifted).all(|(left, right)| left == right)
    };
    if symbols.len() > 1 && (1..=symbols.len() / 2).any(repeats) {
        return Err(WeakKey::Repetition);
    }
    let pairs = || symbols.iter().zip(symbols.iter().skip(1));
    let neighbours = pairs().filter(|(left, right)| left.abs_diff(**right) <= 1).count();
    let step = |(left, right): (&u8, &u8)| right.wrapping_sub(*left);
    let first_step = pairs().next().map(step);
    let counts = pairs().all(|pair| Some(step(pair)) == first_step);
    if neighbours * 2 > symbols.len() || (counts && symbols.len() > 2) {
        return Err(WeakKey::Sequence);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weakness(text: &str) -> Option<WeakKey> {
        KeyMaterial::parse(&Secret::new(text.to_owned())).err()
    }

    const GOOD: [u8; 32] = [
        0x8f, 0x1c, 0xe3, 0x52, 0x07, 0xb9, 0xd4, 0x6a, 0x31, 0xfe, 0x90, 0x4d, 0xa8, 0x75, 0xc2,
        0x1b, 0xee, 0x03, 0x67, 0x9c, 0xd1, 0x48, 0xb5, 0x2f, 0x86, 0x5a, 0xf0, 0x13, 0xc7, 0x74,
        0x3e, 0xa9,
    ];

    proptest! {
        #[test]
        fn arbitrary_text_is_no_key_and_no_panic(text in ".{0,42}") {
            prop_assert!(weakness(&text).is_some());
        }

        #[test]
        fn every_generated_key_is_read_back(_ in 0..64_u8) {
            let key = KeyMaterial::generate();
            prop_assert_eq!(key.expose().len(), 43);
            prop_assert!(KeyMaterial::parse(&key).is_ok());
        }

        #[test]
        fn every_generated_key_is_read_in_every_form_that_is_allowed(_ in 0..64_u8) {
            let key = KeyMaterial::generate();
            let bytes = KeyMaterial::parse(&key).unwrap();
            let hex = HEXLOWER_PERMISSIVE.encode(bytes.expose());
            let forms = [format!("{}=", key.expose()), hex.to_uppercase(), hex];
            for form in forms {
                let read = KeyMaterial::parse(&Secret::new(form.clone()));
                prop_assert!(read.is_ok_and(|read| read.expose() == bytes.expose()), "{}", form);
            }
        }
    }

    #[test]
    fn the_same_bytes_are_accepted_in_every_encoding() {
        let base64url = BASE64URL_NOPAD.encode(&GOOD);
        let hex = HEXLOWER_PERMISSIVE.encode(&GOOD);
        for text in [format!("{base64url}="), base64url, hex.to_uppercase(), hex] {
            let key = KeyMaterial::parse(&Secret::new(text)).expect("a good key");
            assert_eq!(key.expose(), &GOOD);
        }
    }

    #[test]
    fn what_is_not_base64url_or_hex_is_refused() {
        let base64url = BASE64URL_NOPAD.encode(&GOOD);
        for text in [
            format!("{base64url}=="),
            format!(" {base64url}"),
            base64url.replace('_', "/"),
            format!("{}a", HEXLOWER_PERMISSIVE.encode(&GOOD)),
        ] {
            assert_eq!(weakness(&text), Some(WeakKey::Encoding), "{text}");
        }
    }

    #[test]
    fn a_short_key_is_refused_and_short_hex_is_not_taken_for_base64url() {
        assert_eq!(weakness(""), Some(WeakKey::TooShort));
        assert_eq!(weakness(&BASE64URL_NOPAD.encode(&GOOD[..31])), Some(WeakKey::TooShort));
        assert_eq!(weakness(&HEXLOWER_PERMISSIVE.encode(&GOOD[..24])), Some(WeakKey::TooShort));
        assert_eq!(weakness(&"k3Jx".repeat(1000)), Some(WeakKey::TooLong));
    }

    #[test]
    fn placeholders_patterns_and_sentences_are_refused() {
        let sentence = BASE64URL_NOPAD.encode(b"correct horse battery staple and more");
        let counting: Vec<u8> = (0..32).collect();
        let striding: Vec<u8> = (0..32).map(|place: u8| place.wrapping_mul(7)).collect();
        let few: Vec<u8> = GOOD.iter().map(|byte| byte % 13 * 19).collect();
        for (text, why) in [
            ("change-me_CHANGE-me_4Hk29xPq8LmZ0vTb7RyWc3Nd", WeakKey::Placeholder),
            (&"0".repeat(64), WeakKey::Repetition),
            (&"deadbeef".repeat(8), WeakKey::Repetition),
            (&"aB3_".repeat(11), WeakKey::Repetition),
            ("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH", WeakKey::Sequence),
            (&BASE64URL_NOPAD.encode(&counting), WeakKey::Sequence),
            (&BASE64URL_NOPAD.encode(&striding), WeakKey::Sequence),
            (&sentence, WeakKey::Text),
            ("correcthorsebatterystaplebutwithoutanyspaces", WeakKey::Text),
            ("This-is-my-Own-Key-please-rotate-it-soon-ok1", WeakKey::Text),
            ("THIS_KEY_WILL_BE_ROTATED_BEFORE_PRODUCTION_2", WeakKey::Text),
            (&BASE64URL_NOPAD.encode(&few), WeakKey::LowEntropy),
        ] {
            assert_eq!(weakness(text), Some(why), "{text}");
        }
    }
}
