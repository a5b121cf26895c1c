//! A key as it comes in, and as it is kept: two fingerprints, of whose it is and of what it is for.

use http::{HeaderMap, HeaderName};

use crate::crypto::Fingerprints;
use crate::http::Problem;
use crate::input::{Invalid, Violation};

/// The header that brings a key.
pub(super) const HEADER: &str = "Idempotency-Key";
const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in bytes.
pub(super) const LONGEST: usize = 255;

/// A key that came with a request: 1 to 255 visible ASCII characters.
pub(super) struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// Reads the key of a request, if it has one.
    ///
    /// # Errors
    ///
    /// 400 `validation_failed` for two keys, and for one that is empty, too long or not visible
    /// ASCII.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Problem> {
        let mut given = headers.get_all(NAME).iter();
        let Some(key) = given.next() else { return Ok(None) };
        if given.next().is_some() {
            return Err(refused(Invalid::new("duplicate", "Must be given once.")));
        }
        let key = key.as_bytes();
        if !(1..=LONGEST).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            let expected = "Must be 1 to 255 visible ASCII characters.";
            return Err(refused(Invalid::new("format", expected)));
        }
        Ok(Some(Self(key)))
    }

    /// Returns the key as it came.
    pub(super) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

fn refused(why: Invalid) -> Problem {
    let Invalid { code, detail } = why;
    Problem::invalid(vec![Violation { pointer: format!("/{HEADER}"), code, detail }])
}

/// What a request is told by.
pub(super) struct Told<'a> {
    pub(super) caller: &'a str,
    pub(super) key: &'a [u8],
    pub(super) method: &'a str,
    /// Path and query as they were sent.
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
}

/// The place of a key in the table, and what it stands for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) key_hash: [u8; 32],
    pub(super) request: [u8; 32],
}

/// The mark of a request, and during a rotation of `SECRET_KEY` the one from before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) current: Mark,
    pub(super) previous: Option<Mark>,
}

impl Marks {
    pub(super) fn of(fingerprints: &Fingerprints, told: &Told<'_>) -> Self {
        let Told { caller, key, method, target, body } = told;
        let key: [&[u8]; 3] = [b"key", caller.as_bytes(), key];
        let request: [&[u8]; 4] = [b"request", method.as_bytes(), target.as_bytes(), body];
        let current = Mark { key_hash: fingerprints.of(&key), request: fingerprints.of(&request) };
        let previous = fingerprints.of_previous(&key).zip(fingerprints.of_previous(&request));
        let previous = previous.map(|(key_hash, request)| Mark { key_hash, request });
        Self { current, previous }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::{KeyRing, Purpose};
    use crate::secret::Secret;

    fn with_keys(keys: &[&[u8]]) -> HeaderMap {
        let value = |key: &&[u8]| (NAME, HeaderValue::from_bytes(key).unwrap());
        keys.iter().map(value).collect::<Vec<_>>().into_iter().fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        )
    }

    #[test]
    fn a_key_is_one_header_of_1_to_255_visible_characters() {
        assert!(Key::of(&HeaderMap::new()).unwrap().is_none());
        for good in [&b"a"[..], b"!~", b"\"4f-1\"", &[b'k'; LONGEST]] {
            assert_eq!(Key::of(&with_keys(&[good])).unwrap().unwrap().0, good);
        }
        let long = [b'k'; LONGEST + 1];
        for bad in [&b""[..], b"a b", b"a\tb", "ä".as_bytes(), &long] {
            assert_eq!(Key::of(&with_keys(&[bad])).err().unwrap().kind().code, "validation_failed");
        }
        assert!(Key::of(&with_keys(&[b"a", b"a"])).is_err(), "not even the same one twice");
    }

    type Parts = (String, String, String, String, Vec<u8>);

    fn marks((caller, key, method, target, body): &Parts) -> Mark {
        let ring = KeyRing::new(&Secret::new(vec![7; 32]), None).unwrap();
        let fingerprints = ring.fingerprints(Purpose::new("test"));
        let key = key.as_bytes();
        Marks::of(&fingerprints, &Told { caller, key, method, target, body }).current
    }

    fn parts() -> impl Strategy<Value = Parts> {
        // Few characters, so that the same text often stands in another part.
        let text = || "[a/]{0,2}";
        (text(), text(), text(), text(), prop::collection::vec(b'a'..=b'b', 0..3))
    }

    proptest! {
        #[test]
        fn the_fingerprint_differs_for_any_difference(left in parts(), right in parts()) {
            let (one, two) = (marks(&left), marks(&right));
            prop_assert_eq!(one.key_hash == two.key_hash, (&left.0, &left.1) == (&right.0, &right.1));
            let request = |parts: &Parts| (parts.2.clone(), parts.3.clone(), parts.4.clone());
            prop_assert_eq!(one.request == two.request, request(&left) == request(&right));
            prop_assert_ne!(one.key_hash, one.request);
        }
    }
}
