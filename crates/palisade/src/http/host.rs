//! The host that a request names: exactly one, well formed, and the same wherever it stands.

use std::net::Ipv6Addr;

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Version};

use super::{Problem, problem};

/// Longest name that DNS knows (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

/// Refuses a request whose body is framed oddly, and one without exactly one well-formed host (RFC 9112, section 3.2; RFC 9113,
/// section 8.3.1).
pub(super) fn check_host(parts: &http::request::Parts) -> Result<(), Problem> {
    let refuse = |detail: &'static str| Err(Problem::new(problem::BAD_REQUEST).detail(detail));
    if !is_plainly_framed(&parts.headers) {
        return refuse("Transfer-Encoding may only be chunked.");
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return refuse("There is more than one Host header.");
    }
    let target = parts.uri.authority();
    if target.is_some_and(|target| !is_host(target.as_str())) {
        return refuse("The host in the request's target is malformed.");
    }
    match (host.map(HeaderValue::to_str), target) {
        (None, Some(_)) if parts.version == Version::HTTP_2 => Ok(()),
        (None, _) => refuse("The Host header is missing."),
        (Some(Ok(host)), Some(target)) if is_host(host) && !same_host(host, target) => {
            refuse("The Host header and the request's target name different hosts.")
        }
        (Some(Ok(host)), _) if is_host(host) => Ok(()),
        (Some(_), _) => refuse("The Host header is malformed."),
    }
}

/// Tells whether a body that is not framed by its length is framed by `chunked` and nothing else
/// (RFC 9112, section 6.1): what is before it would be left to who reads next.
pub(super) fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn same_host(host: &str, target: &Authority) -> bool {
    host.eq_ignore_ascii_case(target.as_str())
}

/// A name, an IPv4 address or an IPv6 address in brackets, and a port if there is a colon. The
/// grammar of RFC 3986 allows more in a name; nobody has such a host, and a log or a cache that
/// reads it otherwise would be fooled.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => (1..=LONGEST_HOST).contains(&name.len()) && name.bytes().all(is_plain),
    };
    is_name && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(version: Version, target: &str, hosts: &[&str]) -> bool {
        let mut request = http::Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        check_host(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn exactly_one_well_formed_host_is_asked_for() {
        for good in ["x", "x:1", "localhost:8443", "127.0.0.1", "[::1]:443", "a.example.com"] {
            assert!(verdict(Version::HTTP_11, "/", &[good]), "{good}");
        }
        for bad in ["", "a b", "a/b", "user@x", "x:99999", "x:", "x:y", "a,b", "[::1", "#", "?"] {
            assert!(!verdict(Version::HTTP_11, "/", &[bad]), "{bad}");
        }
        assert!(!verdict(Version::HTTP_11, "/", &[]));
        assert!(!verdict(Version::HTTP_11, "/", &["x", "x"]));
    }

    #[test]
    fn a_target_with_a_host_must_name_the_same_one() {
        assert!(verdict(Version::HTTP_2, "https://x/", &[]));
        assert!(!verdict(Version::HTTP_11, "http://x/", &[]));
        assert!(verdict(Version::HTTP_11, "http://X:80/", &["x:80"]));
        assert!(!verdict(Version::HTTP_2, "https://x/", &["y"]));
        assert!(!verdict(Version::HTTP_11, "http://evil/", &["x"]));
    }
}
