//! The headers that every answer carries.

use http::header::{CACHE_CONTROL, CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::request_id::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const STRICT_TRANSPORT: HeaderValue =
    HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// An API answers with data, never with a page: nothing in it may run, load or be framed
/// (OWASP ASVS 3.4).
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        http::header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
        ),
    ),
];

/// What an answer's own headers are added to. It is made once and copied, because a copy costs
/// less than as many insertions.
#[derive(Debug)]
pub(super) struct Headers {
    template: HeaderMap,
}

impl Headers {
    /// `is_strict`: whether browsers are told to insist on TLS (RFC 6797).
    pub(super) fn new(is_strict: bool) -> Self {
        let mut template = HeaderMap::with_capacity(16);
        template.extend(SECURITY_HEADERS);
        if is_strict {
            template.insert(STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        }
        Self { template }
    }

    /// Completes the headers of an answer. What every answer carries cannot be overridden; only
    /// `Cache-Control` is the answer's own where it has one, and `no-store` otherwise.
    pub(super) fn complete(&self, own: &mut HeaderMap, id: &RequestId, is_last: bool) {
        let mut all = self.template.clone();
        let given = std::mem::take(own);
        let is_cacheable = given.contains_key(CACHE_CONTROL);
        let mut last = None;
        for (name, value) in given {
            // A name is only given with its first value.
            if let Some(name) = &name {
                last = (!self.template.contains_key(name)).then(|| name.clone());
            }
            if let Some(name) = &last {
                all.append(name.clone(), value);
            }
        }
        if !is_cacheable {
            all.insert(CACHE_CONTROL, NO_STORE);
        }
        all.insert(REQUEST_ID, id.header());
        if is_last {
            all.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        *own = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut own = HeaderMap::new();
        for (name, value) in given {
            own.append(*name, HeaderValue::from_static(value));
        }
        Headers::new(false).complete(&mut own, &RequestId::random(), false);
        own
    }

    #[test]
    fn an_answer_cannot_weaken_what_every_answer_carries() {
        let headers = completed(&[("referrer-policy", "unsafe-url"), ("x-request-id", "mine")]);

        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers.get_all("referrer-policy").iter().count(), 1);
        assert_ne!(headers["x-request-id"], "mine");
    }

    #[test]
    fn an_answer_keeps_its_own_headers_and_all_their_values() {
        let headers = completed(&[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("etag", "\"1\"")]);

        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(headers["etag"], "\"1\"");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(completed(&[("cache-control", "public")])["cache-control"], "public");
    }
}
