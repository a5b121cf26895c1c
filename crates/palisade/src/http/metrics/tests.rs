//! Requests, refusals and connections are counted where they belong, and nothing that a client
//! says becomes a label.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::http::{Anyone, Api, Json, Problem, Route, State};

async fn answer(_: State<()>) -> Result<Json<bool>, Problem> {
    Ok(Json(true))
}

fn edge() -> (Metrics, EdgeMetrics) {
    let api = Api::<()>::new()
        .route(Route::get("/things", "list").policy(Anyone).handle(answer))
        .route(Route::post("/things", "make").policy(Anyone).handle(answer))
        .route(Route::get("/things/{id}", "read").policy(Anyone).handle(answer));
    let metrics = Metrics::new();
    let limits = ["per_ip", "login", "login"];
    let edge = EdgeMetrics::new(&metrics, Listener::Public, &api.table(), &limits).unwrap();
    (metrics, edge)
}

/// Returns the number of a series, and asserts that there is exactly one of it.
#[track_caller]
fn number(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.render().unwrap();
    let found: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{series} in\n{text}");
    found[0].parse().unwrap()
}

#[test]
fn a_request_is_counted_under_its_route_its_method_and_the_class_of_its_status() {
    let (metrics, edge) = edge();

    edge.route(1).observe(201, Duration::from_millis(3));
    edge.route(1).observe(429, Duration::from_millis(1));
    edge.route(2).observe(304, Duration::ZERO);

    let of = |method, route, class| {
        number(
            &metrics,
            &format!(
                "http_requests_total{{listener=\"public\",method=\"{method}\",route=\"{route}\",status_class=\"{class}\"}}"
            ),
        )
    };
    assert_eq!(of("POST", "/things", "2xx"), 1);
    assert_eq!(of("POST", "/things", "4xx"), 1);
    assert_eq!(of("GET", "/things", "2xx"), 0);
    assert_eq!(of("GET", "/things/{id}", "3xx"), 1);
    let duration = "{listener=\"public\",method=\"POST\",route=\"/things\"";
    let within = |le| format!("http_request_duration_seconds_bucket{duration},le=\"{le}\"}}");
    assert_eq!(number(&metrics, &within("0.001")), 1);
    assert_eq!(number(&metrics, &within("0.005")), 2);
}

#[test]
fn whatever_word_a_client_sends_as_a_method_no_series_is_added() {
    let (metrics, edge) = edge();
    let series = |text: String| text.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(metrics.render().unwrap());

    for word in ["GET", "get", "BREW", "ADA@EXAMPLE.COM", "PATCH", "HEAD"] {
        let word = word.replace('@', "-");
        let method = Method::from_bytes(word.as_bytes()).unwrap();
        edge.unrouted(&method).observe(404, Duration::ZERO);
    }
    edge.route(99).observe(200, Duration::ZERO);
    edge.unreadable().observe(400, Duration::ZERO);

    let text = metrics.render().unwrap();
    assert!(!text.contains("BREW") && !text.contains("EXAMPLE"), "{text}");
    assert_eq!(series(text), before);
    let unrouted = |method, class| {
        format!(
            "http_requests_total{{listener=\"public\",method=\"{method}\",route=\"none\",status_class=\"{class}\"}}"
        )
    };
    assert_eq!(number(&metrics, &unrouted("GET", "4xx")), 1);
    assert_eq!(number(&metrics, &unrouted("other", "4xx")), 5);
    assert_eq!(number(&metrics, &unrouted("other", "2xx")), 1, "there is no route 99");
    assert_eq!(number(&metrics, &unrouted("none", "4xx")), 1);
}

#[test]
fn a_status_outside_of_what_may_be_answered_is_the_services_fault() {
    let all = [(199, "5xx"), (200, "2xx"), (299, "2xx"), (300, "3xx"), (499, "4xx"), (500, "5xx")];
    for (status, class) in all.into_iter().chain([(599, "5xx"), (600, "5xx"), (0, "5xx")]) {
        assert_eq!(StatusClass::of(status).value(), class, "{status}");
    }
}

#[test]
fn a_request_is_in_flight_until_it_is_dropped() {
    let (metrics, edge) = edge();
    let in_flight = || number(&metrics, "http_requests_in_flight{listener=\"public\"}");

    let (first, second) = (edge.begin(), edge.begin());

    assert_eq!((first.number(), second.number(), in_flight()), (1, 2, 2));
    drop(first);
    assert_eq!(in_flight(), 1);
    assert_eq!(edge.begin().number(), 2);
    drop(second);
    assert_eq!(in_flight(), 0);
}

#[test]
fn a_connection_is_in_one_state_and_ends_for_the_first_reason_that_is_said() {
    let (metrics, edge) = edge();
    let states = || {
        ["handshake", "active", "idle"].map(|state| {
            let labels = format!("{{listener=\"public\",state=\"{state}\"}}");
            number(&metrics, &format!("palisade_connections{labels}"))
        })
    };
    let closed = |reason| {
        let labels = format!("{{listener=\"public\",reason=\"{reason}\"}}");
        number(&metrics, &format!("palisade_connections_closed_total{labels}"))
    };

    let connection = edge.connections().opened(ConnectionState::Handshake);
    assert_eq!(states(), [1, 0, 0]);
    connection.enter(ConnectionState::Active);
    assert_eq!(states(), [0, 1, 0]);
    connection.enter(ConnectionState::Active);
    connection.enter(ConnectionState::Idle);
    assert_eq!(states(), [0, 0, 1]);
    connection.ends_because(CloseReason::WriteStalled);
    connection.ends_because(CloseReason::Broken);
    drop(connection);
    drop(edge.connections().opened(ConnectionState::Idle));

    assert_eq!(states(), [0, 0, 0]);
    assert_eq!([closed("write_stalled"), closed("broken"), closed("aborted")], [1, 0, 1]);
    assert_eq!(number(&metrics, "palisade_connections_total{listener=\"public\"}"), 2);
}

#[test]
fn what_has_a_reason_is_counted_under_it() {
    let (metrics, edge) = edge();

    edge.refused(Refusal::unreadable(431));
    edge.refused(Refusal::unreadable(418));
    edge.refused_stream(Http2Error::Protocol);
    edge.refused_connection(Http2Error::Other);
    edge.connections().handshake(Handshake::Timeout);
    edge.connections().accept_failed();
    edge.limit("login").unwrap().add(Decision::Refused, 1);
    edge.panicked();
    edge.received(12);
    edge.sent(34);

    for (series, expected) in [
        ("palisade_refusals_total{listener=\"public\",reason=\"unreadable_431\"}", 1),
        ("palisade_refusals_total{listener=\"public\",reason=\"unreadable_other\"}", 1),
        ("palisade_refusals_total{listener=\"public\",reason=\"unreadable_400\"}", 0),
        (
            "palisade_http2_refusals_total{code=\"protocol_error\",listener=\"public\",scope=\"stream\"}",
            1,
        ),
        (
            "palisade_http2_refusals_total{code=\"protocol_error\",listener=\"public\",scope=\"connection\"}",
            0,
        ),
        (
            "palisade_http2_refusals_total{code=\"other\",listener=\"public\",scope=\"connection\"}",
            1,
        ),
        ("palisade_tls_handshakes_total{listener=\"public\",result=\"timeout\"}", 1),
        ("palisade_accept_errors_total{listener=\"public\"}", 1),
        (
            "palisade_rate_limit_decisions_total{decision=\"refused\",limit=\"login\",listener=\"public\"}",
            1,
        ),
        (
            "palisade_rate_limit_decisions_total{decision=\"refused\",limit=\"per_ip\",listener=\"public\"}",
            0,
        ),
        ("palisade_panics_total{listener=\"public\"}", 1),
        ("http_request_body_bytes_total{listener=\"public\"}", 12),
        ("http_response_body_bytes_total{listener=\"public\"}", 34),
    ] {
        assert_eq!(number(&metrics, series), expected, "{series}");
    }
    assert!(edge.limit("unknown").is_none());
}

#[test]
fn an_error_of_http2_has_the_name_of_its_code() {
    let names: Vec<_> = (0..16).map(|code| Http2Error::of(code).map(Http2Error::value)).collect();

    assert_eq!(names[0], None, "it says that nothing is wrong");
    let expected = [
        "protocol_error",
        "internal_error",
        "flow_control_error",
        "settings_timeout",
        "stream_closed",
        "frame_size_error",
        "refused_stream",
        "cancel",
        "compression_error",
        "connect_error",
        "enhance_your_calm",
        "inadequate_security",
        "http_1_1_required",
        "other",
        "other",
    ];
    assert_eq!(names[1..].iter().flatten().copied().collect::<Vec<_>>(), expected);
    assert_eq!(Http2Error::of(u32::MAX), Some(Http2Error::Other));
}

#[test]
fn a_listener_is_counted_once_and_another_beside_it() {
    let (metrics, _) = edge();

    EdgeMetrics::new(&metrics, Listener::Admin, &[], &[]).unwrap();

    let again = EdgeMetrics::new(&metrics, Listener::Public, &[], &[]);
    assert!(matches!(again, Err(MetricError::Taken(_))));
}

#[test]
fn every_value_of_a_label_is_in_its_own_place() {
    fn check<L: Label + std::fmt::Debug>() {
        let places: Vec<usize> = L::ALL.iter().map(|label| label.index()).collect();
        assert_eq!(places, (0..L::ALL.len()).collect::<Vec<_>>(), "{:?}", L::ALL);
        let values: BTreeSet<&str> = L::ALL.iter().map(|label| label.value()).collect();
        assert_eq!(values.len(), L::ALL.len(), "{:?}", L::ALL);
    }
    check::<Listener>();
    check::<StatusClass>();
    check::<Refusal>();
    check::<Http2Error>();
    check::<Decision>();
    check::<ConnectionState>();
    check::<CloseReason>();
    check::<Handshake>();
}

proptest! {
    #[test]
    fn each_request_is_in_one_class_and_one_bucket_of_one_route(
        requests in prop::collection::vec((0..4_usize, 200..600_u16, 0..20_000_u64), 0..40)
    ) {
        let (metrics, edge) = edge();

        for (route, status, millis) in &requests {
            edge.route(*route).observe(*status, Duration::from_millis(*millis));
        }

        let text = metrics.render().unwrap();
        let sum = |prefix: &str, part: &str| -> u64 {
            let of = text.lines().filter(|line| line.starts_with(prefix) && line.contains(part));
            of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
        };
        let all = u64::try_from(requests.len()).unwrap();
        prop_assert_eq!(sum("http_requests_total{", ""), all);
        prop_assert_eq!(sum("http_request_duration_seconds_count{", ""), all);
        prop_assert_eq!(sum("http_request_duration_seconds_bucket{", "le=\"+Inf\""), all);
        let of_one = requests.iter().filter(|(route, ..)| *route == 1).count();
        let of_one = u64::try_from(of_one).unwrap();
        let one = "method=\"POST\",route=\"/things\"";
        prop_assert_eq!(sum("http_requests_total{", one), of_one);
        prop_assert_eq!(sum("http_request_duration_seconds_count{", one), of_one);
    }
}
