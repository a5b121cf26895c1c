//! The id that names a request in the answer, in the log and to the people who look for it.

use std::cell::RefCell;

use http::{HeaderMap, HeaderValue};

/// Longest id that is kept from a proxy.
const LONGEST: usize = 64;
/// Random bytes that are fetched at a time, so that not every request asks the kernel.
const BATCH: usize = 1024;

thread_local! {
    static RANDOM: RefCell<Batch> = const { RefCell::new(Batch { bytes: [0; BATCH], used: BATCH }) };
}

struct Batch {
    bytes: [u8; BATCH],
    used: usize,
}

/// An id of 1 to 64 of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Returns the id that the request came with if it is from a trusted proxy, there is one, and
    /// it is plain; 128 random bits otherwise.
    pub(super) fn of(headers: &HeaderMap, is_from_proxy: bool) -> Self {
        let given = if is_from_proxy { kept(headers) } else { None };
        given.map_or_else(Self::random, Self)
    }

    /// Makes an id of 128 random bits.
    pub(super) fn random() -> Self {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(random_bytes()) {
            for (digit, half) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = if half < 10 { b'0' + half } else { b'a' + half - 10 };
            }
        }
        // Hexadecimal digits are always a header's value.
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("none")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn kept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut given = headers.get_all("x-request-id").iter();
    let (Some(id), None) = (given.next(), given.next()) else { return None };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let is_id = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(is_plain);
    is_id.then(|| id.clone())
}

fn random_bytes() -> [u8; 16] {
    RANDOM.with_borrow_mut(|batch| {
        if batch.used + 16 > BATCH {
            // Without randomness the id is not unique, which harms only the search in the log.
            getrandom::fill(&mut batch.bytes).ok();
            batch.used = 0;
        }
        let fresh = batch.bytes.get(batch.used..).and_then(|rest| rest.first_chunk::<16>());
        batch.used += 16;
        fresh.copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_kept_only_from_a_proxy_and_only_if_it_is_plain() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("abc-1"));
        assert_eq!(RequestId::of(&headers, true).as_str(), "abc-1");
        assert_ne!(RequestId::of(&headers, false).as_str(), "abc-1");

        for bad in ["", "a b", "a/b", &"x".repeat(65)] {
            headers.insert("x-request-id", HeaderValue::from_str(bad).unwrap());
            assert_ne!(RequestId::of(&headers, true).as_str(), bad);
        }
        headers.insert("x-request-id", HeaderValue::from_static("a"));
        headers.append("x-request-id", HeaderValue::from_static("a"));
        assert_ne!(RequestId::of(&headers, true).as_str(), "a", "two are none");
    }

    #[test]
    fn ids_do_not_repeat_and_are_hexadecimal() {
        let ids: std::collections::HashSet<String> =
            (0..1000).map(|_| RequestId::random().as_str().to_owned()).collect();

        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
