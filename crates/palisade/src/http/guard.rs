//! The guard: one layer around the whole application, so that no answer leaves without it.
//!
//! In order, for every request:
//!
//! 1. a request id, kept from a trusted proxy only;
//! 2. the form of the request: `Host`, length of the address, size of the headers;
//! 3. the client's address, by the proxies that are declared;
//! 4. refusal while draining or when too many requests are in flight;
//! 5. the handler, within the request's deadline, a panic contained;
//! 6. the problem's body, the security headers, and one line in the log.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use ipnet::IpNet;
use tower::ServiceExt;

use super::address::{ClientAddress, client_address};
use super::rate::{AddressPrefix, RateLimiter};
use super::route::Template;
use super::{Api, Lifecycle, Phase, Problem, problem};

/// The limits and circumstances of one listener's requests.
#[derive(Debug)]
pub struct EdgeSettings {
    /// Largest body in bytes, unless a route states its own.
    pub body_bytes: usize,
    /// Longest time a body may take to arrive.
    pub body_timeout: Duration,
    /// Longest time from the head of a request to its answer.
    pub request_timeout: Duration,
    /// Largest sum of the lengths of all header names and values, in bytes.
    pub header_bytes: usize,
    /// Most header lines.
    pub header_count: usize,
    /// Longest path and query, in bytes.
    pub uri_bytes: usize,
    /// Most requests that are worked on at a time.
    pub in_flight: usize,
    /// Peers whose `X-Forwarded-For` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The limit on requests by address that all routes share.
    pub per_ip: Option<RateLimiter>,
    /// Whether answers tell browsers to insist on TLS (RFC 6797): only with a real certificate.
    pub strict_transport: bool,
    /// Whether requests are answered while the service drains, as health checks must be.
    pub serves_while_draining: bool,
}

/// What the guard and the routes share.
#[derive(Debug)]
pub struct Edge {
    settings: EdgeSettings,
    lifecycle: Lifecycle,
    in_flight: AtomicUsize,
}

impl Edge {
    pub(super) fn body_bytes(&self) -> usize {
        self.settings.body_bytes
    }

    /// A body that is too slow is told so before the whole request runs out of time.
    pub(super) fn body_timeout(&self) -> Duration {
        self.settings.body_timeout.min(self.settings.request_timeout / 10 * 9)
    }

    /// Counts the request against the shared limit and the route's own.
    pub(super) fn check_rate(
        &self,
        parts: &http::request::Parts,
        route: Option<&RateLimiter>,
    ) -> Result<(), Problem> {
        let Some(ClientAddress(address)) = parts.extensions.get().copied() else { return Ok(()) };
        let client = AddressPrefix::of(address);
        for limiter in self.settings.per_ip.iter().chain(route) {
            limiter.check(client).map_err(rate_limited)?;
        }
        Ok(())
    }
}

/// Answers a client that is over its rate; `wait` is rounded up to whole seconds.
pub(crate) fn rate_limited(wait: Duration) -> Problem {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    Problem::new(problem::RATE_LIMITED).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// A whole application behind its guard.
#[derive(Debug, Clone)]
pub struct App {
    router: axum::Router,
    edge: Arc<Edge>,
}

/// Keeps count of the requests that are worked on.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// Puts `api` behind the guard.
    pub fn new<S: Clone + Send + Sync + 'static>(
        api: Api<S>,
        state: &S,
        settings: EdgeSettings,
        lifecycle: Lifecycle,
    ) -> Self {
        let edge = Arc::new(Edge { settings, lifecycle, in_flight: AtomicUsize::new(0) });
        Self { router: api.into_router(state, &edge), edge }
    }

    /// Answers one request.
    pub async fn respond(&self, request: http::Request<Body>, peer: SocketAddr) -> Response {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let settings = &self.edge.settings;
        let peer_ip = peer.ip().to_canonical();
        let is_proxy = settings.trusted_proxies.iter().any(|network| network.contains(&peer_ip));
        let id = request_id(&parts.headers, is_proxy);
        let (method, version) = (parts.method.clone(), parts.version);

        let mut response = match self.check(&mut parts, peer_ip) {
            Ok(()) => self.dispatch(http::Request::from_parts(parts, body), &id).await,
            Err(problem) => problem.into_response(),
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            if let Some(cause) = problem.cause() {
                tracing::error!(request_id = %id, code = problem.kind().code, cause, "request failed");
            }
            response = with_body(response, &problem, &id);
        }
        self.write_headers(&mut response, &id, version);
        log(&response, &id, method.as_str(), started);
        response
    }

    /// Writes, as HTTP/1.1, the answer to a request that the parser could not read and refused
    /// with `status`. It is the last one on its connection.
    pub(super) fn explain(&self, status: u16) -> Vec<u8> {
        let started = Instant::now();
        let kind = match status {
            414 => problem::URI_TOO_LONG,
            431 => problem::HEADERS_TOO_LARGE,
            _ => problem::BAD_REQUEST,
        };
        let (id, problem) = (request_id(&HeaderMap::new(), false), Problem::new(kind));
        let body = problem.document(&id);
        let mut response = problem.render(&id);
        self.write_headers(&mut response, &id, Version::HTTP_11);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));

        let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
        for (name, value) in response.headers() {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend([b"\r\n", body.as_slice()].concat());
        log(&response, &id, "none", started);
        bytes
    }

    fn check(&self, parts: &mut http::request::Parts, peer: IpAddr) -> Result<(), Problem> {
        let settings = &self.edge.settings;
        check_host(parts)?;
        if parts.uri.path_and_query().map_or(0, |target| target.as_str().len()) > settings.uri_bytes
        {
            return Err(Problem::new(problem::URI_TOO_LONG));
        }
        let bytes: usize =
            parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if parts.headers.len() > settings.header_count || bytes > settings.header_bytes {
            return Err(Problem::new(problem::HEADERS_TOO_LARGE));
        }
        parts.extensions.insert(client_address(peer, &parts.headers, &settings.trusted_proxies));
        if self.edge.lifecycle.phase() == Phase::Draining && !settings.serves_while_draining {
            return Err(Problem::overloaded());
        }
        Ok(())
    }

    async fn dispatch(&self, request: http::Request<Body>, id: &str) -> Response {
        let settings = &self.edge.settings;
        let in_flight = InFlight(&self.edge.in_flight);
        if in_flight.0.fetch_add(1, Ordering::Relaxed) >= settings.in_flight {
            return Problem::overloaded().into_response();
        }
        let answer = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        match tokio::time::timeout(settings.request_timeout, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(panic)) => {
                let text = panic_text(panic.as_ref());
                tracing::error!(request_id = id, panic = text, "handler panicked");
                Problem::new(problem::INTERNAL).into_response()
            }
            Err(_) => {
                let detail =
                    "The request was not done in time; what it asked for may still happen.";
                Problem::overloaded().detail(detail).into_response()
            }
        }
    }

    fn write_headers(&self, response: &mut Response, id: &str, version: Version) {
        let draining = self.edge.lifecycle.phase() == Phase::Draining;
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert("x-request-id", id);
        }
        for (name, value) in SECURITY_HEADERS {
            headers.insert(name, value.clone());
        }
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, NO_STORE);
        }
        if self.edge.settings.strict_transport {
            headers.insert(http::header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        }
        if draining && version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

fn log(response: &Response, id: &str, method: &str, started: Instant) {
    let route = response.extensions().get::<Template>().map_or("none", |found| found.0);
    tracing::info!(
        target: "palisade::access",
        request_id = %id,
        method,
        route,
        status = response.status().as_u16(),
        duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}

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

/// Replaces the empty body of a problem by its document, keeping the headers it came with.
fn with_body(mut bare: Response, problem: &Problem, id: &str) -> Response {
    let mut response = problem.render(id);
    for (name, value) in bare.headers() {
        if name != CONTENT_LENGTH && name != CONTENT_TYPE {
            response.headers_mut().insert(name, value.clone());
        }
    }
    std::mem::swap(response.extensions_mut(), bare.extensions_mut());
    response
}

/// Returns the id that names this request in the answer and in the log: 1 to 64 of
/// `[A-Za-z0-9._-]` from a trusted proxy, 128 random bits otherwise.
fn request_id(headers: &HeaderMap, from_proxy: bool) -> String {
    if from_proxy {
        let mut given = headers.get_all("x-request-id").iter();
        if let (Some(id), None) = (given.next(), given.next()) {
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
            if let Ok(text) = id.to_str()
                && (1..=64).contains(&text.len())
                && text.as_bytes().iter().all(is_plain)
            {
                return text.to_owned();
            }
        }
    }
    let mut random = [0_u8; 16];
    // Without randomness the id is not unique, which harms only the search in the log.
    getrandom::fill(&mut random).ok();
    data_encoding::HEXLOWER.encode(&random)
}

/// Exactly one well-formed host (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
fn check_host(parts: &http::request::Parts) -> Result<(), Problem> {
    let refuse = |detail: &'static str| Err(Problem::new(problem::BAD_REQUEST).detail(detail));
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

/// Longest name that DNS knows (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Answers `HEAD` and `GET` alike for a status that has no body; used by the health routes.
pub(crate) fn plain_json(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
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

    #[test]
    fn a_request_id_is_kept_only_from_a_proxy_and_only_if_it_is_plain() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("abc-1"));
        assert_eq!(request_id(&headers, true), "abc-1");
        assert_ne!(request_id(&headers, false), "abc-1");

        for bad in ["", "a b", "a/b", &"x".repeat(65)] {
            headers.insert("x-request-id", HeaderValue::from_str(bad).unwrap());
            assert_ne!(request_id(&headers, true), bad);
        }
        headers.insert("x-request-id", HeaderValue::from_static("a"));
        headers.append("x-request-id", HeaderValue::from_static("a"));
        assert_ne!(request_id(&headers, true), "a", "two are none");
    }
}
