//! Secrets that the service must be able to read again, as they lie in the database.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes of a nonce.
const NONCE: usize = 12;

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret could not be sealed")]
pub struct SealError;

/// Seals secrets for the database, and opens them: AES-256-GCM-SIV (RFC 8452), which a nonce that comes
/// twice does not break, with random nonces.
///
/// What is sealed for one context, such as the id of an account, opens for no other: a row that is
/// copied to another account is worth nothing there.
///
/// ```
/// use palisade::crypto::{KeyRing, Purpose, random_bytes};
/// use palisade::secret::Secret;
///
/// let ring = KeyRing::new(&Secret::new(random_bytes::<32>().to_vec()), None)?;
/// let sealer = ring.sealer(Purpose::new("notes"));
///
/// let sealed = sealer.seal("account 17", b"a secret")?;
/// assert_eq!(sealer.open("account 17", &sealed).unwrap().expose(), b"a secret");
/// assert!(sealer.open("account 18", &sealed).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sealer {
    current: Secret<[u8; 32]>,
    previous: Option<Secret<[u8; 32]>>,
}

impl Sealer {
    pub(super) fn new(current: Secret<[u8; 32]>, previous: Option<Secret<[u8; 32]>>) -> Self {
        Self { current, previous }
    }

    /// Returns `secret` sealed for `context` with the current key, as base64url.
    ///
    /// # Errors
    ///
    /// [`SealError`], if the system has no random bytes.
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<String, SealError> {
        Ok(BASE64URL_NOPAD.encode(&seal_with(&self.current, context.as_bytes(), secret)?))
    }

    /// Returns what `text` was made of, if it is exactly what [`Sealer::seal`] wrote for `context` with
    /// the current or the previous key.
    pub fn open(&self, context: &str, text: &str) -> Option<Secret<Vec<u8>>> {
        let keys = [Some(&self.current), self.previous.as_ref()];
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        keys.into_iter().flatten().find_map(|key| open_with(key, context.as_bytes(), &sealed))
    }

    /// Returns what the previous key has sealed, sealed with the current one; `None` if it was sealed
    /// with that, or opens with neither.
    ///
    /// # Errors
    ///
    /// As [`Sealer::seal`].
    pub fn renew(&self, context: &str, text: &str) -> Result<Option<String>, SealError> {
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let (previous, context_bytes) = (self.previous.as_ref(), context.as_bytes());
        let secret = previous.zip(sealed);
        let secret = secret.and_then(|(key, sealed)| open_with(key, context_bytes, &sealed));
        secret.map(|secret| self.seal(context, secret.expose())).transpose()
    }
}

/// Returns a random nonce, `secret` under it, and the tag: 28 bytes more than `secret` has.
pub(super) fn seal_with(
    with: &Secret<[u8; 32]>,
    context: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, SealError> {
    // Longer than what is appended, so that nothing is left behind unwiped by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(secret.len() + 64));
    text.extend_from_slice(secret);
    let nonce = key(with)?.seal_in_place_append_tag(Aad::from(context), &mut *text);
    let nonce = nonce.map_err(|_| SealError)?;
    Ok([nonce.as_ref().as_slice(), text.as_slice()].concat())
}

/// Returns what [`seal_with`] was given, if it was given the same key and context.
pub(super) fn open_with(
    with: &Secret<[u8; 32]>,
    context: &[u8],
    sealed: &[u8],
) -> Option<Secret<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let (nonce, context) = (Nonce::assume_unique_for_key(*nonce), Aad::from(context));
    let opened = key(with).ok()?.open_in_place(nonce, context, text.as_mut_slice());
    opened.ok().map(|secret| Secret::new(secret.to_vec()))
}

fn key(bytes: &Secret<[u8; 32]>) -> Result<RandomizedNonceKey, SealError> {
    RandomizedNonceKey::new(&AES_256_GCM_SIV, bytes.expose()).map_err(|_| SealError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{KeyRing, Purpose};

    fn sealer(key: u8, previous: Option<u8>) -> Sealer {
        let secret = |byte| Secret::new(vec![byte; 32]);
        let ring = KeyRing::new(&secret(key), previous.map(secret).as_ref()).unwrap();
        ring.sealer(Purpose::new("test"))
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_in_the_same_context_only() {
        let sealed = sealer(1, None).seal("ada", b"a secret").unwrap();

        assert_eq!(sealer(1, None).open("ada", &sealed).unwrap().expose(), b"a secret");
        assert!(sealer(1, None).open("bob", &sealed).is_none());
        assert!(sealer(2, None).open("ada", &sealed).is_none());
        assert!(sealer(2, Some(1)).open("ada", &sealed).is_some(), "during a rotation");
        assert!(!sealed.contains("secret"));
    }

    #[test]
    fn a_text_that_was_changed_anywhere_does_not_open() {
        let sealer = sealer(1, None);
        let sealed = sealer.seal("", b"a secret").unwrap();
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).unwrap();

        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open("", &BASE64URL_NOPAD.encode(&changed)).is_none());
        }
        for length in 0..bytes.len() {
            assert!(sealer.open("", &BASE64URL_NOPAD.encode(&bytes[..length])).is_none());
        }
    }

    #[test]
    fn what_the_previous_key_sealed_is_sealed_anew_once() {
        let old = sealer(1, None).seal("ada", b"a secret").unwrap();
        let rotated = sealer(2, Some(1));

        let new = rotated.renew("ada", &old).unwrap().unwrap();

        assert_eq!(sealer(2, None).open("ada", &new).unwrap().expose(), b"a secret");
        assert_eq!(rotated.renew("ada", &new), Ok(None));
        assert_eq!(rotated.renew("bob", &old), Ok(None));
        assert_eq!(sealer(3, None).renew("ada", &old), Ok(None));
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let sealer = sealer(1, None);
        assert_ne!(sealer.seal("", b"a secret"), sealer.seal("", b"a secret"));
    }
}
