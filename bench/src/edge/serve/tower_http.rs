//! The usual stack: layers of tower and tower-http around the same router as bare, in one
//! `ServiceBuilder`, the log written by a thread of tracing-appender.
//!
//! The rate limiter is Palisade's own, so that another algorithm is not what differs. Metrics are
//! those of axum's example "prometheus-metrics": owned labels, a counter and a histogram.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use http::{HeaderName, HeaderValue, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use palisade::config::{Rate, Throttle};
use palisade::http::RateLimiter;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::ServiceBuilderExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, RequestId};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Level, Span, info_span};
use tracing_appender::non_blocking::WorkerGuard;

use super::{Started, bare};

/// Serves bare's router behind the layers.
pub(super) fn start(listener: TcpListener) -> anyhow::Result<Started> {
    let log = start_log()?;
    let metrics = PrometheusBuilder::new().set_buckets(BUCKETS)?.install_recorder()?;
    tokio::spawn(keep_up(metrics));
    let service = router()?.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(Started { token: None, keeps: Box::new(log) })
}

fn start_log() -> anyhow::Result<WorkerGuard> {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let lines = tracing_subscriber::fmt().json().with_max_level(Level::INFO).with_writer(writer);
    lines.try_init().map_err(|error| anyhow::anyhow!("the log cannot start: {error}"))?;
    Ok(guard)
}

/// Histograms grow until somebody folds their samples.
async fn keep_up(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

fn router() -> anyhow::Result<Router> {
    let rate = Throttle::At(Rate::per_second(10_000_000));
    let limiter = Arc::new(RateLimiter::<IpAddr>::of(rate));
    let [one, two, three, four, five, six] = HEADERS.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    });
    let layers = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(DefaultOnResponse::new().level(Level::INFO)),
        )
        .propagate_x_request_id()
        .layer(one)
        .layer(two)
        .layer(three)
        .layer(four)
        .layer(five)
        .layer(six)
        .layer(from_fn(count))
        .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::SERVICE_UNAVAILABLE))
        .load_shed()
        .concurrency_limit(IN_FLIGHT)
        .layer(from_fn_with_state(limiter, limit))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(RequestBodyLimitLayer::new(BODY_BYTES));
    Ok(bare::router().layer(layers))
}

fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    info_span!("request", request_id = id, method = %request.method(), uri = %request.uri())
}

async fn limit(
    State(limiter): State<Arc<RateLimiter<IpAddr>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
    next: Next,
) -> Response {
    match limiter.check(peer.ip()) {
        Ok(()) => next.run(request).await,
        Err(_) => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}

async fn count(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or_else(|| request.uri().path(), MatchedPath::as_str).to_owned();
    let method = request.method().to_string();

    let response = next.run(request).await;

    let latency = start.elapsed().as_secs_f64();
    let status = response.status().as_u16().to_string();
    let labels = [("method", method), ("path", path), ("status", status)];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_requests_duration_seconds", &labels).record(latency);
    response
}

/// As many as the guard writes.
const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cache-control", "no-store"),
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
];
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const UPKEEP: Duration = Duration::from_secs(5);
/// The limits are those that Palisade has by default.
const IN_FLIGHT: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
const BODY_BYTES: usize = 64 * 1024;
