//! `GET /metrics`: there for whoever runs the service, and for nobody else.

use crate::exposition::{Family, read};
use crate::support::{PASSWORD, Setup, TestService};
use crate::support_orders::{wire_one, with_text};

async fn families(app: &TestService) -> Vec<Family> {
    let reply = app.admin().get("/metrics").send().await;
    reply.assert_status(200);
    read(&reply.text()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[tokio::test]
async fn metrics_are_in_the_prometheus_text_format() {
    let app = TestService::start().await;

    let reply = app.admin().get("/metrics").send().await;

    reply.assert_status(200);
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(media_type));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let read = read(&reply.text()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let names: Vec<&str> = read.iter().map(|family| family.name.as_str()).collect();
    for name in [
        "http_requests_total",
        "http_request_duration_seconds",
        "http_requests_in_flight",
        "http_request_body_bytes_total",
        "http_response_body_bytes_total",
        "palisade_connections",
        "palisade_connections_total",
        "palisade_connections_closed_total",
        "palisade_refusals_total",
        "palisade_http2_refusals_total",
        "palisade_rate_limit_decisions_total",
        "palisade_tls_handshakes_total",
        "palisade_panics_total",
        "palisade_accept_errors_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "build_info",
    ] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }
}

#[tokio::test]
async fn the_public_listener_has_no_metrics() {
    let app = TestService::start().await;

    for caller in [app.nobody(), app.machine(), app.customer("ada").await] {
        let reply = caller.get("/metrics").send().await;

        reply.assert_status(404);
        assert_eq!(reply.problem_code(), "not_found");
        assert!(!reply.text().contains("process_"), "{}", reply.text());
    }
}

#[tokio::test]
async fn the_process_is_told_apart_and_measured() {
    let app = TestService::start().await;

    let families = families(&app).await;

    let only = |name: &str| {
        let family = families.iter().find(|family| family.name == name).unwrap();
        assert_eq!(family.samples.len(), 1, "{family:?}");
        family.samples[0].clone()
    };
    let (_, labels, value) = only("build_info");
    assert_eq!(value, 1.0);
    let version = ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    assert!(labels.contains(&version), "{labels:?}");
    assert!(only("process_resident_memory_bytes").2 > 1_000_000.0);
    assert!((3.0..=only("process_max_fds").2).contains(&only("process_open_fds").2));
    assert!(only("process_start_time_seconds").2 > 1_600_000_000.0);
    assert!(only("process_cpu_seconds_total").2 > 0.0);
}

#[tokio::test]
async fn nothing_that_a_client_sent_becomes_a_metric() {
    let app = TestService::start().await;
    let before = families(&app).await;

    let ada = app.customer("ada4711").await;
    let order = ada.places_order("12.50").await;
    ada.order(&order).await.assert_status(200);
    ada.get("/no-such-place/secret4712?token=secret4713").send().await.assert_status(404);
    app.sign_in("secret4714", PASSWORD).await.assert_status(401);

    let text = app.admin().get("/metrics").send().await.text();
    let token = ada.token.clone().unwrap();
    // With letters: sizes and times hold every four digits now and then.
    let names = ["ada4711", "secret4712", "secret4713", "secret4714", "no-such-place"];
    for sent in names.into_iter().chain([&*order, &ada.id, &token]) {
        assert!(!text.contains(sent), "{sent} is in\n{text}");
    }
    // The same series as before: whatever is asked, there is never one more.
    let series = |families: &[Family]| -> Vec<String> {
        let all = families.iter().flat_map(|family| &family.samples);
        all.map(|(name, labels, _)| format!("{name}{labels:?}")).collect()
    };
    assert_eq!(series(&families(&app).await), series(&before));
}

#[tokio::test]
async fn scrapes_at_the_same_time_are_all_answered() {
    let app = TestService::start().await;

    let scrapes = (0..20).map(|_| {
        let client = app.admin();
        tokio::spawn(async move { client.get("/metrics").send().await })
    });

    for scrape in scrapes.collect::<Vec<_>>() {
        let reply = scrape.await.unwrap();
        reply.assert_status(200);
        assert!(read(&reply.text()).is_ok());
    }
}

/// Returns the value of a series that has all of `labels`, summed over its other labels.
fn total(families: &[Family], name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = families.iter().flat_map(|family| &family.samples);
    let has_all = |given: &[(String, String)]| {
        labels.iter().all(|(name, value)| given.iter().any(|(n, v)| n == name && v == value))
    };
    samples.filter(|(found, given, _)| found == name && has_all(given)).map(|(.., v)| v).sum()
}

#[tokio::test]
async fn what_was_asked_and_refused_is_counted() {
    let app = Setup::default().setting("rate.login", "1/h burst 2").start().await;
    let ada = app.customer("ada").await;
    for _ in 0..3 {
        ada.get("/orders").send().await.assert_status(200);
    }
    ada.get("/nothing").send().await.assert_status(404);
    let limited = app.sign_in("ada", "wrong").await;
    let limited = if limited.status() == 429 { limited } else { app.sign_in("ada", "x").await };
    limited.assert_status(429);
    let large = vec![b' '; 70_000];
    with_text(app.client().post("/users"), large).send().await.assert_status(413);
    wire_one(&app, "nonsense\r\n\r\n").await.assert_problem(400, "bad_request");

    let families = families(&app).await;
    let of = |name: &str, labels: &[(&str, &str)]| {
        let public = [labels, &[("listener", "public")]].concat();
        total(&families, name, &public)
    };

    let listed = [("method", "GET"), ("route", "/orders")];
    let well = [listed[0], listed[1], ("status_class", "2xx")];
    assert_eq!(of("http_requests_total", &well), 3.0);
    assert_eq!(of("http_request_duration_seconds_count", &listed), 3.0);
    assert_eq!(of("http_requests_total", &[("route", "none"), ("method", "GET")]), 1.0);
    assert_eq!(of("palisade_refusals_total", &[("reason", "body_too_large")]), 1.0);
    assert_eq!(of("palisade_refusals_total", &[("reason", "unreadable_400")]), 1.0);
    let refused = [("limit", "login"), ("decision", "refused")];
    assert_eq!(of("palisade_rate_limit_decisions_total", &refused), 1.0);
    assert!(of("http_request_body_bytes_total", &[]) > 50.0);
    assert!(of("http_response_body_bytes_total", &[]) > 500.0);
    let open = of("palisade_connections", &[]);
    let (all, closed) =
        (of("palisade_connections_total", &[]), of("palisade_connections_closed_total", &[]));
    assert_eq!(all, open + closed, "every connection is open or has ended for one reason");
    assert!(
        closed >= 1.0 && of("palisade_connections_closed_total", &[("reason", "aborted")]) == 0.0
    );
}
