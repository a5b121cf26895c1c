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
use std::pin::Pin;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::Method;

use super::extract::{BodyLimits, PathParameters};
use super::rate::RateLimiter;
use super::{Edge, Handler, Kind, Operation, Policy, Problem, Request};

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
        let operation = Operation::new(name);
        Self { method, path, policy: NoPolicy, limiter: None, body_bytes: None, operation }
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
        Endpoint {
            method: self.method,
            path: self.path,
            policy: self.policy,
            limiter: self.limiter,
            body_bytes: self.body_bytes,
            operation,
            call: Arc::new(move |request, state| Box::pin(handler.clone().call(request, state))),
        }
    }
}

impl<P> fmt::Debug for Route<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Route({} {})", self.method, self.path)
    }
}

type Call<S> =
    Arc<dyn Fn(Request, S) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A route with its policy and its handler.
pub struct Endpoint<S> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    policy: Arc<dyn Policy<S>>,
    limiter: Option<(&'static str, Arc<RateLimiter>)>,
    body_bytes: Option<usize>,
    pub(super) operation: Operation,
    call: Call<S>,
}

impl<S> fmt::Debug for Endpoint<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Endpoint({} {})", self.method, self.path)
    }
}

/// The path template of the route that answered, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template(pub(crate) &'static str);

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    /// Runs every check in order and then the handler.
    async fn answer(
        &self,
        parts: http::request::Parts,
        body: axum::body::Body,
        state: S,
        edge: &Edge,
    ) -> Response {
        let mut response = match self.admit(parts, &state, edge).await {
            Ok(parts) => {
                let bytes = self.body_bytes.unwrap_or_else(|| edge.body_bytes());
                let limits = BodyLimits { bytes, timeout: edge.body_timeout() };
                (self.call)(Request { parts, body: Some(body), limits }, state).await
            }
            Err(problem) => problem.into_response(),
        };
        response.extensions_mut().insert(Template(self.path));
        response
    }

    async fn admit(
        &self,
        mut parts: http::request::Parts,
        state: &S,
        edge: &Edge,
    ) -> Result<http::request::Parts, Problem> {
        edge.check_rate(&parts, self.limiter.as_ref().map(|(_, limiter)| limiter.as_ref()))?;
        self.policy.admit(&mut parts, state).await?;
        Ok(parts)
    }
}

/// One line of the route table.
#[derive(Debug, Clone)]
pub struct RouteLine {
    /// The method.
    pub method: Method,
    /// The path template.
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
    kinds: Vec<&'static Kind>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Starts with no routes and the library's own kinds of problems.
    pub fn new() -> Self {
        Self { endpoints: Vec::new(), kinds: super::problem::KINDS.to_vec() }
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

    /// Adds the routes and kinds of `other`.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        for kind in other.kinds {
            if !self.kinds.contains(&kind) {
                self.kinds.push(kind);
            }
        }
        self
    }

    /// Returns a line for each route, in the order of registration.
    pub fn table(&self) -> Vec<RouteLine> {
        self.endpoints.iter().map(Endpoint::line).collect()
    }

    pub(super) fn replace_last(mut self, endpoint: Endpoint<S>) -> Self {
        self.endpoints.pop();
        self.route(endpoint)
    }

    pub(super) fn endpoints(&self) -> &[Endpoint<S>] {
        &self.endpoints
    }

    /// Turns the routes into a router whose every error is a problem document.
    pub(super) fn into_router(self, state: &S, edge: &Arc<Edge>) -> axum::Router {
        let mut router = axum::Router::new();
        for endpoint in self.endpoints {
            let Ok(filter) = axum::routing::MethodFilter::try_from(endpoint.method.clone()) else {
                continue;
            };
            let (path, endpoint) = (endpoint.path, Arc::new(endpoint));
            let (state, edge) = (state.clone(), Arc::clone(edge));
            let handler = move |request: axum::extract::Request| {
                let (endpoint, state, edge) =
                    (Arc::clone(&endpoint), state.clone(), Arc::clone(&edge));
                async move {
                    let (mut parts, body) = request.into_parts();
                    read_path(&mut parts).await;
                    endpoint.answer(parts, body, state, &edge).await
                }
            };
            router = router.route(path, axum::routing::on(filter, handler));
        }
        router
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || Problem::new(super::problem::METHOD_NOT_ALLOWED))
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: 'static> Endpoint<S> {
    fn line(&self) -> RouteLine {
        let audience = self.policy.audience();
        let scope = audience.scope.map(|scope| format!(" ({scope})")).unwrap_or_default();
        let mut limits = Vec::new();
        if let Some((name, limiter)) = &self.limiter {
            limits.push(format!("{name} {}", limiter.describe()));
        }
        if let Some(bytes) = self.body_bytes {
            limits.push(format!("body {bytes} B"));
        }
        RouteLine {
            method: self.method.clone(),
            path: self.path,
            policy: format!("{}{scope}", audience.who),
            limits: limits.join(", "),
        }
    }
}

/// Moves the path's parameters to where the extractors find them. A path that is not
/// percent-encoded UTF-8 leaves none, and what needs one answers 404.
async fn read_path(parts: &mut http::request::Parts) {
    use axum::extract::{FromRequestParts, RawPathParams};

    let found = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = found.map(|found| {
        found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    });
    parts.extensions.insert(PathParameters(parameters.unwrap_or_default()));
}
