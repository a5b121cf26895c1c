//! Names for people in the log: the same person, the same text, and no way back.

use std::fmt;
use std::sync::Arc;

use hmac::Mac;

use super::hkdf::hmac;
use super::tokens::ALPHABET;
use super::{KeyRing, Purpose};
use crate::secret::Secret;

/// Characters of a pseudonym behind the `~`: as many as 64 bits need, five bits each.
const CHARACTERS: usize = 13;
const LOG: Purpose = Purpose::new("log");

/// Makes pseudonyms of names and e-mail addresses, which must not stand in a log.
///
/// A pseudonym tells two people apart and finds all lines about one whose name is known, by
/// whoever has the key: the service can be asked, a reader of the log cannot. It is the first 64
/// bits of an HMAC-SHA256 with a key derived for this alone, as `~` and 13 characters of Crockford
/// base 32. Another secret key makes other pseudonyms, and lines from before no longer match.
///
/// Who has the log and can sign up, or sign in, still learns pseudonyms of names of their own
/// choice, by looking for the line. Under data protection law it remains personal data.
///
/// ```
/// use palisade::crypto::{KeyRing, Pseudonyms, random_bytes};
/// use palisade::secret::Secret;
///
/// let ring = KeyRing::new(&Secret::new(random_bytes::<32>().to_vec()), None)?;
/// let pseudonyms = Pseudonyms::new(&ring);
///
/// let ada = pseudonyms.of("ada@example.com").to_string();
/// assert_eq!(ada.len(), 14);
/// assert_eq!(ada, pseudonyms.of("ada@example.com").to_string());
/// assert_ne!(ada, pseudonyms.of("bob@example.com").to_string());
/// # Ok::<(), palisade::crypto::WeakKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pseudonyms(Arc<Secret<[u8; 32]>>);

/// A pseudonym: shown as `~` and 13 characters of `0-9a-z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pseudonym(u64);

impl Pseudonyms {
    /// Makes those of the current key of `ring`.
    pub fn new(ring: &KeyRing) -> Self {
        Self(Arc::new(ring.derive(LOG)))
    }

    /// Returns the pseudonym of `text`. Bring it into its canonical form first: another spelling
    /// is another text.
    pub fn of(&self, text: &str) -> Pseudonym {
        let tag = hmac(self.0.expose()).chain_update(text).finalize().into_bytes();
        Pseudonym(tag.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("~")?;
        (0..CHARACTERS).rev().try_for_each(|place| {
            let digit = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or_default();
            let digit = ALPHABET.get(digit).copied().unwrap_or_default();
            write!(out, "{}", char::from(digit))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of_key(byte: u8) -> Pseudonyms {
        Pseudonyms::new(&KeyRing::new(&Secret::new(vec![byte; 32]), None).unwrap())
    }

    #[test]
    fn a_pseudonym_is_the_same_for_the_same_text_and_key_and_for_no_other() {
        let names = ["ada", "Ada", "ada ", "", "ada@example.com"];
        let seen: HashSet<String> = [1, 2]
            .iter()
            .flat_map(|key| names.map(|name| of_key(*key).of(name).to_string()))
            .collect();

        assert_eq!(seen.len(), 10);
        assert_eq!(of_key(1).of("ada"), of_key(1).of("ada"));
        for shown in &seen {
            assert!(shown.len() == 14 && shown.starts_with('~'), "{shown}");
            assert!(!shown.contains("ada"));
        }
    }

    #[test]
    fn all_64_bits_are_shown() {
        assert_eq!(Pseudonym(u64::MAX).to_string(), "~fzzzzzzzzzzzz");
        assert_eq!(Pseudonym(0).to_string(), "~0000000000000");
        assert_eq!(Pseudonym(1).to_string(), "~0000000000001");
    }
}
