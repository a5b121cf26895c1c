//! Routes: where method, path, policy, limits and handler come together.
//!
//! 1. A route without a policy does not compile: [`Route::handle`] exists only after
//!    [`Route::policy`].
//! 2. Checks run in one order on every route: rate, credential, policy, then the handler's
//!    arguments (media type and size, form, existence), then the handler.
//! 3. The table that [`Api::table`] prints and the OpenAPI document are made from the routes
//!    themselves.
//!
//! ```compile_fail
//! use palisade::http::{Json, Problem, Route};
//!
//! async fn list() -> Result<Json<Vec<String>>, Problem> {
//!     Ok(Json(Vec::new()))
//! }
//!
//! let route = Route::get("/things", "listThings").handle(list); // no policy
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::metrics::EdgeMetrics;
use super::mount::Mount;
use super::rate::RateLimiter;
use super::routes::{Limit, Mounted, Routes, Work, Working};
use super::{AccountBudget, Handler, Kind, Operation, Policy, Request};

/// A route that has no policy yet.
#[derive(Debug, Clone, Copy)]
pub struct NoPolicy;

/// A route on its way to becoming an [`Endpoint`].
#[must_use]
pub struct Route<P> {
    method: Method,
    path: &'static str,
    policy: P,
    limiter: Option<(&'static str, Arc<RateLimiter>)>,
    body_bytes: Option<usize>,
    within: Option<Duration>,
    operation: Operation,
}

impl Route<NoPolicy> {
    /// Starts a GET route; `name` is its `operationId`. HEAD is answered too.
    pub fn get(path: &'static str, name: &'static str) -> Self {
        Self::new(Method::GET, path, name)
    }

    /// Starts a POST route.
    pub fn post(path: &'static str, name: &'static str) -> Self {
        Self::new(Method::POST, path, name)
    }

    /// Starts a PUT route.
    pub fn put(path: &'static str, name: &'static str) -> Self {
        Self::new(Method::PUT, path, name)
    }

    /// Starts a DELETE route.
    pub fn delete(path: &'static str, name: &'static str) -> Self {
        Self::new(Method::DELETE, path, name)
    }

    fn new(method: Method, path: &'static str, name: &'static str) -> Self {
        let operation = Operation::new(path, name);
        let (limiter, body_bytes, within) = (None, None, None);
        Self { method, path, policy: NoPolicy, limiter, body_bytes, within, operation }
    }

    /// States who may call the route.
    pub fn policy<S>(mut self, policy: impl Policy<S>) -> Route<Arc<dyn Policy<S>>> {
        self.operation.admits(&policy.audience());
        Route {
            method: self.method,
            path: self.path,
            policy: Arc::new(policy),
            limiter: self.limiter,
            body_bytes: self.body_bytes,
            within: self.within,
            operation: self.operation,
        }
    }
}

impl<P> Route<P> {
    /// Says in one sentence what the route does.
    pub fn about(mut self, summary: &'static str) -> Self {
        self.operation.about(summary);
        self
    }

    /// Puts the route into a group of the OpenAPI document.
    pub fn tagged(mut self, tag: &'static str) -> Self {
        self.operation.tagged(tag);
        self
    }

    /// Counts the route's requests against `limiter`, by client address, on top of the limit that
    /// all routes share. `name` is what the route table shows.
    pub fn limited_by(mut self, name: &'static str, limiter: Arc<RateLimiter>) -> Self {
        self.limiter = Some((name, limiter));
        self
    }

    /// Takes bodies of up to `bytes` instead of the service's default.
    pub fn takes_up_to(mut self, bytes: usize) -> Self {
        self.body_bytes = Some(bytes);
        self
    }

    /// Takes bodies with `Content-Encoding: gzip` too, as exactly one member (RFC 1952). The limit
    /// on the body holds for the bytes that are sent and for those they are inflated to, while
    /// both are read. Off by default: a few bytes that become many are work for whoever wants to
    /// keep a service busy, and few clients compress what they send.
    pub fn inflates(mut self) -> Self {
        self.operation.inflates();
        self
    }

    /// Gives requests `span` from their head to their answer instead of the service's default:
    /// for large bodies, which still must arrive at the least speed that the limits ask for.
    pub fn within(mut self, span: Duration) -> Self {
        self.within = Some(span);
        self
    }

    /// States an error that the handler itself may answer.
    pub fn refuses(mut self, kind: &'static Kind) -> Self {
        self.operation.may_answer(kind);
        self
    }

    /// States that the `id` of the answer can be used in another operation.
    pub fn links_to(mut self, operation: &'static str) -> Self {
        self.operation.links_to(operation);
        self
    }

    /// Adds an example of the body to the OpenAPI document.
    pub fn example(mut self, body: serde_json::Value) -> Self {
        self.operation.example(body);
        self
    }
}

impl<S> Route<Arc<dyn Policy<S>>> {
    /// Gives the route its handler.
    pub fn handle<H, A>(self, handler: H) -> Endpoint<S>
    where
        H: Handler<A, S>,
        A: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let mut operation = self.operation;
        H::describe(&mut operation);
        operation.refuse_half_idempotent();
        Endpoint {
            method: self.method,
            path: self.path,
            policy: self.policy,
            limiter: self.limiter,
            body_bytes: self.body_bytes,
            within: self.within,
            operation,
            handler: Box::new(Typed { handler, arguments: PhantomData }),
        }
    }
}

impl<P> fmt::Debug for Route<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Route({} {})", self.method, self.path)
    }
}

/// A handler whose arguments are known to itself only.
trait AnyHandler<S>: Send + Sync {
    /// Puts the handler behind `policy`.
    fn behind(self: Box<Self>, policy: Arc<dyn Policy<S>>, state: S) -> Box<dyn Work>;
}

struct Typed<H, A> {
    handler: H,
    arguments: PhantomData<fn(A)>,
}

impl<H, A, S> AnyHandler<S> for Typed<H, A>
where
    H: Handler<A, S>,
    A: 'static,
    S: Send + Sync + 'static,
{
    fn behind(self: Box<Self>, policy: Arc<dyn Policy<S>>, state: S) -> Box<dyn Work> {
        Box::new(Guarded { policy, state, handler: *self })
    }
}

/// A handler behind its policy.
struct Guarded<H, A, S> {
    policy: Arc<dyn Policy<S>>,
    state: S,
    handler: Typed<H, A>,
}

impl<H, A, S> Work for Guarded<H, A, S>
where
    H: Handler<A, S>,
    S: Send + Sync + 'static,
{
    fn work<'a>(&'a self, mut request: Request, budget: &'a AccountBudget) -> Working<'a> {
        Box::pin(async move {
            self.policy.admit(&mut request.parts, &self.state, budget).await?;
            self.handler.handler.call(request, &self.state).await
        })
    }
}

/// A route with its policy and its handler.
pub struct Endpoint<S> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    policy: Arc<dyn Policy<S>>,
    limiter: Option<(&'static str, Arc<RateLimiter>)>,
    body_bytes: Option<usize>,
    within: Option<Duration>,
    pub(super) operation: Operation,
    handler: Box<dyn AnyHandler<S>>,
}

impl<S> fmt::Debug for Endpoint<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Endpoint({} {})", self.method, self.path)
    }
}

/// One line of the route table.
#[derive(Debug, Clone)]
pub struct RouteLine {
    /// The method; `*` for every one.
    pub method: Method,
    /// The path template; `/legacy/*` for everything at and below `/legacy`.
    pub path: &'static str,
    /// Who may call it, and with which scope.
    pub policy: String,
    /// What is bounded beyond the defaults.
    pub limits: String,
}

/// All routes of a service.
#[derive(Debug)]
pub struct Api<S> {
    endpoints: Vec<Endpoint<S>>,
    pub(super) mounts: Vec<Mount<S>>,
    kinds: Vec<&'static Kind>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Starts with no routes and the library's own kinds of problems.
    pub fn new() -> Self {
        Self { endpoints: Vec::new(), mounts: Vec::new(), kinds: super::problem::KINDS.to_vec() }
    }

    /// Adds a route.
    #[must_use]
    pub fn route(mut self, endpoint: Endpoint<S>) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Adds the kinds of problems that the service itself defines.
    #[must_use]
    pub fn kinds(mut self, kinds: &[&'static Kind]) -> Self {
        self.kinds.extend_from_slice(kinds);
        self
    }

    /// Returns the kinds of problems that the routes can answer, the library's first.
    pub fn all_kinds(&self) -> &[&'static Kind] {
        &self.kinds
    }

    /// Adds the routes, mounts and kinds of `other`.
    ///
    /// # Panics
    ///
    /// If both have a mount at one prefix.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        for mount in other.mounts {
            self.add_mount(mount);
        }
        for kind in other.kinds {
            if !self.kinds.contains(&kind) {
                self.kinds.push(kind);
            }
        }
        self
    }

    /// Returns a line for each route and then for each mount, in the order of registration.
    pub fn table(&self) -> Vec<RouteLine> {
        let routes = self.endpoints.iter().map(Endpoint::line);
        routes.chain(self.mounts.iter().map(Mount::line)).collect()
    }

    /// Makes sure that no two routes are the same.
    ///
    /// # Panics
    ///
    /// If two are.
    #[expect(clippy::panic, reason = "a mistake in the program, told at its start")]
    pub(super) fn refuse_twins(&self) {
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            let (method, path) = (&endpoint.method, endpoint.path);
            let mut others = self.endpoints.iter().skip(place + 1);
            if others.any(|other| other.method == *method && other.path == path) {
                panic!("there are two routes {method} {path}");
            }
        }
    }

    /// Returns the names of the routes' own rate limits.
    pub(super) fn limit_names(&self) -> impl Iterator<Item = &'static str> {
        self.endpoints
            .iter()
            .filter_map(|endpoint| endpoint.limiter.as_ref().map(|(name, _)| *name))
    }

    pub(super) fn replace_last(mut self, endpoint: Endpoint<S>) -> Self {
        self.endpoints.pop();
        self.route(endpoint)
    }

    pub(super) fn endpoints(&self) -> &[Endpoint<S>] {
        &self.endpoints
    }

    /// Puts the routes into the table that requests are looked up in.
    pub(super) fn into_routes(self, state: &S, metrics: &EdgeMetrics) -> Routes {
        let mut routes = Routes::default();
        let own = self.endpoints.len();
        for (number, endpoint) in self.endpoints.into_iter().enumerate() {
            let limit = |(name, limiter)| Limit { limiter, decisions: metrics.limit(name) };
            routes.add(Mounted {
                number,
                method: endpoint.method,
                template: endpoint.path,
                limiter: endpoint.limiter.map(limit),
                body_bytes: endpoint.body_bytes,
                inflates: endpoint.operation.is_inflated(),
                within: endpoint.within,
                is_large: endpoint.operation.is_large(),
                work: endpoint.handler.behind(endpoint.policy, state.clone()),
            });
        }
        for (number, mount) in self.mounts.into_iter().enumerate() {
            let prefix = mount.prefix();
            routes.mount(prefix, mount.into_place(own + number, state));
        }
        routes
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: 'static> Endpoint<S> {
    fn line(&self) -> RouteLine {
        let mut limits = Vec::new();
        if let Some((name, limiter)) = self.limiter.as_ref().filter(|(_, limit)| !limit.is_off()) {
            limits.push(format!("{name} {}", limiter.throttle()));
        }
        if let Some(bytes) = self.body_bytes {
            limits.push(format!("body {bytes} B"));
        }
        if self.operation.is_inflated() {
            limits.push("inflates gzip".to_owned());
        }
        if let Some(span) = self.within {
            limits.push(format!("within {}s", span.as_secs_f64()));
        }
        RouteLine {
            method: self.method.clone(),
            path: self.path,
            policy: self.policy.audience().to_string(),
            limits: limits.join(", "),
        }
    }
}
