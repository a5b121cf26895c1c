//! Fingerprints: what was seen before is known again, and cannot be read back.

use hmac::Mac;

use super::hkdf::hmac;
use crate::secret::Secret;

/// Makes fingerprints of values that may be personal or easy to guess, such as a request's body:
/// HMAC-SHA256, so that nobody without the key can try values against a stored one.
///
/// ```
/// use palisade::crypto::{KeyRing, Purpose, random_bytes};
/// use palisade::secret::Secret;
///
/// let ring = KeyRing::new(&Secret::new(random_bytes::<32>().to_vec()), None)?;
/// let requests = ring.fingerprints(Purpose::new("requests"));
///
/// assert_eq!(requests.of(&[b"POST", b"/a"]), requests.of(&[b"POST", b"/a"]));
/// assert_ne!(requests.of(&[b"POST", b"/a"]), requests.of(&[b"POST/", b"a"]));
/// assert_eq!(requests.of_previous(&[b"POST"]), None);
/// # Ok::<(), palisade::crypto::WeakKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fingerprints {
    current: Secret<[u8; 32]>,
    previous: Option<Secret<[u8; 32]>>,
}

impl Fingerprints {
    pub(super) fn new(current: Secret<[u8; 32]>, previous: Option<Secret<[u8; 32]>>) -> Self {
        Self { current, previous }
    }

    /// Returns the fingerprint of `parts`; where one ends and the next begins counts.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        tag(&self.current, parts)
    }

    /// Returns the fingerprint that the key before the current one made of `parts`: to know again
    /// during a rotation what was stored before it. `None` outside of rotations.
    pub fn of_previous(&self, parts: &[&[u8]]) -> Option<[u8; 32]> {
        self.previous.as_ref().map(|key| tag(key, parts))
    }
}

fn tag(key: &Secret<[u8; 32]>, parts: &[&[u8]]) -> [u8; 32] {
    let mut tag = hmac(key.expose());
    for part in parts {
        // The length in front keeps one part from running into the next.
        tag.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        tag.update(part);
    }
    tag.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::{KeyRing, Purpose};

    fn ring(key: u8, previous: Option<u8>) -> KeyRing {
        let secret = |byte: u8| Secret::new(vec![byte; 32]);
        KeyRing::new(&secret(key), previous.map(secret).as_ref()).unwrap()
    }

    const THINGS: Purpose = Purpose::new("things");

    #[test]
    fn another_key_or_purpose_makes_another_fingerprint_and_the_previous_key_is_remembered() {
        let before = ring(1, None).fingerprints(THINGS);
        let after = ring(2, Some(1)).fingerprints(THINGS);

        assert_ne!(before.of(&[b"x"]), after.of(&[b"x"]));
        assert_eq!(after.of_previous(&[b"x"]), Some(before.of(&[b"x"])));
        assert_ne!(
            before.of(&[b"x"]),
            ring(1, None).fingerprints(Purpose::new("other")).of(&[b"x"])
        );
    }

    proptest! {
        #[test]
        fn any_difference_makes_another_fingerprint(
            left in prop::collection::vec("[ab]{0,3}", 0..4),
            right in prop::collection::vec("[ab]{0,3}", 0..4),
        ) {
            let fingerprints = ring(1, None).fingerprints(THINGS);
            let of = |parts: &[String]| {
                fingerprints.of(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
            };
            prop_assert_eq!(of(&left) == of(&right), left == right);
        }
    }
}
