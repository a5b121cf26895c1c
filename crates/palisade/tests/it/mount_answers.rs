//! Routers of axum behind the guard: what of theirs reaches a client.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;

use crate::mount::{CLIENT, ask, counting, legacy, request};

/// What no client may see.
const SECRET: &str = "postgres://admin:hunter2@10.0.0.7";

/// Answers with the status in the path, and with what no client may see.
async fn fail(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let headers = [
        ("x-debug", SECRET),
        ("set-cookie", SECRET),
        ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
        ("allow", "GET, BREW"),
        ("www-authenticate", "Basic realm=\"x\""),
        ("access-control-allow-origin", "https://app.example"),
    ];
    (status, headers, format!("no row in {SECRET}")).into_response()
}

#[tokio::test]
async fn nothing_of_a_routers_own_error_reaches_a_client_but_its_status() {
    let app = legacy(Router::new().route("/{status}", get(fail)));

    for status in 400..600 {
        let answer = ask(&app, "GET", &format!("/legacy/{status}")).await;

        assert_eq!(answer.status, status);
        let code = answer.code();
        let wanted = match status {
            401 => "authentication_failed",
            403 => "forbidden",
            404 => "not_found",
            405 => "method_not_allowed",
            408 => "request_timeout",
            412 => "precondition_failed",
            413 => "body_too_large",
            414 => "uri_too_long",
            415 => "unsupported_media_type",
            429 => "rate_limited",
            431 => "headers_too_large",
            503 => "overloaded",
            ..500 => "bad_request",
            _ => "internal",
        };
        assert_eq!(code, wanted, "{status}");
        assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "Fri, 31 Dec 1999 23:59:59 GMT");
        assert_eq!(answer.headers["allow"], "GET, BREW");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"x\"");
        assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
        assert_eq!(answer.headers.get_all("retry-after").iter().count(), 1);
    }
    for status in [100, 101, 199, 600, 999] {
        let answer = ask(&app, "GET", &format!("/legacy/{status}")).await;
        assert_eq!((answer.status, answer.code()), (500, "internal".to_owned()), "{status}");
        assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
    }
    let refused_by_axum = ask(&app, "GET", "/legacy/many").await;
    assert_eq!(refused_by_axum.code(), "bad_request");
    assert!(!refused_by_axum.body.contains("many"), "{refused_by_axum:?}");
}

#[tokio::test]
async fn an_error_that_asks_for_patience_says_for_how_long() {
    let bare = |Path(status): Path<u16>| {
        std::future::ready(StatusCode::from_u16(status).unwrap().into_response())
    };
    let app = legacy(Router::new().route("/{status}", get(bare)));

    for status in [429, 503] {
        let answer = ask(&app, "GET", &format!("/legacy/{status}")).await;
        assert_eq!(answer.headers["retry-after"], "1", "{status}");
    }
    assert_eq!(ask(&app, "GET", "/legacy/401").await.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn an_error_is_passed_on_only_if_it_is_one_problem_document() {
    let answer = |Path(kind): Path<String>| async move {
        let mut answer = (StatusCode::CONFLICT, r#"{"code":"taken"}"#).into_response();
        answer.headers_mut().remove("content-type");
        for given in kind.split(',') {
            answer.headers_mut().append("content-type", given.replace('_', "/").parse().unwrap());
        }
        answer
    };
    let app = legacy(Router::new().route("/{kind}", get(answer)));

    for kind in ["application_problem+json", "Application_Problem+JSON;%20charset=utf-8"] {
        let passed = ask(&app, "GET", &format!("/legacy/{kind}")).await;
        assert_eq!((passed.status, passed.body.as_str()), (409, r#"{"code":"taken"}"#), "{kind}");
    }
    for kind in [
        "application_json",
        "application_problem+jsonx",
        "text_plain;application_problem+json",
        "application_problem+json,text_html",
    ] {
        let replaced = ask(&app, "GET", &format!("/legacy/{kind}")).await;
        assert_eq!((replaced.status, replaced.code()), (409, "bad_request".to_owned()), "{kind}");
        assert!(!replaced.body.contains("taken"), "{kind}");
    }
}

#[tokio::test]
async fn a_panic_of_a_router_is_one_answer_of_500_without_its_text() {
    async fn panics() -> &'static str {
        panic!("no row in {SECRET}")
    }
    let (rest, _) = counting("still here");
    let app = legacy(rest.route("/panic", get(panics)));

    let answer = ask(&app, "GET", "/legacy/panic").await;

    assert_eq!((answer.status, answer.code()), (500, "internal".to_owned()));
    assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
    assert_eq!(ask(&app, "GET", "/legacy/x").await.body, "still here /x");
}

#[tokio::test]
async fn an_answer_that_fails_or_panics_half_way_breaks_off() {
    let pieces = |last: fn() -> Result<Bytes, std::io::Error>| {
        let first = std::future::ready(Ok(Bytes::from("first")));
        let last = async move { last() };
        Body::from_stream(stream::once(first).chain(last.into_stream()))
    };
    let router = Router::new()
        .route("/whole", get(move || async move { pieces(|| Ok(Bytes::from("last"))) }))
        .route("/fails", get(move || async move { pieces(|| Err(std::io::Error::other(SECRET))) }))
        .route("/panics", get(move || async move { pieces(|| panic!("{SECRET}")) }));
    let app = legacy(router);

    assert_eq!(ask(&app, "GET", "/legacy/whole").await.body, "firstlast");
    for path in ["/legacy/fails", "/legacy/panics"] {
        let mut body = app.respond(request("GET", path, ""), CLIENT).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        assert!(body.frame().await.unwrap().is_err(), "{path}");
        assert!(body.frame().await.is_none_or(|frame| frame.is_err()), "{path} goes on");
    }
}

#[tokio::test]
async fn a_router_cannot_weaken_the_headers_that_every_answer_carries() {
    let headers = [
        ("content-security-policy", "default-src *"),
        ("x-content-type-options", "sniff"),
        ("referrer-policy", "unsafe-url"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("x-request-id", "mine"),
        ("server", "legacy/1.0"),
        ("x-powered-by", "axum"),
        ("etag", "\"1\""),
    ];
    let router = Router::new()
        .route("/ok", get(move || std::future::ready((headers, "ok"))))
        .route("/gone", get(move || std::future::ready((StatusCode::GONE, headers, "gone"))));
    let app = legacy(router);

    for path in ["/legacy/ok", "/legacy/gone"] {
        let answer = ask(&app, "GET", path).await.headers;
        assert!(answer["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        assert_eq!(answer["x-content-type-options"], "nosniff");
        assert_eq!(answer["referrer-policy"], "no-referrer");
        assert_eq!(answer["cross-origin-resource-policy"], "same-origin");
        assert_eq!(answer["cache-control"], "no-store");
        assert_ne!(answer["x-request-id"], "mine");
        for name in ["content-security-policy", "x-content-type-options", "x-request-id"] {
            assert_eq!(answer.get_all(name).iter().count(), 1, "{name}");
        }
        assert!(!answer.contains_key("server") && !answer.contains_key("x-powered-by"), "{path}");
    }
    assert_eq!(ask(&app, "GET", "/legacy/ok").await.headers["etag"], "\"1\"");
}

#[tokio::test]
async fn nobody_can_upgrade_a_connection() {
    let switches = || std::future::ready(StatusCode::SWITCHING_PROTOCOLS);
    let app = legacy(Router::new().route("/ws", get(switches)));

    assert_eq!(ask(&app, "GET", "/legacy/ws").await.code(), "internal");
}
