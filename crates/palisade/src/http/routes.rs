//! The table of routes that requests are looked up in.

use std::cmp::Reverse;
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
    /// Whether its answers may be large.
    pub(super) is_large: bool,
    pub(super) work: Box<dyn Work>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mounted({} {})", self.method, self.template)
    }
}

/// The decoded parameters of a path, by name.
pub(crate) type PathParameters = Vec<(String, String)>;

/// All routes by path and method, and what is mounted for the paths that none of them has.
#[derive(Debug, Default)]
pub(super) struct Routes {
    paths: Router<usize>,
    resources: Vec<Resource>,
    /// By prefix, the longest first.
    mounts: Vec<(&'static str, Mounted)>,
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

    /// Adds what answers every path at and below `prefix` that no route has.
    pub(super) fn mount(&mut self, prefix: &'static str, mounted: Mounted) {
        self.mounts.push((prefix, mounted));
        self.mounts.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
    }

    /// Looks a route up. HEAD is answered by the route for GET (RFC 9110, section 9.3.2).
    pub(super) fn find(&self, method: &Method, path: &str) -> Lookup<'_> {
        let Ok(found) = self.paths.at(path) else { return self.find_mount(path) };
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

    fn find_mount(&self, path: &str) -> Lookup<'_> {
        let found = self.mounts.iter().find(|(prefix, _)| is_at_or_below(path, prefix));
        match found {
            Some((_, mounted)) if is_straight(path) => Lookup::Found(mounted, Vec::new()),
            _ => Lookup::NotFound,
        }
    }
}

fn is_at_or_below(path: &str, prefix: &str) -> bool {
    // What is mounted at the root has `/` for its prefix.
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.starts_with('/') || rest.is_empty() && !path.is_empty())
}

/// Tells whether a path leads only downwards, however its reader decodes it. Clients take `.` and
/// `..` out before they send (RFC 3986, section 5.2.4).
fn is_straight(path: &str) -> bool {
    let is_dot = |segment: &str| segment == "." || segment == "..";
    percent_decoded(path).is_some_and(|decoded| !decoded.split(['/', '\\']).any(is_dot))
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

    fn placed(method: &Method, template: &'static str) -> Mounted {
        Mounted {
            number: 0,
            method: method.clone(),
            template,
            limiter: None,
            body_bytes: None,
            inflates: false,
            within: None,
            is_large: false,
            work: Box::new(Never),
        }
    }

    fn routes(all: &[(Method, &'static str)]) -> Routes {
        let mut routes = Routes::default();
        for (method, template) in all {
            routes.add(placed(method, template));
        }
        routes
    }

    fn mounted(prefixes: &[&'static str]) -> Routes {
        let mut routes = routes(&[(Method::GET, "/old/things/{id}")]);
        for prefix in prefixes {
            routes.mount(prefix, placed(&Method::GET, prefix));
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
    fn a_mount_has_what_is_at_and_below_its_prefix_and_no_route_has() {
        let routes = mounted(&["/old", "/old/er"]);

        for path in
            ["/old", "/old/", "/old/x", "/old//", "/old/things/1/2", "/old/a%2Fb", "/old/..x"]
        {
            assert_eq!(found(&routes, Method::PATCH, path), "/old []", "{path}");
        }
        assert_eq!(found(&routes, Method::GET, "/old/er/x"), "/old/er []");
        assert_eq!(
            found(&routes, Method::GET, "/old/things/1"),
            "/old/things/{id} [(\"id\", \"1\")]"
        );
        assert_eq!(found(&routes, Method::POST, "/old/things/1"), "allow GET,HEAD");
        for path in ["/", "", "*", "/older", "/old%2Fx", "/OLD/x", "//old/x", "/x/old"] {
            assert_eq!(found(&routes, Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    fn a_mount_at_the_root_has_every_path_that_no_route_has() {
        let routes = mounted(&["/"]);

        for path in ["/", "/x", "//", "/old/things"] {
            assert_eq!(found(&routes, Method::GET, path), "/ []", "{path}");
        }
        for path in ["", "*"] {
            assert_eq!(found(&routes, Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_upwards_is_below_no_mount() {
        let routes = mounted(&["/", "/old"]);

        for path in [
            "/old/..",
            "/old/../things",
            "/old/./x",
            "/old/.",
            "/old/%2e%2e/x",
            "/old/.%2E/x",
            "/old/..%2fx",
            "/old/a%2F..%2Fx",
            "/old/..\\x",
            "/old/..%5cx",
            "/old/%ff/../x",
            "/old/%ff",
            "/old/%zz",
            "/old/%2",
        ] {
            assert_eq!(found(&routes, Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    #[should_panic(expected = "two routes GET /things")]
    fn the_same_route_twice_does_not_start() {
        routes(&[(Method::GET, "/things"), (Method::GET, "/things")]);
    }
}
