//! Bearer tokens: whoever shows one is taken for its owner, so they must be unguessable, easy to
//! find where they leaked, and worthless in a stolen database.
//!
//! A token is a prefix that tells what it opens, 32 random bytes in base64url (43 characters),
//! and a checksum of 6 characters. The checksum lets a secret scanner, and the service before it
//! asks the database, tell a token from text that looks like one: it is the first 30 bits of the
//! SHA-256 of everything before it, in lower-case Crockford base 32. It is no protection: anybody
//! can compute it. Only the SHA-256 of the whole text is stored; with 256 random bits in it,
//! a slow hash would add nothing.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::random_bytes;
use crate::secret::{Secret, register_prefix};

const RANDOM_CHARACTERS: usize = 43;
const CHECKSUM_CHARACTERS: usize = 6;
/// Crockford's base 32, in lower case.
pub(super) const ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";

/// What a token opens, shown by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenKind(&'static str);

impl TokenKind {
    /// Names a kind by its prefix: 2 to 15 characters from `a` to `z` and `0` to `9`, then `_`.
    ///
    /// # Panics
    ///
    /// If the prefix has another form. In a `const`, as here, that is a compile error:
    ///
    /// ```
    /// use palisade::crypto::TokenKind;
    ///
    /// const SESSION: TokenKind = TokenKind::new("ods_");
    /// ```
    pub const fn new(prefix: &'static str) -> Self {
        assert!(matches!(prefix.len(), 3..=16), "a prefix has 2 to 15 characters and `_`");
        let mut rest = prefix.as_bytes();
        while let [first, after @ ..] = rest {
            match first {
                b'a'..=b'z' | b'0'..=b'9' => {}
                _ => assert!(*first == b'_' && after.is_empty(), "a prefix is a-z, 0-9, then `_`"),
            }
            assert!(*first == b'_' || !after.is_empty(), "a prefix ends in `_`");
            rest = after;
        }
        Self(prefix)
    }

    /// Has tokens of this kind, and what begins like one, replaced from now on in what is logged.
    ///
    /// [`Auth::new`](crate::auth::Auth::new) does it for session tokens.
    pub fn keep_out_of_the_log(self) {
        register_prefix(self.0);
    }
}

/// A bearer token; shown nowhere unless exposed, and wiped when dropped.
///
/// ```
/// use palisade::crypto::{Token, TokenKind};
///
/// const SESSION: TokenKind = TokenKind::new("ods_");
///
/// let token = Token::generate(SESSION);
/// assert!(token.expose().starts_with("ods_"));
/// assert_eq!(format!("{token:?}"), "ods_[redacted]");
///
/// let shown = Token::parse(SESSION, token.expose()).expect("it was made here");
/// assert_eq!(shown.hash(), token.hash());
/// ```
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: Secret<String>,
}

impl Token {
    /// Makes a token with 256 random bits.
    pub fn generate(kind: TokenKind) -> Self {
        let random = Secret::new(random_bytes::<32>());
        let length = kind.0.len() + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS;
        let mut text = String::with_capacity(length);
        text.push_str(kind.0);
        BASE64URL_NOPAD.encode_append(random.expose(), &mut text);
        let checksum = checksum(&text);
        text.extend(checksum.map(char::from));
        Self { kind, text: Secret::new(text) }
    }

    /// Reads `text` if it is a token of this kind exactly as [`Token::generate`] writes it.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(kind.0)?;
        let (random, sum) = rest.split_at_checked(RANDOM_CHARACTERS)?;
        let before = text.get(..kind.0.len() + RANDOM_CHARACTERS)?;
        if sum.as_bytes() != checksum(before) {
            return None;
        }
        let random = Secret::new(BASE64URL_NOPAD.decode(random.as_bytes()).ok()?);
        let is_whole = random.expose().len() == 32;
        is_whole.then(|| Self { kind, text: Secret::new(text.to_owned()) })
    }

    /// Returns what is stored of the token and looked up by.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.text.expose().as_bytes()).into())
    }

    /// Returns the token itself, for its owner only.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}[redacted]", self.kind.0)
    }
}

/// The SHA-256 of a token: it finds the token's row and opens nothing.
///
/// It needs no comparison in constant time: a guesser cannot choose the hash of a guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl AsRef<[u8]> for TokenHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenHash(..)")
    }
}

fn checksum(text: &str) -> [u8; CHECKSUM_CHARACTERS] {
    let digest = Sha256::digest(text.as_bytes());
    let mut bits = digest.iter().take(4).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    [(); CHECKSUM_CHARACTERS].map(|()| {
        let digit = usize::try_from(bits >> 27).unwrap_or_default();
        bits <<= 5;
        ALPHABET.get(digit).copied().unwrap_or_default()
    })
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "the texts are ASCII")]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::secret::redacted;

    const SESSION: TokenKind = TokenKind::new("ods_");
    const KEY: TokenKind = TokenKind::new("odk_");

    #[test]
    fn a_token_has_the_documented_form() {
        let text = Token::generate(SESSION).expose().to_owned();
        assert_eq!(text.len(), 4 + 43 + 6);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        let known = format!("ods_{}", "A".repeat(43));
        let sum = checksum(&known);
        assert_eq!(std::str::from_utf8(&sum), Ok("qegban"));
        assert!(Token::parse(SESSION, &format!("{known}qegban")).is_some());
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        let hashes: HashSet<_> = (0..1_000).map(|_| Token::generate(SESSION).hash()).collect();
        assert_eq!(hashes.len(), 1_000);
    }

    #[test]
    fn a_token_with_a_flipped_bit_is_refused() {
        let text = Token::generate(SESSION).expose().to_owned();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = String::from_utf8(bytes) {
                assert!(Token::parse(SESSION, &flipped).is_none(), "{flipped}");
            }
        }
    }

    #[test]
    fn a_truncated_or_extended_token_is_refused() {
        let text = Token::generate(SESSION).expose().to_owned();
        assert!((0..text.len()).all(|end| Token::parse(SESSION, &text[..end]).is_none()));
        assert!((1..text.len()).all(|start| Token::parse(SESSION, &text[start..]).is_none()));
        for more in ["0", "=", " ", "\n", "é", &text] {
            assert!(Token::parse(SESSION, &format!("{text}{more}")).is_none());
            assert!(Token::parse(SESSION, &format!("{more}{text}")).is_none());
        }
    }

    #[test]
    fn a_token_of_another_kind_is_refused_even_with_the_prefix_swapped() {
        let text = Token::generate(KEY).expose().to_owned();
        assert!(Token::parse(SESSION, &text).is_none());
        assert!(Token::parse(SESSION, &text.replace("odk_", "ods_")).is_none());
        assert!(Token::parse(KEY, &text.to_uppercase()).is_none());
    }

    #[test]
    fn another_writing_of_the_same_bytes_is_refused_though_its_checksum_is_right() {
        let twin = format!("ods_{}B", "A".repeat(42));
        let sum = String::from_utf8(checksum(&twin).to_vec()).unwrap();
        assert!(Token::parse(SESSION, &format!("{twin}{sum}")).is_none());
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = Token::generate(SESSION);
        assert_eq!(format!("{token:?} {:?}", token.hash()), "ods_[redacted] TokenHash(..)");
    }

    #[test]
    fn a_token_of_a_kind_that_was_named_is_replaced_whole_and_cut_short() {
        let token = Token::generate(KEY);
        KEY.keep_out_of_the_log();

        for shown in [token.expose(), &token.expose()[..24]] {
            let line = format!("{{\"authorization\":\"Bearer {shown}\"}}");
            assert_eq!(redacted(&line), r#"{"authorization":"Bearer [redacted]"}"#);
        }
    }

    #[test]
    fn a_prefix_of_another_form_is_refused() {
        for prefix in ["", "_", "a_", "ab", "abc", "Abc_", "a_b_", "abc__", "a-b_"] {
            assert!(std::panic::catch_unwind(|| TokenKind::new(prefix)).is_err(), "{prefix}");
        }
    }
}
