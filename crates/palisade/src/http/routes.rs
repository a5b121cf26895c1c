//! The table of routes that requests are looked up in.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};
use matchit::Router;

use super::metrics::Decision;
use super::rate::RateLimiter;
use super::{AccountBudget, Problem, Request, Response};
use crate::input::percent_decoded;
use crate::telemetry::metrics::Counters;

/// The pending answer of a route.
pub(super) type Working<'a> = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send + 'a>>;

/// What a route does with a request that was let through so far: its policy, then its handler.
pub(super) trait Work: Send + Sync {
    /// Answers `request`.
    fn work<'a>(&'a self, request: Request, budget: &'a AccountBudget) -> Working<'a>;
}

/// A rate limit of a route's own.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) limiter: Arc<RateLimiter>,
    pub(super) decisions: Option<Counters<Decision>>,
}

/// A route in its place.
pub(super) struct Mounted {
    /// The place in the order of registration, by which metrics find it.
    pub(super) number: usize,
    pub(super) method: Method,
    pub(super) template: &'static str,
    pub(super) limiter: Option<Limit>,
    pub(super) body_bytes: Option<usize>,
    pub(super) inflates: bool,
    pub(super) within: Option<Duration>,
    pub(super) work: Box<dyn Work>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mounted({} {})", self.method, self.template)
    }
}

/// The decoded parameters of a path, by name.
pub(crate) type PathParameters = Vec<(String, String)>;

/// All routes by path and method.
#[derive(Debug, Default)]
pub(super) struct Routes {
    paths: Router<usize>,
    resources: Vec<Resource>,
}

/// The routes of one path.
#[derive(Debug)]
struct Resource {
    template: &'static str,
    routes: Vec<Mounted>,
    /// The methods there are, for `Allow`.
    allowed: HeaderValue,
}

/// What was found for a method and a path.
pub(super) enum Lookup<'a> {
    Found(&'a Mounted, PathParameters),
    OtherMethods(&'a HeaderValue),
    NotFound,
}

impl Routes {
    /// Adds a route.
    ///
    /// # Panics
    ///
    /// If there is the same one already, or its path cannot be told from another's.
    #[expect(
        clippy::panic,
        reason = "a mistake in the program that must not start, told at its start"
    )]
    pub(super) fn add(&mut self, route: Mounted) {
        let template = route.template;
        let known = self.resources.iter_mut().find(|known| known.template == template);
        let Some(resource) = known else {
            if let Err(error) = self.paths.insert(template, self.resources.len()) {
                panic!("the path {template} cannot be a route: {error}");
            }
            let allowed = HeaderValue::from_static("");
            let mut resource = Resource { template, routes: vec![route], allowed };
            resource.list_methods();
            self.resources.push(resource);
            return;
        };
        if resource.routes.iter().any(|known| known.method == route.method) {
            panic!("there are two routes {} {template}", route.method);
        }
        resource.routes.push(route);
        resource.list_methods();
    }

    /// Looks a route up. HEAD is answered by the route for GET (RFC 9110, section 9.3.2).
    pub(super) fn find(&self, method: &Method, path: &str) -> Lookup<'_> {
        let Ok(found) = self.paths.at(path) else { return Lookup::NotFound };
        let Some(resource) = self.resources.get(*found.value) else { return Lookup::NotFound };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        let Some(route) = resource.routes.iter().find(|route| route.method == *wanted) else {
            return Lookup::OtherMethods(&resource.allowed);
        };
        // A parameter that is not percent-encoded UTF-8 is left out, and what needs it finds
        // nothing: 404.
        let decoded =
            |(name, value): (&str, &str)| Some((name.to_owned(), percent_decoded(value)?));
        Lookup::Found(route, found.params.iter().filter_map(decoded).collect())
    }
}

impl Resource {
    fn list_methods(&mut self) {
        let mut methods = Vec::new();
        for route in &self.routes {
            methods.push(route.method.as_str());
            if route.method == Method::GET {
                methods.push(Method::HEAD.as_str());
            }
        }
        if let Ok(allowed) = HeaderValue::from_str(&methods.join(",")) {
            self.allowed = allowed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Never;

    impl Work for Never {
        fn work<'a>(&'a self, _: Request, _: &'a AccountBudget) -> Working<'a> {
            Box::pin(std::future::pending())
        }
    }

    fn routes(all: &[(Method, &'static str)]) -> Routes {
        let mut routes = Routes::default();
        for (method, template) in all {
            routes.add(Mounted {
                number: 0,
                method: method.clone(),
                template,
                limiter: None,
                body_bytes: None,
                inflates: false,
                within: None,
                work: Box::new(Never),
            });
        }
        routes
    }

    fn found(routes: &Routes, method: Method, path: &str) -> String {
        match routes.find(&method, path) {
            Lookup::Found(route, parameters) => format!("{} {parameters:?}", route.template),
            Lookup::OtherMethods(allowed) => format!("allow {}", allowed.to_str().unwrap()),
            Lookup::NotFound => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_route_is_found_by_path_and_method() {
        let routes = routes(&[
            (Method::GET, "/things"),
            (Method::POST, "/things"),
            (Method::GET, "/things/mine"),
            (Method::GET, "/things/{id}"),
        ]);

        assert_eq!(found(&routes, Method::POST, "/things"), "/things []");
        assert_eq!(found(&routes, Method::HEAD, "/things"), "/things []");
        assert_eq!(found(&routes, Method::GET, "/things/mine"), "/things/mine []");
        let decoded = "/things/{id} [(\"id\", \"a b+c\")]";
        assert_eq!(found(&routes, Method::GET, "/things/a%20b+c"), decoded);
        assert_eq!(found(&routes, Method::GET, "/things/%ff"), "/things/{id} []");
        assert_eq!(found(&routes, Method::PUT, "/things"), "allow GET,HEAD,POST");
        for path in ["/", "/things/", "/things/a/b", "/thing", "*", ""] {
            assert_eq!(found(&routes, Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    #[should_panic(expected = "two routes GET /things")]
    fn the_same_route_twice_does_not_start() {
        routes(&[(Method::GET, "/things"), (Method::GET, "/things")]);
    }
}
