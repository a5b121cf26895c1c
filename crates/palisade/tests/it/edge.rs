//! The guard around an application of somebody else's.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use palisade::config::{Rate, Throttle};
use palisade::http::{
    Anyone, Api, App, Json, Lifecycle, LimitsSection, OctetStream, Path, Problem, RateLimiter,
    RequestBody, Response, Route, ServerSection, Stream,
};
use palisade::input::Line;
use palisade::telemetry::metrics::Metrics;
use palisade::telemetry::{self, LogSection};

use crate::support;

async fn panics() -> Result<Json<bool>, Problem> {
    panic!("the secret is 42")
}

async fn panics_with_a_key() -> Result<Json<bool>, Problem> {
    panic!("no such key: {KEY}")
}

async fn answers() -> Result<Json<bool>, Problem> {
    Ok(Json(true))
}

async fn reads(mut upload: Stream<OctetStream>) -> Result<Json<bool>, Problem> {
    while upload.next().await?.is_some() {}
    Ok(Json(true))
}

async fn never() -> Result<Json<bool>, Problem> {
    std::future::pending().await
}

fn app(limits: &LimitsSection) -> App {
    let api = Api::new()
        .route(Route::get("/panic", "panic").policy(Anyone).handle(panics))
        .route(Route::get("/key", "key").policy(Anyone).handle(panics_with_a_key))
        .route(Route::get("/answer", "answer").policy(Anyone).handle(answers))
        .route(Route::get("/never", "never").policy(Anyone).handle(never));
    let edge = limits.public_edge(&ServerSection::default(), Throttle::Off);
    App::new(api, &(), edge, Lifecycle::new(), &Metrics::new()).unwrap()
}

async fn get(app: &App, path: &str) -> (u16, String) {
    let request =
        http::Request::get(path).header("host", "x").body(RequestBody::whole("")).unwrap();
    let answer = app.respond(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_panic_is_one_answer_of_500_and_the_next_request_is_served() {
    let app = app(&LimitsSection::default());

    let (status, body) = get(&app, "/panic").await;

    assert_eq!(status, 500);
    assert!(body.contains(r#""code":"internal""#) && !body.contains("secret"), "{body}");
    assert_eq!(get(&app, "/answer").await, (200, "true".to_owned()));
}

/// Every header but those that say what the one answer is about.
fn common(answer: &Response) -> Vec<(String, String)> {
    const OWN: [&str; 6] = [
        "x-request-id",
        "content-type",
        "content-length",
        "allow",
        "retry-after",
        "www-authenticate",
    ];
    let headers = answer.headers().iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn every_status_carries_the_same_headers() {
    let request_timeout = Duration::from_millis(50);
    let limits = LimitsSection { request_timeout, ..LimitsSection::default() };
    let mut settings = limits.public_edge(&ServerSection::default(), Throttle::Off);
    settings.strict_transport = true;
    let once = Arc::new(RateLimiter::of(Throttle::At(Rate::per_minute(1))));
    let api = Api::new()
        .route(Route::get("/answer", "answer").policy(Anyone).handle(answers))
        .route(Route::get("/panic", "panic").policy(Anyone).handle(panics))
        .route(Route::get("/never", "never").policy(Anyone).handle(never))
        .route(Route::get("/once", "once").limited_by("once", once).policy(Anyone).handle(answers))
        .route(Route::post("/bytes", "bytes").takes_up_to(10).policy(Anyone).handle(reads));
    let app = App::new(api, &(), settings, Lifecycle::new(), &Metrics::new()).unwrap();
    let ask = async |method: &str, path: &str, host: &str| {
        let request = http::Request::builder().method(method).uri(path).header("host", host);
        let request = request.header("content-type", "application/octet-stream");
        let request = request.body(RequestBody::whole(vec![0; 100])).unwrap();
        app.respond(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    };
    let first = ask("GET", "/answer", "x").await;
    ask("GET", "/once", "x").await;

    for (status, method, path, host) in [
        (400, "GET", "/answer", "not a host"),
        (404, "GET", "/nothing", "x"),
        (405, "POST", "/answer", "x"),
        (413, "POST", "/bytes", "x"),
        (429, "GET", "/once", "x"),
        (500, "GET", "/panic", "x"),
        (503, "GET", "/never", "x"),
    ] {
        let answer = ask(method, path, host).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(common(&answer), common(&first), "{status}");
        assert!(answer.headers().contains_key("x-request-id"));
        assert_eq!(answer.headers().contains_key("retry-after"), [429, 503].contains(&status));
    }
    assert_eq!(first.status(), 200);
    assert_eq!(common(&first).len(), 6, "{:?}", common(&first));
}

/// As long as a key or a token is.
const KEY: &str = "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI";

#[tokio::test]
#[ignore = "panics on purpose: the next test runs it as a process of its own and reads its log"]
async fn a_service_that_panics_with_a_key() {
    let mut log = telemetry::start("it", &LogSection::default());
    log.begin().unwrap();
    assert_eq!(get(&app(&LimitsSection::default()), "/key").await.0, 500);
    assert!(std::thread::spawn(|| panic!("alone with {KEY}")).join().is_err());
}

#[test]
#[expect(clippy::disallowed_types, reason = "a log can only be read from outside of its process")]
fn a_panic_is_told_once_in_the_log_and_without_what_looks_like_a_key() {
    let itself = std::env::current_exe().unwrap();
    let ended = std::process::Command::new(itself)
        .args(["--exact", "edge::a_service_that_panics_with_a_key", "--ignored", "--nocapture"])
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&ended.stderr);
    let told: Vec<&str> = said.lines().filter(|line| line.contains("panicked")).collect();
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains(KEY), "{said}");
    assert_eq!(told.len(), 2, "{said}");
    assert!(told[0].contains("no such key: [redacted]") && told[0].contains("edge.rs"), "{said}");
    assert!(told[0].contains("request_id") && told[1].contains("alone with [redacted]"), "{said}");
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_answered_when_its_time_is_over() {
    let request_timeout = Duration::from_millis(100);
    let limits = LimitsSection { request_timeout, ..LimitsSection::default() };

    let (status, body) = get(&app(&limits), "/never").await;

    assert_eq!(status, 503);
    assert!(body.contains("may still happen"), "{body}");
}

#[tokio::test]
async fn a_place_among_the_requests_in_flight_is_given_back() {
    let limits = LimitsSection { in_flight: 1, ..LimitsSection::default() };
    let app = app(&limits);

    for path in ["/answer", "/panic", "/nothing", "/answer"] {
        assert_ne!(get(&app, path).await.0, 503, "{path}");
    }
    let busy = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/never").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(get(&app, "/answer").await.0, 503);

    busy.abort();
    assert!(busy.await.unwrap_err().is_cancelled());
    assert_eq!(get(&app, "/answer").await.0, 200, "a client that went away gives its place back");
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_counted_like_an_answer() {
    let metrics = Metrics::new();
    let api = Api::new().route(Route::get("/never", "never").policy(Anyone).handle(never));
    let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
    let app = App::new(api, &(), edge, Lifecycle::new(), &metrics).unwrap();

    let given_up = tokio::time::timeout(Duration::from_millis(20), get(&app, "/never")).await;

    assert!(given_up.is_err());
    let text = metrics.render().unwrap();
    let abandoned = r#"palisade_refusals_total{listener="public",reason="abandoned"} 1"#;
    let answered = r#"route="/never",status_class="4xx"} 1"#;
    assert!(text.contains(abandoned) && text.contains(answered), "{text}");
    assert!(text.contains(r#"http_requests_in_flight{listener="public"} 0"#), "{text}");
}

async fn named(Path(name): Path<Line<1, 5>>) -> Result<Json<Line<1, 5>>, Problem> {
    Ok(Json(name))
}

#[tokio::test]
async fn the_only_parameter_of_a_path_is_read_by_whatever_name_it_has() {
    let route = Route::get("/people/{name}", "person").policy(Anyone).handle(named);
    let app = support::app(Api::new().route(route), &());

    assert_eq!(get(&app, "/people/Ad%61").await, (200, "\"Ada\"".to_owned()));
    for none in ["/people/too-long", "/people/%ff", "/people/%0a", "/people/"] {
        assert_eq!(get(&app, none).await.0, 404, "{none}");
    }
}

#[test]
#[should_panic(expected = "/people/{a}/{b} has 2")]
fn a_route_with_two_parameters_does_not_start_with_an_argument_for_the_only_one() {
    drop(Route::<_>::get("/people/{a}/{b}", "x").policy::<()>(Anyone).handle(named));
}

#[test]
#[should_panic(expected = "two routes GET /answer")]
fn an_application_with_the_same_route_twice_does_not_start() {
    let route = || Route::get("/answer", "answer").policy(Anyone).handle(answers);
    support::app(Api::new().route(route()).route(route()), &());
}
