//! What the edge counts: requests by route, connections by state, refusals by reason.
//!
//! All of it is made once, with the routes that there are; a request then finds its handles by the
//! number of its route. Whatever a client sends, it adds to a series that is there already.
//!
//! | metric | labels, after `listener` |
//! | --- | --- |
//! | `http_requests_total` | `method`, `route`, `status_class` |
//! | `http_request_duration_seconds` | `method`, `route` |
//! | `http_requests_in_flight` | |
//! | `http_request_body_bytes_total`, `http_response_body_bytes_total` | |
//! | `palisade_refusals_total` | `reason` |
//! | `palisade_http2_refusals_total` | `scope`, `code` |
//! | `palisade_rate_limit_decisions_total` | `limit`, `decision` |
//! | `palisade_panics_total` | |
//! | `palisade_connections` | `state` |
//! | `palisade_connections_total`, `palisade_accept_errors_total` | |
//! | `palisade_connections_closed_total` | `reason` |
//! | `palisade_tls_handshakes_total` | `result` |

mod connections;
mod exposition;
mod labels;
mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Method;

pub use connections::{ConnectionMetrics, OpenConnection};
pub(super) use exposition::scrape_route;
pub use labels::{
    CloseReason, ConnectionState, Decision, Handshake, Http2Error, Listener, Refusal, StatusClass,
};
pub use routes::RouteMetrics;

use super::RouteLine;
use crate::telemetry::metrics::{Counter, Counters, Gauge, Label, MetricError, Metrics};
use routes::Routes;

/// What one listener counts.
///
/// ```
/// use std::time::Duration;
/// use palisade::http::metrics::{EdgeMetrics, Listener, Refusal};
/// use palisade::http::{Anyone, Api, Json, Problem, Route, State};
/// use palisade::telemetry::metrics::Metrics;
///
/// async fn list(_: State<()>) -> Result<Json<bool>, Problem> {
///     Ok(Json(true))
/// }
///
/// let api = Api::new().route(Route::get("/things/{id}", "read").policy(Anyone).handle(list));
/// let metrics = Metrics::new();
/// let edge = EdgeMetrics::new(&metrics, Listener::Public, &api.table(), &["per_ip"])?;
///
/// edge.route(0).observe(200, Duration::from_millis(3));
/// edge.refused(Refusal::InFlight);
///
/// let line = r#"http_requests_total{listener="public",method="GET",route="/things/{id}",status_class="2xx"} 1"#;
/// assert!(metrics.render()?.lines().any(|found| found == line));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EdgeMetrics {
    routes: Routes,
    in_flight: Gauge,
    request_bytes: Counter,
    response_bytes: Counter,
    refusals: Counters<Refusal>,
    refused_streams: Counters<Http2Error>,
    refused_connections: Counters<Http2Error>,
    limits: Vec<(&'static str, Counters<Decision>)>,
    panics: Counter,
    connections: Arc<ConnectionMetrics>,
}

impl EdgeMetrics {
    /// Makes all series of `listener`, for `routes` in the order in which they are numbered, and
    /// for the rate limits named `limits`. A name that is given twice is one series.
    ///
    /// # Errors
    ///
    /// [`MetricError::Taken`] if this listener has its series already.
    pub fn new(
        metrics: &Metrics,
        listener: Listener,
        routes: &[RouteLine],
        limits: &[&'static str],
    ) -> Result<Self, MetricError> {
        let own = (Listener::NAME, listener.value());
        Ok(Self {
            routes: Routes::new(metrics, own, routes)?,
            in_flight: metrics.gauge(IN_FLIGHT, "Requests that are worked on.", &[own])?,
            request_bytes: metrics.counter(REQUEST_BYTES, "Bytes of bodies read.", &[own])?,
            response_bytes: metrics.counter(RESPONSE_BYTES, "Bytes of bodies sent.", &[own])?,
            refusals: metrics.counters(REFUSALS, "Requests the edge itself refused.", &[own])?,
            refused_streams: http2_refusals(metrics, own, "stream")?,
            refused_connections: http2_refusals(metrics, own, "connection")?,
            limits: decisions(metrics, own, limits)?,
            panics: metrics.counter(PANICS, "Handlers that panicked.", &[own])?,
            connections: Arc::new(ConnectionMetrics::new(metrics, own)?),
        })
    }

    /// Returns the handles of the route with this number, counted from 0 in the order that was
    /// given to [`EdgeMetrics::new`]; those of an unrouted request if there is no such route.
    pub fn route(&self, number: usize) -> &RouteMetrics {
        self.routes.numbered(number)
    }

    /// Returns the handles for a request that no route answered. A method that no route has
    /// counts as `other`, because clients may send any word as one.
    pub fn unrouted(&self, method: &Method) -> &RouteMetrics {
        self.routes.unrouted(method)
    }

    /// Returns the handles for what could not be read as a request; its method is `none`.
    pub fn unreadable(&self) -> &RouteMetrics {
        self.routes.unreadable()
    }

    /// Counts a request as in flight until the value is dropped.
    pub fn begin(&self) -> InFlight<'_> {
        InFlight { number: self.in_flight.raise(), gauge: &self.in_flight }
    }

    /// Counts a request that the edge refused, on top of its answer.
    pub fn refused(&self, reason: Refusal) {
        self.refusals.add(reason, 1);
    }

    /// Counts a stream that HTTP/2 itself reset with an error.
    pub fn refused_stream(&self, error: Http2Error) {
        self.refused_streams.add(error, 1);
    }

    /// Counts a connection that HTTP/2 itself ended with an error.
    pub fn refused_connection(&self, error: Http2Error) {
        self.refused_connections.add(error, 1);
    }

    /// Counts a handler that panicked.
    pub fn panicked(&self) {
        self.panics.add(1);
    }

    /// Counts `bytes` of a request's body.
    pub fn received(&self, bytes: u64) {
        self.request_bytes.add(bytes);
    }

    /// Counts `bytes` of an answer's body.
    pub fn sent(&self, bytes: u64) {
        self.response_bytes.add(bytes);
    }

    /// Returns the handles of the rate limit `name`, to be kept by who applies it; `None` if it
    /// was not named to [`EdgeMetrics::new`].
    pub fn limit(&self, name: &str) -> Option<Counters<Decision>> {
        let found = self.limits.iter().find(|(known, _)| *known == name);
        found.map(|(_, decisions)| decisions.clone())
    }

    /// Returns what is counted of connections.
    pub fn connections(&self) -> &Arc<ConnectionMetrics> {
        &self.connections
    }
}

/// A request in flight.
#[derive(Debug)]
#[must_use = "dropping it ends the request"]
pub struct InFlight<'a> {
    number: i64,
    gauge: &'a Gauge,
}

impl InFlight<'_> {
    /// Returns how many were in flight when this one began, itself included.
    pub fn number(&self) -> usize {
        usize::try_from(self.number).unwrap_or(0)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gauge.lower();
    }
}

/// A label's name and value.
type Own = (&'static str, &'static str);

fn http2_refusals(
    metrics: &Metrics,
    own: Own,
    scope: &'static str,
) -> Result<Counters<Http2Error>, MetricError> {
    metrics.counters(HTTP2_REFUSALS, HTTP2_REFUSALS_HELP, &[own, ("scope", scope)])
}

fn decisions(
    metrics: &Metrics,
    own: Own,
    limits: &[&'static str],
) -> Result<Vec<(&'static str, Counters<Decision>)>, MetricError> {
    let mut made: Vec<(&'static str, Counters<Decision>)> = Vec::new();
    for name in limits {
        if made.iter().all(|(known, _)| known != name) {
            let labels = [own, ("limit", *name)];
            made.push((*name, metrics.counters(DECISIONS, DECISIONS_HELP, &labels)?));
        }
    }
    Ok(made)
}

const IN_FLIGHT: &str = "http_requests_in_flight";
const REQUEST_BYTES: &str = "http_request_body_bytes_total";
const RESPONSE_BYTES: &str = "http_response_body_bytes_total";
const REFUSALS: &str = "palisade_refusals_total";
const HTTP2_REFUSALS: &str = "palisade_http2_refusals_total";
const HTTP2_REFUSALS_HELP: &str = "Streams and connections that HTTP/2 itself refused with \
    RST_STREAM and GOAWAY, by error code; NO_ERROR is not counted.";
const PANICS: &str = "palisade_panics_total";
const DECISIONS: &str = "palisade_rate_limit_decisions_total";
const DECISIONS_HELP: &str = "What rate limits decided.";
