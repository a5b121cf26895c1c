//! Routers of axum below a prefix, for teams that come with routes.
//!
//! 1. Nothing reaches the router that the guard or the policy refuses.
//! 2. Its body is lent to it, bounded and paced, until it answers ([`loan`]).
//! 3. Its errors are problems, and nothing of its own texts ([`refusal`]).
//!
//! What such routes read and answer is not known here, so they are not in the OpenAPI document.

mod loan;
mod refusal;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::SERVER;
use http::{HeaderName, Method};
use http_body::{Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use tower::ServiceExt;

use super::routes::{Mounted, Work, Working};
use super::{
    AccountBudget, AnswerBody, Api, BrokenOff, Policy, Problem, Request, Response, RouteLine,
};
use crate::telemetry::{RequestScope, contain};
use loan::Loan;

/// What a route that has every method shows for one.
pub(super) const EVERY_METHOD: &str = "*";

const X_POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Hands every request at and below `prefix` whose path no route here has to `router`, behind
    /// the whole guard and `policy`.
    ///
    /// *Which requests.* A path that has a route here is wholly that route's: its other methods are
    /// 405. Of two mounts the longer prefix wins. `/` mounts the router at the root. A path with
    /// `.` or `..` in it, percent-encoded or not, is below no mount and 404; an encoded `/` is
    /// passed on as it came and never divides a path.
    ///
    /// *What the router sees.* As with [`Router::nest`], the path without the prefix. Its
    /// extensions have the [`ClientAddress`](super::ClientAddress), and the
    /// [`Caller`](crate::auth::Caller) if the policy admitted one; there is no `ConnectInfo`. HEAD
    /// and OPTIONS are passed on, so CORS is the router's own business; a preflight shows no
    /// credential, so only [`Anyone`](super::Anyone) lets it through. There are no upgrades, so
    /// no `WebSocket`.
    ///
    /// *Bodies.* A body is bounded by the service's limit and held to the pace of all bodies; it
    /// can be read until the router has answered, and fails for whoever still reads it then, such
    /// as a task or the answer itself. A request that announces too large a body is 413 before the
    /// router sees it. If the body turned out too large, too slow or broken and the router answers
    /// an error, the answer is our 413, 408 or 400 whatever the router made of it; an answer below
    /// 400 is left alone. What a compressed body becomes is for the router to bound. axum's own
    /// limit of 2 MB holds beside ours.
    ///
    /// *Answers* are passed on while they are produced, under the headers that every answer carries
    /// and without `Server` and `X-Powered-By`. One that comes more slowly than
    /// `limits.least_bytes_per_second` for `limits.write_timeout` is cut off, as every stream is:
    /// events that are mostly waited for do not fit.
    ///
    /// *Errors* of 400 and above are replaced by a problem of the fitting kind, unless their
    /// `Content-Type` is `application/problem+json`: write that where the client shall see more.
    /// The status stays as it is, and the code is the one of that status, otherwise `bad_request`
    /// below 500 and `internal` above; a status that is none (below 200 or above 599) is 500. Of
    /// the headers, `Allow`, `Retry-After`, `WWW-Authenticate`, `Vary` and those of CORS are kept.
    /// The replaced text goes nowhere, not even to the log: log it in the handler.
    ///
    /// *Where it shows.* In [`Api::table`], the access log and the metrics as `prefix/*` with the
    /// method `*`; in metrics with HTTP's own methods or `other`. Not in the OpenAPI document.
    ///
    /// # Panics
    ///
    /// If `prefix` is not `/` or segments of `A-Z a-z 0-9 . _ ~ -` that each follow a `/`; or
    /// if there is a mount with this prefix already.
    ///
    /// ```
    /// use axum::extract::{Extension, Path};
    /// use axum::routing::get;
    /// use http_body_util::BodyExt;
    /// use palisade::config::Throttle;
    /// use palisade::http::{
    ///     Anyone, Api, App, ClientAddress, Lifecycle, LimitsSection, RequestBody, ServerSection,
    /// };
    /// use palisade::telemetry::metrics::Metrics;
    ///
    /// async fn greet(Path(name): Path<String>, client: Extension<ClientAddress>) -> String {
    ///     format!("Hello {name} from {}", client.0.0)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let router = axum::Router::new().route("/greetings/{name}", get(greet));
    /// let api = Api::new().mount("/legacy", Anyone, router);
    ///
    /// let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
    /// let app = App::new(api, &(), edge, Lifecycle::new(), &Metrics::new())?;
    /// let ask = async |path: &str| {
    ///     let request = http::Request::get(path).header("host", "localhost");
    ///     let request = request.body(RequestBody::whole(""))?;
    ///     Ok::<_, http::Error>(app.respond(request, [192, 0, 2, 1].into()).await)
    /// };
    ///
    /// let greeted = ask("/legacy/greetings/Ada").await?;
    /// assert_eq!(greeted.headers()["x-content-type-options"], "nosniff");
    /// let text = greeted.into_body().collect().await?.to_bytes();
    /// assert_eq!(text, "Hello Ada from 192.0.2.1");
    ///
    /// let unknown = ask("/legacy/nothing").await?;
    /// assert_eq!(unknown.status(), 404);
    /// assert_eq!(unknown.headers()["content-type"], "application/problem+json");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a mistake in the program that must not start, told at its start"
    )]
    pub fn mount(mut self, prefix: &'static str, policy: impl Policy<S>, router: Router) -> Self {
        if !is_prefix(prefix) {
            panic!("{prefix} cannot be a prefix: it is / or segments that each follow a /");
        }
        let (router, template) = match prefix {
            "/" => (router, "/*".to_owned()),
            _ => (Router::new().nest(prefix, router), format!("{prefix}/*")),
        };
        // Metrics keep the names of their routes for as long as the process runs.
        let template = template.leak();
        self.add_mount(Mount { prefix, template, policy: Arc::new(policy), router });
        self
    }

    #[expect(
        clippy::panic,
        reason = "a mistake in the program that must not start, told at its start"
    )]
    pub(super) fn add_mount(&mut self, mount: Mount<S>) {
        if self.mounts.iter().any(|known| known.prefix == mount.prefix) {
            panic!("there are two mounts at {}", mount.prefix);
        }
        self.mounts.push(mount);
    }
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    let inside = prefix.strip_prefix('/');
    inside.is_some_and(|inside| inside.is_empty() || inside.split('/').all(is_segment))
}

/// A router on its way to its place.
pub(super) struct Mount<S> {
    prefix: &'static str,
    template: &'static str,
    policy: Arc<dyn Policy<S>>,
    router: Router,
}

impl<S> fmt::Debug for Mount<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mount({})", self.prefix)
    }
}

impl<S: Clone + Send + Sync + 'static> Mount<S> {
    pub(super) fn prefix(&self) -> &'static str {
        self.prefix
    }

    pub(super) fn line(&self) -> RouteLine {
        let (method, path) = (every_method(), self.template);
        let policy = self.policy.audience().to_string();
        RouteLine { method, path, policy, limits: String::new() }
    }

    /// Puts the router behind its policy.
    pub(super) fn into_place(self, number: usize, state: &S) -> Mounted {
        let (policy, state, router) = (self.policy, state.clone(), self.router);
        Mounted {
            number,
            method: every_method(),
            template: self.template,
            limiter: None,
            body_bytes: None,
            inflates: false,
            within: None,
            is_large: false,
            work: Box::new(Behind { policy, state, router }),
        }
    }
}

#[expect(clippy::expect_used, reason = "* is a token (RFC 9110, section 5.6.2)")]
fn every_method() -> Method {
    Method::from_bytes(EVERY_METHOD.as_bytes()).expect("a token")
}

/// A router behind its policy.
struct Behind<S> {
    policy: Arc<dyn Policy<S>>,
    state: S,
    router: Router,
}

impl<S: Send + Sync + 'static> Work for Behind<S> {
    fn work<'a>(&'a self, mut request: Request, budget: &'a AccountBudget) -> Working<'a> {
        Box::pin(async move {
            self.policy.admit(&mut request.parts, &self.state, budget).await?;
            ask(self.router.clone(), request).await
        })
    }
}

async fn ask(router: Router, request: Request) -> Result<Response, Problem> {
    let Request { mut parts, body, limits, client, .. } = request;
    let (loan, body) = Loan::of(body, limits.bytes)?;
    parts.extensions.insert(client);
    // Nobody would serve what the connection became.
    parts.extensions.remove::<OnUpgrade>();
    let Ok(answer) = router.oneshot(http::Request::from_parts(parts, Body::new(body))).await;
    let (mut head, body) = answer.into_parts();
    if let Some(problem) = refusal::of(&head, loan.failure()) {
        return Err(problem);
    }
    head.headers.remove(SERVER);
    head.headers.remove(X_POWERED_BY);
    let mut response = Response::new(AnswerBody::stream(Producing::of(body)));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// The body of a router's answer. What it logs belongs to its request.
struct Producing {
    scope: RequestScope,
    /// `None` once it panicked.
    body: Option<Body>,
}

impl Producing {
    fn of(body: Body) -> Self {
        Self { scope: RequestScope::current(), body: Some(body) }
    }
}

impl http_body::Body for Producing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let _entered = self.scope.enter();
        let Some(body) = &mut self.body else { return Poll::Ready(Some(Err(BrokenOff))) };
        match contain(|| Pin::new(body).poll_frame(context)) {
            Ok(frame) => frame.map(|frame| frame.map(|frame| frame.map_err(|_| BrokenOff))),
            Err(panic) => {
                self.body = None;
                let (text, location) = (panic.text, panic.location);
                tracing::error!(panic = text, location, "an answer's body panicked");
                Poll::Ready(Some(Err(BrokenOff)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}
