//! One secret key for the whole service, and what is made from it.
//!
//! No key is used for two things: each [`Purpose`] has its own, so that a text signed as a list
//! cursor is worth nothing as a form token. The key is changed by putting the new one first and
//! keeping the old one as `previous` until the last text signed with it is no longer of use.

use data_encoding::BASE64URL_NOPAD;
use hmac::Mac;

use super::hkdf::{expand, extract, hmac};
use super::pepper::Pepper;
use super::{Fingerprints, Peppers, Sealer};
use crate::secret::Secret;

/// The shortest key that is accepted, in bytes: the strength of everything made from it.
const SHORTEST_KEY: usize = 32;

/// The length of a tag in bytes: the whole HMAC-SHA256, cut by nothing.
const TAG: usize = 32;

/// What a derived key is for; two purposes with different names share nothing.
///
/// ```
/// use palisade::crypto::Purpose;
///
/// const CURSOR: Purpose = Purpose::new("cursor");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// Names a purpose; the name must never change while keys made for it are in use.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

const PEPPER: Purpose = Purpose::new("pepper");

/// A key is too short to make others from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key has {length} bytes and needs at least {SHORTEST_KEY} random ones")]
pub struct WeakKey {
    /// How many bytes the refused key has.
    pub length: usize,
}

/// The service's secret key, and the one before it while that is still accepted.
///
/// ```
/// use palisade::crypto::{KeyRing, Purpose, random_bytes};
/// use palisade::secret::Secret;
///
/// let ring = KeyRing::new(&Secret::new(random_bytes::<32>().to_vec()), None)?;
/// let cursors = ring.signer(Purpose::new("cursor"));
///
/// let text = cursors.sign(b"after order 17");
/// assert_eq!(cursors.verify(&text).as_deref(), Some(&b"after order 17"[..]));
/// assert_eq!(ring.signer(Purpose::new("form")).verify(&text), None);
/// # Ok::<(), palisade::crypto::WeakKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: Secret<[u8; 32]>,
    previous: Option<Secret<[u8; 32]>>,
}

impl KeyRing {
    /// Makes a ring that signs with `current` and still accepts what `previous` signed.
    ///
    /// # Errors
    ///
    /// A key of less than 32 bytes is refused; length is all that can be seen of strength, so
    /// draw the bytes from a random source.
    pub fn new(
        current: &Secret<Vec<u8>>,
        previous: Option<&Secret<Vec<u8>>>,
    ) -> Result<Self, WeakKey> {
        Ok(Self { current: uniform(current)?, previous: previous.map(uniform).transpose()? })
    }

    /// Returns the current key for `purpose`, for uses that [`Signer`] does not cover.
    ///
    /// It is independent of the key that [`KeyRing::signer`] uses for the same purpose.
    pub fn derive(&self, purpose: Purpose) -> Secret<[u8; 32]> {
        purpose_key(&self.current, "key", purpose)
    }

    /// Returns what makes fingerprints for `purpose`.
    pub fn fingerprints(&self, purpose: Purpose) -> Fingerprints {
        let key = |key| purpose_key(key, "fingerprints", purpose);
        Fingerprints::new(key(&self.current), self.previous.as_ref().map(key))
    }

    /// Returns what goes into password hashes.
    pub fn peppers(&self) -> Peppers {
        let pepper = |key| {
            let key = purpose_key(key, "key", PEPPER);
            Pepper { name: expand(key.expose(), b"palisade pepper name v1"), key }
        };
        let (current, previous) = (pepper(&self.current), self.previous.as_ref().map(pepper));
        Peppers { current: Some(current), previous }
    }

    /// Returns what seals secrets for `purpose`.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        let key = |key| purpose_key(key, "sealer", purpose);
        Sealer::new(key(&self.current), self.previous.as_ref().map(key))
    }

    /// Returns what signs and verifies texts for `purpose`.
    pub fn signer(&self, purpose: Purpose) -> Signer {
        Signer {
            current: purpose_key(&self.current, "signer", purpose),
            previous: self.previous.as_ref().map(|key| purpose_key(key, "signer", purpose)),
        }
    }
}

/// Signs short texts that clients carry around and bring back unchanged, such as list cursors.
///
/// The payload is not hidden, only protected from changes, and it never runs out by itself: put
/// a date into it where that matters. The text is base64url of the payload and a 32-byte
/// HMAC-SHA256 tag, without padding.
#[derive(Debug, Clone)]
pub struct Signer {
    current: Secret<[u8; 32]>,
    previous: Option<Secret<[u8; 32]>>,
}

impl Signer {
    /// Returns `payload` with its tag, in characters that need no escape in a URL.
    pub fn sign(&self, payload: &[u8]) -> String {
        self.sign_for("", payload)
    }

    /// Returns the payload if `text` is exactly what [`Signer::sign`] wrote, with the current
    /// or the previous key; the tags are compared in constant time.
    pub fn verify(&self, text: &str) -> Option<Vec<u8>> {
        self.verify_for("", text)
    }

    /// Returns `payload` with a tag that also covers `context`, which the text does not hold:
    /// whoever verifies must know it, as a list knows which list it is.
    pub fn sign_for(&self, context: &str, payload: &[u8]) -> String {
        let tag = tagging(&self.current, context, payload).finalize().into_bytes();
        BASE64URL_NOPAD.encode(&[payload, &tag].concat())
    }

    /// Returns the payload if `text` is exactly what [`Signer::sign_for`] wrote for `context`.
    pub fn verify_for(&self, context: &str, text: &str) -> Option<Vec<u8>> {
        let mut payload = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let tag = payload.split_off(payload.len().checked_sub(TAG)?);
        let is_from = |key| tagging(key, context, &payload).verify_slice(&tag).is_ok();
        let is_genuine = is_from(&self.current) || self.previous.as_ref().is_some_and(is_from);
        is_genuine.then_some(payload)
    }
}

/// Starts a tag over both parts; the length in front keeps one from running into the other.
fn tagging(key: &Secret<[u8; 32]>, context: &str, payload: &[u8]) -> impl Mac + use<> {
    let length = u64::try_from(context.len()).unwrap_or(u64::MAX).to_be_bytes();
    hmac(key.expose()).chain_update(length).chain_update(context).chain_update(payload)
}

/// Checks the length of `key` and makes a uniform one from it.
fn uniform(key: &Secret<Vec<u8>>) -> Result<Secret<[u8; 32]>, WeakKey> {
    let length = key.expose().len();
    if length < SHORTEST_KEY {
        return Err(WeakKey { length });
    }
    Ok(Secret::new(extract(b"palisade key ring v1", key.expose())))
}

fn purpose_key(key: &Secret<[u8; 32]>, kind: &str, purpose: Purpose) -> Secret<[u8; 32]> {
    let info = format!("palisade {kind} v1: {}", purpose.0);
    Secret::new(expand(key.expose(), info.as_bytes()))
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "the texts are ASCII")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CURSOR: Purpose = Purpose::new("cursor");

    fn key(byte: u8) -> Secret<Vec<u8>> {
        Secret::new(vec![byte; 32])
    }

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(&key(byte), None).unwrap()
    }

    #[test]
    fn a_short_key_is_refused_as_current_and_as_previous() {
        let short = Secret::new(vec![1; 31]);
        assert_eq!(KeyRing::new(&short, None).unwrap_err(), WeakKey { length: 31 });
        assert!(KeyRing::new(&key(1), Some(&short)).is_err());
    }

    #[test]
    fn a_text_for_one_purpose_is_refused_for_every_other() {
        let text = ring(1).signer(CURSOR).sign(b"x");
        for other in ["", "cursor ", "Cursor", "form"] {
            assert_eq!(ring(1).signer(Purpose::new(other)).verify(&text), None);
        }
        assert_eq!(ring(2).signer(CURSOR).verify(&text), None);
    }

    #[test]
    fn the_previous_key_still_verifies_and_no_longer_signs() {
        let before = ring(1).signer(CURSOR);
        let after = KeyRing::new(&key(2), Some(&key(1))).unwrap().signer(CURSOR);

        assert_eq!(after.verify(&before.sign(b"x")).unwrap(), b"x");
        assert_eq!(before.verify(&after.sign(b"x")), None);
        assert_eq!(ring(2).signer(CURSOR).verify(&after.sign(b"x")).unwrap(), b"x");
    }

    #[test]
    fn derived_keys_differ_by_purpose_ring_and_use() {
        let keys = [
            ring(1).derive(CURSOR),
            ring(1).derive(Purpose::new("form")),
            ring(2).derive(CURSOR),
            ring(1).signer(CURSOR).current,
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(keys[..index].iter().all(|other| !other.matches(key.expose())));
        }
    }

    #[test]
    fn another_writing_of_the_same_bytes_is_refused() {
        let signer = ring(1).signer(CURSOR);
        let text = signer.sign(b"");
        assert_eq!(signer.verify(&text).unwrap(), b"");

        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.iter().position(|c| *c == *text.as_bytes().last().unwrap()).unwrap();
        let twin = format!("{}{}", &text[..text.len() - 1], char::from(alphabet[last | 1]));
        assert_ne!(twin, text);
        for other in [twin, format!("{text}="), format!("{text}\n"), format!(" {text}")] {
            assert_eq!(signer.verify(&other), None, "{other}");
        }
    }

    #[test]
    fn texts_that_are_too_short_are_refused() {
        let signer = ring(1).signer(CURSOR);
        let text = signer.sign(b"payload");
        assert!((0..text.len()).all(|end| signer.verify(&text[..end]).is_none()));
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_nothing_near_it(
            payload: Vec<u8>,
            place: prop::sample::Index,
            symbol in "[A-Za-z0-9_-]",
        ) {
            let signer = ring(1).signer(CURSOR);
            let text = signer.sign(&payload);
            prop_assert_eq!(signer.verify(&text), Some(payload));

            let place = place.index(text.len());
            let forged = format!("{}{symbol}{}", &text[..place], &text[place + 1..]);
            prop_assert!(forged == text || signer.verify(&forged).is_none());
        }
    }
}
