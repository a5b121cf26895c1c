//! Routers of axum behind the guard: what reaches them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body_util::BodyExt;
use palisade::auth::{Auth, AuthSettings, Caller, Role, caller};
use palisade::clock::SystemClock;
use palisade::config::{Rate, Throttle};
use palisade::crypto::TokenKind;
use palisade::db::{DatabaseUrl, Db, DbSettings, Purpose};
use palisade::http::{
    AccountBudget, Admission, Anyone, Api, App, Audience, ClientAddress, Lifecycle, LimitsSection,
    Policy, Problem, RequestBody, Route, ServerSection,
};
use palisade::secret::Secret;
use palisade::telemetry::metrics::Metrics;

use crate::support::app;

pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Read {
    /// Returns the code of a problem, and asserts that the document agrees with the status.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers.get("content-type").unwrap(), "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let member = |name| problem.get(name).unwrap();
        assert_eq!(*member("status"), self.status, "{self:?}");
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(*member("request_id"), id);
        member("code").as_str().unwrap().to_owned()
    }
}

pub(crate) async fn send(app: &App, request: http::Request<RequestBody>) -> Read {
    let answer = app.respond(request, CLIENT).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Read { status: head.status.as_u16(), headers: head.headers, body }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    body: impl Into<Bytes>,
) -> http::Request<RequestBody> {
    let request = http::Request::builder().method(method).uri(path).header("host", "x");
    request.body(RequestBody::whole(body)).unwrap()
}

pub(crate) async fn ask(app: &App, method: &str, path: &str) -> Read {
    send(app, request(method, path, "")).await
}

/// Mounts a router at `/legacy` for anyone.
pub(crate) fn legacy(router: Router) -> App {
    app(Api::new().mount("/legacy", Anyone, router), &())
}

/// Mounts what answers every request with `answer`, and counts them.
pub(crate) fn counting(answer: &'static str) -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let router = Router::new().fallback(move |uri: Uri| {
        counted.fetch_add(1, Relaxed);
        std::future::ready(format!("{answer} {uri}"))
    });
    (router, calls)
}

async fn own() -> Result<palisade::http::Json<bool>, Problem> {
    Ok(palisade::http::Json(true))
}

#[tokio::test]
async fn a_router_answers_below_its_prefix_and_sees_what_follows_it() {
    let things = |Path(id): Path<String>, uri: Uri| std::future::ready(format!("{id} {uri}"));
    let router = Router::new()
        .route("/", get(|uri: Uri| std::future::ready(format!("root {uri}"))))
        .route("/things/{id}", any(things));
    let app = legacy(router);

    let root = ask(&app, "GET", "/legacy").await;
    let thing = ask(&app, "PURGE", "/legacy/things/a%2F..b?x=%2e&y").await;
    let head = ask(&app, "HEAD", "/legacy/things/1").await;
    let options = ask(&app, "OPTIONS", "/legacy/things/1").await;
    let unknown = ask(&app, "GET", "/legacy/nothing").await;
    let other_method = ask(&app, "POST", "/legacy").await;

    assert_eq!((root.status, root.body.as_str()), (200, "root /"));
    assert_eq!((thing.status, thing.body.as_str()), (200, "a/..b /things/a%2F..b?x=%2e&y"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], "1 /things/1".len().to_string());
    assert_eq!((options.status, options.body.as_str()), (200, "1 /things/1"));
    assert_eq!((unknown.status, unknown.code()), (404, "not_found".to_owned()));
    assert_eq!((other_method.status, other_method.code()), (405, "method_not_allowed".to_owned()));
    assert_eq!(other_method.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_path_that_has_a_route_never_reaches_the_router() {
    let (router, calls) = counting("router");
    let api = Api::new()
        .route(Route::get("/legacy/moved/{id}", "moved").policy(Anyone).handle(own))
        .mount("/", Anyone, router);
    let app = app(api, &());

    assert_eq!(ask(&app, "GET", "/legacy/moved/1").await.body, "true");
    let refused = ask(&app, "DELETE", "/legacy/moved/1").await;
    assert_eq!(
        (refused.code(), &refused.headers["allow"]),
        ("method_not_allowed".to_owned(), &http::HeaderValue::from_static("GET,HEAD"))
    );
    assert_eq!(calls.load(Relaxed), 0);
    assert_eq!(ask(&app, "DELETE", "/legacy/moved").await.body, "router /legacy/moved");
}

#[tokio::test]
async fn a_path_that_leads_out_of_its_prefix_reaches_nothing() {
    let (router, calls) = counting("router");
    let api = Api::new()
        .route(Route::get("/orders", "orders").policy(Anyone).handle(own))
        .mount("/legacy", Anyone, router);
    let app = app(api, &());

    for path in [
        "/legacy/../orders",
        "/legacy/%2e%2e/orders",
        "/legacy/..%2forders",
        "/legacy/a%2f..%2f..%2forders",
        "/legacy/..%5corders",
        "/legacy/./x",
        "/legacy%2fx",
        "/legacyx",
        "//legacy/x",
        "/legacy/%ff",
    ] {
        let answer = ask(&app, "GET", path).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found".to_owned()), "{path}");
    }
    assert_eq!(calls.load(Relaxed), 0);
    let encoded = ask(&app, "GET", "/legacy/a%2Fb%252e%252e").await;
    assert_eq!(encoded.body, "router /a%2Fb%252e%252e", "passed on as it came");
}

/// Lets nobody through.
struct Nobody;

impl<S> Policy<S> for Nobody {
    fn audience(&self) -> Audience {
        Audience {
            who: "nobody",
            scope: None,
            needs_credential: true,
            may_forbid: true,
            may_ask_for_proof: false,
        }
    }

    fn admit<'a>(
        &'a self,
        _: &'a mut http::request::Parts,
        _: &'a S,
        _: &'a AccountBudget,
    ) -> Admission<'a> {
        Admission::refused(Problem::forbidden())
    }
}

#[tokio::test]
async fn whom_the_policy_refuses_the_router_never_sees() {
    let (router, calls) = counting("router");
    let app = app(Api::new().mount("/legacy", Nobody, router), &());

    for (method, path) in [("GET", "/legacy"), ("OPTIONS", "/legacy/x"), ("BREW", "/legacy/x/y")] {
        let answer = ask(&app, method, path).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden".to_owned()), "{method}");
    }
    let too_large = send(&app, request("POST", "/legacy", vec![0; 65 * 1024])).await;
    assert_eq!(too_large.status, 403, "the policy is asked before the body is looked at");
    assert_eq!(calls.load(Relaxed), 0);
}

#[tokio::test]
async fn the_router_is_told_who_asks_and_from_where() {
    async fn who(client: Extension<ClientAddress>, caller: Option<Extension<Caller>>) -> String {
        let caller = caller.map_or("nobody".to_owned(), |caller| caller.to_string());
        format!("{caller} from {}", client.0.0)
    }
    const KEY: &str = "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI";
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/x.db", folder.path().display());
    let url = DatabaseUrl::parse(&url).unwrap();
    let db = Db::open(&url, DbSettings::new(Purpose::Serve)).await.unwrap();
    let settings = AuthSettings {
        session_tokens: TokenKind::new("ods_"),
        api_keys: TokenKind::new("odk_"),
        idle: Duration::from_secs(60),
        absolute: Duration::from_secs(60),
        machine_keys: vec![Secret::new(KEY.to_owned())],
        machine_role: Role::new("operator"),
        second_factor_for: Vec::new(),
    };
    let auth = Auth::new(db, Arc::new(SystemClock), settings);
    let router = Router::new().route("/who", get(who));
    let api = Api::new().mount("/open", Anyone, router.clone()).mount(
        "/closed",
        caller("a caller", "legacy"),
        router,
    );
    let app = app(api, &auth);

    let with_key = |path, key| {
        let mut request = request("GET", path, "");
        let credential = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", credential);
        request
    };
    assert_eq!(ask(&app, "GET", "/open/who").await.body, "nobody from 192.0.2.1");
    let known = send(&app, with_key("/closed/who", KEY)).await;
    assert_eq!(known.body, "api_key from 192.0.2.1");
    assert_eq!(send(&app, with_key("/closed/who", "wrong")).await.code(), "authentication_failed");
    assert_eq!(ask(&app, "GET", "/closed/nothing").await.code(), "authentication_failed");
}

#[tokio::test]
async fn a_body_is_bounded_to_the_byte_before_the_router_sees_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let length = move |body: Body| {
        counted.fetch_add(1, Relaxed);
        async { body.collect().await.unwrap().to_bytes().len().to_string() }
    };
    let app = legacy(Router::new().route("/length", post(length)));
    let most = 64 * 1024;

    let fits = send(&app, request("POST", "/legacy/length", vec![7; most])).await;
    let too_large = send(&app, request("POST", "/legacy/length", vec![7; most + 1])).await;

    assert_eq!((fits.status, fits.body), (200, most.to_string()));
    assert_eq!((too_large.status, too_large.code()), (413, "body_too_large".to_owned()));
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test]
async fn a_body_can_be_read_until_the_answer_and_not_in_it() {
    let app = legacy(Router::new().route("/echo", post(|body: Body| std::future::ready(body))));

    let echoed = app.respond(request("POST", "/legacy/echo", "hello"), CLIENT).await;

    assert!(echoed.into_body().collect().await.is_err());
}

#[tokio::test]
async fn requests_of_one_address_are_limited_below_a_prefix_whether_found_or_not() {
    let (router, calls) = counting("router");
    let api = Api::new().mount("/legacy", Anyone, router);
    let rate = Throttle::At(Rate::per_minute(2));
    let edge = LimitsSection::default().public_edge(&ServerSection::default(), rate);
    let app = App::new(api, &(), edge, Lifecycle::new(), &Metrics::new()).unwrap();

    assert_eq!(ask(&app, "GET", "/legacy/1").await.status, 200);
    assert_eq!(ask(&app, "GET", "/legacy/2").await.status, 200);
    let refused = ask(&app, "GET", "/legacy/3").await;

    assert_eq!((refused.status, refused.code()), (429, "rate_limited".to_owned()));
    assert_eq!(calls.load(Relaxed), 2);
}

#[tokio::test]
async fn a_router_that_does_not_answer_is_answered_for_when_its_time_is_over() {
    let never = Router::new().route("/never", get(std::future::pending::<String>));
    let request_timeout = Duration::from_millis(100);
    let limits = LimitsSection { request_timeout, ..LimitsSection::default() };
    let edge = limits.public_edge(&ServerSection::default(), Throttle::Off);
    let api = Api::new().mount("/legacy", Anyone, never);
    let app = App::new(api, &(), edge, Lifecycle::new(), &Metrics::new()).unwrap();

    assert_eq!(ask(&app, "GET", "/legacy/never").await.code(), "overloaded");
}

#[tokio::test]
async fn requests_are_counted_by_prefix_and_by_the_methods_of_http() {
    let (router, _) = counting("router");
    let api = Api::new()
        .route(Route::get("/own", "own").policy(Anyone).handle(own))
        .mount("/legacy", Anyone, router.clone())
        .mount("/older", Anyone, router);
    let metrics = Metrics::new();
    let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
    let app = App::new(api, &(), edge, Lifecycle::new(), &metrics).unwrap();
    let series = || metrics.render().unwrap().lines().count();
    let before = series();

    for (method, path) in [
        ("GET", "/legacy/ada@example.com"),
        ("GET", "/legacy"),
        ("HEAD", "/legacy/x"),
        ("PATCH", "/older/x"),
        ("BREW", "/older/x"),
        ("brew", "/older/x"),
        ("GET", "/own"),
        ("GET", "/legacy/.."),
    ] {
        ask(&app, method, path).await;
    }

    let text = metrics.render().unwrap();
    for (method, route, class, count) in [
        ("GET", "/legacy/*", "2xx", 2),
        ("HEAD", "/legacy/*", "2xx", 1),
        ("PATCH", "/older/*", "2xx", 1),
        ("other", "/older/*", "2xx", 2),
        ("other", "/legacy/*", "2xx", 0),
        ("GET", "/own", "2xx", 1),
        ("GET", "none", "4xx", 1),
    ] {
        let line = format!(
            "http_requests_total{{listener=\"public\",method=\"{method}\",route=\"{route}\",status_class=\"{class}\"}} {count}"
        );
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert_eq!(series(), before, "a request added a series");
    assert!(!text.contains("ada@") && !text.contains("BREW"));
}

#[test]
fn the_table_names_a_mount_and_the_document_does_not() {
    let other = Api::<()>::new().mount("/legacy", Nobody, Router::new());
    let api = Api::new()
        .mount("/", Anyone, Router::new())
        .route(Route::get("/own", "own").policy(Anyone).handle(own))
        .merge(other);

    let lines: Vec<String> = api
        .table()
        .iter()
        .map(|line| format!("{} {} {}{}", line.method, line.path, line.policy, line.limits))
        .collect();
    assert_eq!(lines, ["GET /own anyone", "* /* anyone", "* /legacy/* nobody"]);
    let document = api.openapi(("x", "1", "x"), None);
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/own"]);
}

#[test]
fn what_is_no_prefix_does_not_start() {
    let bad =
        ["", "legacy", "/legacy/", "//", "/a//b", "/{id}", "/*", "/a/..", "/.", "/a b", "/%61"];
    for prefix in bad {
        let mounted = std::panic::catch_unwind(|| {
            drop(Api::<()>::new().mount(prefix, Anyone, Router::new()));
        });
        assert!(mounted.is_err(), "{prefix:?}");
    }
    for prefix in ["/", "/a", "/a/b.c/~d_e-1"] {
        drop(Api::<()>::new().mount(prefix, Anyone, Router::new()));
    }
}

#[test]
#[should_panic(expected = "two mounts at /legacy")]
fn two_mounts_at_one_prefix_do_not_start() {
    let api = Api::<()>::new().mount("/legacy", Anyone, Router::new());
    drop(api.merge(Api::new().mount("/legacy", Nobody, Router::new())));
}
