//! Requests and their durations, by route and method.

use std::time::Duration;

use http::Method;

use super::{Own, StatusClass};
use crate::http::RouteLine;
use crate::http::mount::EVERY_METHOD;
use crate::telemetry::metrics::{Counters, Histogram, MetricError, Metrics};

/// The handles of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    answers: Counters<StatusClass>,
    duration: Histogram,
    /// For a route that has every method, those with names of their own.
    by_method: Vec<(Method, Self)>,
}

impl RouteMetrics {
    fn new(
        metrics: &Metrics,
        own: Own,
        method: &'static str,
        route: &'static str,
    ) -> Result<Self, MetricError> {
        let labels = [own, ("method", method), ("route", route)];
        Ok(Self {
            answers: metrics.counters(REQUESTS, "Requests that were answered.", &labels)?,
            duration: metrics.histogram(DURATION, DURATION_HELP, &BOUNDS, &labels)?,
            by_method: Vec::new(),
        })
    }

    fn of_every_method(
        metrics: &Metrics,
        own: Own,
        route: &'static str,
    ) -> Result<Self, MetricError> {
        let mut all = Self::new(metrics, own, OTHER, route)?;
        for method in NAMED {
            let handles = Self::new(metrics, own, written(&method), route)?;
            all.by_method.push((method, handles));
        }
        Ok(all)
    }

    /// Returns the handles for requests with `method`: where the route has every method, those of
    /// `other` for what is none of HTTP's own, because clients may send any word as one.
    pub fn of(&self, method: &Method) -> &Self {
        let found = self.by_method.iter().find(|(known, _)| known == method);
        found.map_or(self, |(_, handles)| handles)
    }

    /// Counts one request, answered with `status` after `duration`.
    pub fn observe(&self, status: u16, duration: Duration) {
        self.answers.add(StatusClass::of(status), 1);
        self.duration.observe(duration);
    }
}

/// The handles of all routes, and of what reaches none.
#[derive(Debug)]
pub(super) struct Routes {
    numbered: Vec<RouteMetrics>,
    /// One for each method that some route has.
    unrouted: Vec<(Method, RouteMetrics)>,
    other: RouteMetrics,
    unreadable: RouteMetrics,
}

impl Routes {
    pub(super) fn new(
        metrics: &Metrics,
        own: Own,
        routes: &[RouteLine],
    ) -> Result<Self, MetricError> {
        let mut numbered = Vec::with_capacity(routes.len());
        let mut unrouted: Vec<(Method, RouteMetrics)> = Vec::new();
        for RouteLine { method, path, .. } in routes {
            numbered.push(match method.as_str() {
                EVERY_METHOD => RouteMetrics::of_every_method(metrics, own, path)?,
                _ => RouteMetrics::new(metrics, own, written(method), path)?,
            });
            if written(method) != OTHER && unrouted.iter().all(|(known, _)| known != method) {
                let handles = RouteMetrics::new(metrics, own, written(method), NONE)?;
                unrouted.push((method.clone(), handles));
            }
        }
        let other = RouteMetrics::new(metrics, own, OTHER, NONE)?;
        let unreadable = RouteMetrics::new(metrics, own, NONE, NONE)?;
        Ok(Self { numbered, unrouted, other, unreadable })
    }

    pub(super) fn numbered(&self, number: usize) -> &RouteMetrics {
        self.numbered.get(number).unwrap_or(&self.other)
    }

    pub(super) fn unrouted(&self, method: &Method) -> &RouteMetrics {
        let found = self.unrouted.iter().find(|(known, _)| known == method);
        found.map_or(&self.other, |(_, handles)| handles)
    }

    pub(super) fn unreadable(&self) -> &RouteMetrics {
        &self.unreadable
    }
}

/// Returns the method as a label: the word itself only if it is one of HTTP's own.
fn written(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// The methods that are written as themselves.
const NAMED: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

const OTHER: &str = "other";
const NONE: &str = "none";
const REQUESTS: &str = "http_requests_total";
const DURATION: &str = "http_request_duration_seconds";
const DURATION_HELP: &str = "Time from a request's head to its answer.";

/// From less than a look-up takes to longer than a client waits, in steps of about 2.
const BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
