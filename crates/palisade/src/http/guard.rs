//! The guard: one layer around the whole application, so that no answer leaves without it.
//!
//! In order, for every request:
//!
//! 1. a request id, kept from a trusted proxy only;
//! 2. the form of the request: `Host`, length of the address, size of the headers;
//! 3. the client's address, by the proxies that are declared;
//! 4. refusal while draining, or when too much of what was answered is not read;
//! 5. the route, and on HTTP/2 the request's turn among the large answers of its connection;
//! 6. refusal when too many requests are in flight;
//! 7. rate limits, and the handler within the request's deadline, a panic contained;
//! 8. the problem's body, the security headers, and one line in the log.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, DATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use super::activity::{Activity, Turn};
use super::address::{ClientAddress, client_address};
use super::arrival::Pace;
use super::deadline::{Outcome, Timed};
use super::extract::BodyLimits;
use super::headers::Headers;
use super::host::check_host;
use super::metrics::{ConnectionState, Decision, EdgeMetrics, Listener, Refusal};
use super::payload::PIECE;
use super::places::{Place, Places};
use super::proxies::TrustedProxies;
use super::rate::{AddressPrefix, RateLimiter};
use super::request_id::RequestId;
use super::routes::{Limit, Lookup, Mounted, PathParameters, Routes};
use super::{
    AccountBudget, AnswerBody, Api, Lifecycle, Phase, Problem, Request, RequestBody, Response,
    problem,
};
use crate::clock::{Clock, SystemClock};
use crate::telemetry::metrics::{MetricError, Metrics};
use crate::telemetry::{self, AccessLine, RequestScope};

/// The limits and circumstances of one listener's requests.
#[derive(Debug)]
pub struct EdgeSettings {
    /// Largest body in bytes, unless a route states its own.
    pub body_bytes: usize,
    /// Longest time a body may take to arrive.
    pub body_timeout: Duration,
    /// Least speed of a body in bytes a second, once it had some seconds to get going.
    pub least_bytes_per_second: u64,
    /// Longest time from the head of a request to its answer, unless a route states its own.
    pub request_timeout: Duration,
    /// Largest sum of the lengths of all header names and values, in bytes.
    pub header_bytes: usize,
    /// Most header lines.
    pub header_count: usize,
    /// Longest path and query, in bytes.
    pub uri_bytes: usize,
    /// Most requests that are worked on at a time.
    pub in_flight: usize,
    /// Most bytes of answers that wait for their clients to read them.
    pub unsent_bytes: usize,
    /// Peers that are believed about a client's address and a request's id.
    pub trusted_proxies: TrustedProxies,
    /// The limit on requests by address that all routes share.
    pub per_ip: Arc<RateLimiter>,
    /// The limit on requests by account.
    pub per_account: Arc<RateLimiter<u128>>,
    /// Which listener it is, for the metrics.
    pub listener: Listener,
    /// Whether answers tell browsers to insist on TLS (RFC 6797): only with a real certificate.
    pub strict_transport: bool,
    /// Whether requests are answered while the service drains, as health checks must be.
    pub serves_while_draining: bool,
}

/// A whole application behind its guard; a clone is the same one.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: Routes,
    settings: EdgeSettings,
    headers: Headers,
    lifecycle: Lifecycle,
    metrics: EdgeMetrics,
    per_ip: Limit,
    per_account: AccountBudget,
    /// Requests in flight of each client, counted while there are many in all.
    shares: Places,
    unsent: AtomicUsize,
}

/// What the guard knows of a request besides the request.
struct Context<'a> {
    id: RequestId,
    client: ClientAddress,
    activity: &'a Activity,
}

impl App {
    /// Puts `api` behind the guard, which counts in `metrics`.
    ///
    /// # Errors
    ///
    /// `metrics` counts for such a listener already.
    ///
    /// # Panics
    ///
    /// If two routes are the same, or a path is not one.
    pub fn new<S: Send + Sync + Clone + 'static>(
        api: Api<S>,
        state: &S,
        settings: EdgeSettings,
        lifecycle: Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, MetricError> {
        api.refuse_twins();
        let limits: Vec<_> = [PER_IP, PER_ACCOUNT].into_iter().chain(api.limit_names()).collect();
        let metrics = EdgeMetrics::new(metrics, settings.listener, &api.table(), &limits)?;
        let per_ip = Arc::clone(&settings.per_ip);
        let per_account = Arc::clone(&settings.per_account);
        Ok(Self(Arc::new(Inner {
            routes: api.into_routes(state, &metrics),
            headers: Headers::new(settings.strict_transport),
            per_ip: Limit { limiter: per_ip, decisions: metrics.limit(PER_IP) },
            per_account: AccountBudget::new(per_account, metrics.limit(PER_ACCOUNT)),
            settings,
            lifecycle,
            metrics,
            shares: Places::default(),
            unsent: AtomicUsize::new(0),
        })))
    }

    /// Answers one request of `peer` without a connection, as a test does.
    pub async fn respond(&self, request: http::Request<RequestBody>, peer: IpAddr) -> Response {
        let open = self.0.metrics.connections().opened(ConnectionState::Active);
        self.answer(request, peer.to_canonical(), &Activity::new(open)).await.0
    }

    /// Answers one request of a connection. The turn that an answer has is to be kept until it
    /// counts as unsent.
    pub(super) async fn answer<'a>(
        &self,
        request: http::Request<RequestBody>,
        peer: IpAddr,
        activity: &'a Activity,
    ) -> (Response, Option<Turn<'a>>) {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let is_from_proxy = self.is_proxy(peer);
        let id = RequestId::of(&parts.headers, is_from_proxy);
        let client = client_address(peer, &parts.headers, &self.0.settings.trusted_proxies);
        let context = Context { id, client, activity };
        let (method, is_http1) = (parts.method.clone(), parts.version <= Version::HTTP_11);
        let mut attempt = Attempt {
            app: self,
            context: &context,
            method: &method,
            started,
            found: None,
            turn: None,
            is_over: false,
        };
        let outcome = match self.check(&parts) {
            Ok(()) => self.dispatch(parts, body, &mut attempt).await,
            Err(problem) => Err(problem),
        };
        let mut response = match outcome {
            // Many answers may have been made since this one's request was let in.
            Ok(response) if method != Method::HEAD && !self.has_room_for(&response) => {
                let detail = "What the request asked for may have happened.";
                let problem = Problem::overloaded().detail(detail);
                self.refusal(&self.refuse(Refusal::Unsent, problem), &context.id)
            }
            Ok(response) => response,
            Err(problem) => self.refusal(&problem, &context.id),
        };
        if method == Method::HEAD {
            leave_body_out(&mut response);
        }
        let is_last = is_http1 && self.0.lifecycle.phase() == Phase::Draining;
        self.0.headers.complete(response.headers_mut(), &context.id, is_last);
        attempt.is_over = true;
        attempt.note(response.status().as_u16());
        (response, attempt.turn.take())
    }

    /// Tells whether there is memory for an answer that its client may not read.
    fn has_room_for(&self, response: &Response) -> bool {
        let length = response.body().length().unwrap_or(0);
        let unsent = self.0.unsent.load(Relaxed).saturating_add(length);
        length <= PIECE || unsent <= self.0.settings.unsent_bytes
    }

    /// Tells whether the word of `peer` is taken for whom it asks.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.0.settings.trusted_proxies.trusts(peer)
    }

    /// Returns what is counted.
    pub(super) fn metrics(&self) -> &EdgeMetrics {
        &self.0.metrics
    }

    /// Notes that an answer of `bytes` waits to be sent.
    pub(super) fn note_unsent(&self, bytes: usize) {
        self.0.unsent.fetch_add(bytes, Relaxed);
    }

    /// Notes that `bytes` of an answer wait no more.
    pub(super) fn note_released(&self, bytes: usize) {
        self.0.unsent.fetch_sub(bytes, Relaxed);
    }

    /// Notes that `bytes` of an answer are on their way.
    pub(super) fn note_sent(&self, bytes: usize) {
        self.0.metrics.sent(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Tells whether half of the memory for answers is filled with what nobody reads.
    pub(super) fn is_pressed(&self) -> bool {
        self.0.unsent.load(Relaxed) > self.0.settings.unsent_bytes / 2
    }

    /// Writes, as HTTP/1.1, the answer to a request that never became one and is refused with
    /// `status`. It is the last one on its connection.
    pub(super) fn explain(&self, status: u16) -> Vec<u8> {
        let started = Instant::now();
        let kind = match status {
            408 => problem::REQUEST_TIMEOUT,
            414 => problem::URI_TOO_LONG,
            431 => problem::HEADERS_TOO_LARGE,
            _ => problem::BAD_REQUEST,
        };
        let (id, problem) = (RequestId::random(), Problem::new(kind));
        let body = problem.document(id.as_str());
        let mut response = problem.render(id.as_str());
        self.0.headers.complete(response.headers_mut(), &id, true);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Ok(now) = HeaderValue::from_str(&SystemClock.now().to_http_date()) {
            response.headers_mut().insert(DATE, now);
        }

        let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
        for (name, value) in response.headers() {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend([b"\r\n", body.as_slice()].concat());
        self.tell_unreadable(&id, response.status().as_u16(), started.elapsed());
        bytes
    }

    /// Notes that the parser itself answered `status` to what never became a request.
    pub(super) fn note_unreadable(&self, status: u16) {
        self.tell_unreadable(&RequestId::random(), status, Duration::ZERO);
    }

    fn tell_unreadable(&self, id: &RequestId, status: u16, duration: Duration) {
        self.0.metrics.refused(Refusal::unreadable(status));
        self.0.metrics.unreadable().observe(status, duration);
        let request_id = id.as_str();
        let (method, route) = ("none", NO_ROUTE);
        telemetry::access(&AccessLine { request_id, method, route, status, duration });
    }

    fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let settings = &self.0.settings;
        check_host(parts).map_err(|problem| self.refuse(Refusal::BadHost, problem))?;
        if parts.uri.path_and_query().map_or(0, |target| target.as_str().len()) > settings.uri_bytes
        {
            return Err(self.refuse(Refusal::UriTooLong, Problem::new(problem::URI_TOO_LONG)));
        }
        if parts.headers.len() > settings.header_count
            || header_bytes(&parts.headers) > settings.header_bytes
        {
            let problem = Problem::new(problem::HEADERS_TOO_LARGE);
            return Err(self.refuse(Refusal::HeadersTooLarge, problem));
        }
        if !settings.serves_while_draining && self.0.lifecycle.phase() == Phase::Draining {
            return Err(self.refuse(Refusal::Draining, Problem::overloaded()));
        }
        if self.0.unsent.load(Relaxed) > settings.unsent_bytes {
            return Err(self.refuse(Refusal::Unsent, Problem::overloaded()));
        }
        Ok(())
    }

    /// Counts a body that was refused while it was read.
    fn note_body(&self, problem: &Problem) {
        match problem.kind().status {
            408 => self.0.metrics.refused(Refusal::BodyTooSlow),
            413 => self.0.metrics.refused(Refusal::BodyTooLarge),
            _ => {}
        }
    }

    /// Counts that the edge itself refuses a request.
    fn refuse(&self, reason: Refusal, problem: Problem) -> Problem {
        self.0.metrics.refused(reason);
        problem
    }

    async fn dispatch<'a>(
        &'a self,
        parts: Parts,
        body: RequestBody,
        attempt: &mut Attempt<'a, '_, '_>,
    ) -> Result<Response, Problem> {
        let (settings, metrics, context) = (&self.0.settings, &self.0.metrics, attempt.context);
        let (route, parameters) = self.find(&parts)?;
        attempt.found = Some(route);
        if parts.version > Version::HTTP_11 && (route.is_large || !context.activity.has_room()) {
            // Boxed, because few requests wait and all would be larger for it.
            attempt.turn = Box::pin(self.turn(context.activity, route.is_large)).await?;
            attempt.started = Instant::now();
        }
        let place = metrics.begin();
        if place.number() > settings.in_flight {
            return Err(self.refuse(Refusal::InFlight, Problem::overloaded()));
        }
        let _share = self.share_of(context.client, place.number())?;
        self.check_rate(attempt)?;
        let allowed = route.within.unwrap_or(settings.request_timeout);
        // A body that is too slow is told so before the whole request runs out of time.
        let total = route.within.unwrap_or(settings.body_timeout).min(allowed / 10 * 9);
        let pace = Pace { total, least_bytes_per_second: settings.least_bytes_per_second };
        let arrival = body.arrival();
        if let Some(arrival) = &arrival {
            arrival.hold_to(pace);
        }
        let bytes = route.body_bytes.unwrap_or(settings.body_bytes);
        let limits = BodyLimits { bytes, inflates: route.inflates };
        let request =
            Request { parts, body: Some(body), limits, parameters, client: context.client };
        let until = attempt.started.checked_add(allowed).unwrap_or(attempt.started);
        let work = route.work.work(request, &self.0.per_account);
        let scope = RequestScope::of(context.id.as_str());
        let work = Timed::new((scope, work), until, arrival.clone(), &context.activity.timers);
        let outcome = work.await;
        if let Some(arrival) = &arrival {
            metrics.received(arrival.received());
        }
        match outcome {
            Outcome::Done(outcome) => outcome.inspect_err(|problem| self.note_body(problem)),
            Outcome::Panicked(panic) => {
                metrics.panicked();
                let (text, location) = (panic.text, panic.location);
                scope.run(|| tracing::error!(panic = text, location, "handler panicked"));
                Err(Problem::new(problem::INTERNAL))
            }
            Outcome::Late => {
                let detail =
                    "The request was not done in time; what it asked for may still happen.";
                Err(self.refuse(Refusal::Deadline, Problem::overloaded().detail(detail)))
            }
        }
    }

    fn find(&self, parts: &Parts) -> Result<(&Mounted, PathParameters), Problem> {
        match self.0.routes.find(&parts.method, parts.uri.path()) {
            Lookup::Found(route, parameters) => Ok((route, parameters)),
            Lookup::NotFound => Err(Problem::not_found()),
            Lookup::OtherMethods(allowed) => {
                Err(Problem::new(problem::METHOD_NOT_ALLOWED).allowing(allowed.clone()))
            }
        }
    }

    /// Waits until the client has read what it was answered before, and for an answer that may be
    /// large until those before it are made. A request's own time begins after that: until then its
    /// client waits for itself.
    async fn turn<'a>(
        &self,
        activity: &'a Activity,
        is_large: bool,
    ) -> Result<Option<Turn<'a>>, Problem> {
        let waiting = async {
            if is_large {
                return activity.turn().await;
            }
            activity.room().await;
            None
        };
        let waited = tokio::time::timeout(self.0.settings.request_timeout, waiting).await;
        waited.map_err(|_| self.refuse(Refusal::Unsent, Problem::overloaded()))
    }

    /// Takes a request's place among those of its client once there are many in all, so that no
    /// client takes them all, such as with bodies that it never sends. Below that nobody counts.
    fn share_of(&self, client: ClientAddress, all: usize) -> Result<Option<Place>, Problem> {
        let most = self.0.settings.in_flight;
        if all <= most / 4 || self.is_proxy(client.0) {
            return Ok(None);
        }
        let share = self.0.shares.take(client.0, (most / 8).max(1));
        share.map(Some).ok_or_else(|| self.refuse(Refusal::InFlight, Problem::overloaded()))
    }

    /// Counts the request against the shared limit and the route's own.
    fn check_rate(&self, attempt: &Attempt<'_, '_, '_>) -> Result<(), Problem> {
        let client = AddressPrefix::of(attempt.context.client.0);
        let own = attempt.found.and_then(|route| route.limiter.as_ref());
        for Limit { limiter, decisions } in std::iter::once(&self.0.per_ip).chain(own) {
            if limiter.is_off() {
                continue;
            }
            let counted = limiter.check_when(client, attempt.started);
            if let Some(decisions) = decisions {
                decisions.add(Decision::of(counted.is_ok()), 1);
            }
            counted.map_err(Problem::rate_limited)?;
        }
        Ok(())
    }

    /// Turns a problem into the answer that shows it, and its cause into a line of the log.
    fn refusal(&self, problem: &Problem, id: &RequestId) -> Response {
        if let Some(cause) = problem.cause() {
            let code = problem.kind().code;
            let scope = RequestScope::of(id.as_str());
            scope.run(|| tracing::error!(code, cause, "request failed"));
        }
        problem.render(id.as_str())
    }
}

/// A request that is being answered. If its client goes away before, that is told like an answer.
struct Attempt<'app, 'request, 'connection> {
    app: &'app App,
    context: &'request Context<'connection>,
    method: &'request Method,
    started: Instant,
    found: Option<&'app Mounted>,
    turn: Option<Turn<'connection>>,
    is_over: bool,
}

impl Attempt<'_, '_, '_> {
    /// Counts an answer and writes its line to the log.
    fn note(&self, status: u16) {
        let duration = self.started.elapsed();
        let metrics = self.app.metrics();
        let (route, counted) = match self.found {
            Some(route) => (route.template, metrics.route(route.number).of(self.method)),
            None => (NO_ROUTE, metrics.unrouted(self.method)),
        };
        counted.observe(status, duration);
        telemetry::access(&AccessLine {
            request_id: self.context.id.as_str(),
            method: method_name(self.method),
            route,
            status,
            duration,
        });
    }
}

impl Drop for Attempt<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.app.metrics().refused(Refusal::Abandoned);
            self.note(CLIENT_WENT_AWAY);
        }
    }
}

/// What stands for an answer in the log when nobody was there to be answered, as in nginx's.
const CLIENT_WENT_AWAY: u16 = 499;
const NO_ROUTE: &str = "none";
const PER_IP: &str = "per_ip";
const PER_ACCOUNT: &str = "per_account";

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The answer to HEAD: what GET answers, without the body (RFC 9110, section 9.3.2).
fn leave_body_out(response: &mut Response) {
    if let Some(length) = response.body().length() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = AnswerBody::default();
}

/// Returns the name of a method that HTTP itself knows. Any other is the client's own word.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}
