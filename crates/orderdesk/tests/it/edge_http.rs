//! The HTTP of the edge, down to the bytes: hosts, methods, paths, heads, framing.

use crate::support::{TestService, order_body};
use crate::support_orders::{Answer, assert_problem, wire, wire_one, with_text};

#[tokio::test]
async fn a_request_names_one_well_formed_host() {
    let app = TestService::start().await;
    let get =
        |hosts: &str| format!("GET /openapi.json HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");

    for good in ["host: localhost\r\n", "host: 127.0.0.1:8443\r\n", "host: [::1]:1\r\n"] {
        assert_eq!(wire_one(&app, get(good)).await.status, 200, "{good}");
    }
    for bad in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host: a b\r\n",
        "host: \r\n",
        "host: a/b\r\n",
        "host: user@a\r\n",
        "host: a:b:c\r\n",
        "host: a,b\r\n",
        "host: a:99999x\r\n",
        "host: http://a\r\n",
        "host: [::1\r\n",
        "host: \u{e4}\r\n",
        "host: a?b\r\n",
        "host: a#b\r\n",
        "host: a\\b\r\n",
        "host: a\"b\r\n",
        "host: <a>\r\n",
        "host: :80\r\n",
    ] {
        wire_one(&app, get(bad)).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_a_problem_all_the_same() {
    let app = TestService::start().await;

    for (request, status, code) in [
        ("GARBAGE\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nhost: x\r\nbad name: 1\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nhost: x\r\n folded: 1\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/9.9\r\nhost: x\r\n\r\n", 400, "bad_request"),
        ("GET / x HTTP/1.1\r\nhost: x\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\nx", 400, "bad_request"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            400,
            "bad_request",
        ),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 400, "bad_request"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            400,
            "bad_request",
        ),
        ("POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", 400, "bad_request"),
    ] {
        let answer = wire_one(&app, request).await;
        answer.assert_problem(status, code);
    }
}

#[tokio::test]
async fn an_address_too_long_is_414_and_one_that_fits_is_not() {
    let app = TestService::start().await;
    let get = |length: usize| {
        let path = "a".repeat(length - 1);
        format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    };

    wire_one(&app, get(8_000)).await.assert_problem(404, "not_found");
    for length in [8_001, 20_000, 63_000, 66_000, 100_000, 300_000] {
        wire_one(&app, get(length)).await.assert_problem(414, "uri_too_long");
    }
}

#[tokio::test]
async fn a_head_too_large_is_431_and_one_that_fits_is_not() {
    let app = TestService::start().await;
    let many = |count: usize| {
        let lines: String = (0..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n")
    };
    let large = |size: usize| {
        let line = "a".repeat(size);
        format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {line}\r\n\r\n")
    };

    for good in [many(60), large(15_000)] {
        assert_eq!(wire_one(&app, good).await.status, 200);
    }
    for bad in [
        many(70),
        many(127),
        many(200),
        many(1_000),
        large(17_000),
        large(60_000),
        large(70_000),
        large(300_000),
    ] {
        wire_one(&app, bad).await.assert_problem(431, "headers_too_large");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_and_allow_lists_those_it_has() {
    let app = TestService::start().await;

    for (path, allowed) in [
        ("/orders", "GET,HEAD,POST"),
        ("/orders/x", "GET,HEAD"),
        ("/orders/x/pay", "POST"),
        ("/sessions/current", "DELETE"),
        ("/openapi.json", "GET,HEAD"),
        ("/problems/internal", "GET,HEAD"),
    ] {
        for method in ["PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "get", "X"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = wire_one(&app, request).await;
            answer.assert_problem(405, "method_not_allowed");
            let mut listed: Vec<_> =
                answer.header("allow").unwrap().split(',').map(str::trim).collect();
            listed.sort_unstable();
            assert_eq!(listed.join(","), allowed, "{method} {path}");
        }
    }
    for request in ["OPTIONS *", "CONNECT x:443", "TRACE /nothing"] {
        let request = format!("{request} HTTP/1.1\r\nhost: x:443\r\nconnection: close\r\n\r\n");
        wire_one(&app, request).await.assert_problem(404, "not_found");
    }
    for target in ["http://evil/orders", "https://evil/orders", "http://x:8/orders"] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        wire_one(&app, request).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;

    for path in
        [format!("/orders/{id}"), "/orders".into(), "/openapi.json".into(), "/nothing".into()]
    {
        let get = ada.get(&path).send().await;
        let head = ada.authorized(ada.client.call("HEAD".parse().unwrap(), &path)).send().await;
        assert_eq!(head.status(), get.status(), "{path}");
        assert!(head.body().is_empty());
        for name in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
        Answer::from(&head).assert_headers();
    }
}

#[tokio::test]
async fn a_path_is_taken_as_it_is_written() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;
    let token = ada.token.clone().unwrap();

    for path in [
        "/",
        "/orders/",
        &format!("/orders/{id}/"),
        "//orders",
        "/orders//",
        "/Orders",
        "/orders.json",
        "/orders/%2e%2e",
        "/orders/..",
        "/orders/../users/me",
        "/orders/%2e%2e/users/me",
        "/orders/%00",
        "/orders/%zz",
        "/orders/%",
        "/orders/%ff",
        "/orders/%c0%ae",
        "/orders/a%2fb",
        &format!("/orders/{id}%00"),
        &format!("/orders/{id}%20"),
        &format!("/orders/{id};x"),
        &format!("/orders/{}", id.to_uppercase()),
        &format!("/orders/{}", "a".repeat(5_000)),
        "/orders/x/../../openapi.json",
        "/./openapi.json",
        "/openapi.json/",
        "/openapi.json%00",
        "/problems/",
        "/problems/%00",
        "/problems/..%2f..%2fetc%2fpasswd",
        "/problems/nothing",
        "/problems/%zz",
        "/users/me/",
        "/live",
        "/ready",
        "/metrics",
        "/.env",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        wire_one(&app, request).await.assert_problem(404, "not_found");
    }
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(ada.order(&encoded).await.json(), ada.order(&id).await.json());
}

#[tokio::test]
async fn a_body_that_two_readers_could_frame_differently_is_not_followed_by_a_request() {
    let app = TestService::start().await;
    let token = app.customer("ada").await.token.unwrap();
    let hidden = format!(
        "POST /orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        order_body("1.00").to_string().len(),
        order_body("1.00")
    );
    let length = hidden.len() + 5;

    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\ntransfer-encoding : chunked"),
        format!("content-length: {length}\r\ntransfer-encoding: xchunked"),
        format!(
            "content-length: {length}\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity"
        ),
        format!("content-length: 5\r\ncontent-length: {length}"),
    ] {
        let request =
            format!("POST /nothing HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n0\r\n\r\n{hidden}");
        let answers = wire(&app, &request).await;
        assert_eq!(answers.len(), 1, "{framing}: {answers:?}");
    }
    assert_eq!(app.machine().page("/orders").await.0.len(), 0);
}

#[tokio::test]
async fn a_caller_shows_one_bearer_token_or_is_nobody() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let token = ada.token.clone().unwrap();
    let nothing = app.nobody().get("/orders").send().await;
    assert_problem(&nothing, 401, "authentication_failed");
    assert!(nothing.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));

    for credential in [
        "Bearer",
        "Bearer ",
        "Basic YWRhOmFkYQ==",
        &format!("Basic {token}"),
        &format!("Bearer {token}x"),
        &format!("Bearer  {token}"),
        &format!("Bearer {token},{token}"),
        &token,
        "Bearer ods_",
        &format!("Bearer {}", token.to_uppercase()),
        &format!("Bearer {}", token.split_at(token.len() - 1).0),
        &format!("Bearer {}", "a".repeat(10_000)),
        "Bearer odk_0000",
        "Bearer \u{e4}",
    ] {
        let reply = app.client().get("/orders").header("authorization", credential).send().await;
        assert_problem(&reply, 401, "authentication_failed");
        assert_eq!(reply.without_request_id(), nothing.without_request_id());
        assert_eq!(reply.header("www-authenticate"), nothing.header("www-authenticate"));
    }
    let twice = ada.get("/orders").bearer(&token).send().await;
    assert_problem(&twice, 401, "authentication_failed");
    let query = app.client().get(&format!("/orders?access_token={token}")).send().await;
    assert_problem(&query, 401, "authentication_failed");
    let client = app.client();
    let scheme = client.get("/orders").header("authorization", &format!("bEARER {token}"));
    scheme.send().await.assert_status(200);
}

#[tokio::test]
async fn the_same_holds_on_http_2() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let client = app.client().http2();
    let mut connection = client.connect().await.unwrap();
    let token = ada.token.clone().unwrap();
    let calls = [
        (client.get("/nothing"), 404, "not_found"),
        (client.put("/orders"), 405, "method_not_allowed"),
        (client.get("/orders"), 401, "authentication_failed"),
        (client.get("/orders?x=1").bearer(&token), 400, "invalid_query"),
        (client.get("/orders").header("host", "a b"), 400, "bad_request"),
        (client.get("/orders").header("x", &"a".repeat(20_000)), 431, "headers_too_large"),
        (client.get(&format!("/{}", "a".repeat(9_000))), 414, "uri_too_long"),
        (with_text(client.post("/orders").bearer(&token), "{"), 400, "malformed_body"),
        (client.post("/orders").bearer(&token).body("{}"), 415, "unsupported_media_type"),
        (
            with_text(client.post("/orders").bearer(&token), vec![b' '; 65_537]),
            413,
            "body_too_large",
        ),
    ];

    for (call, status, code) in calls {
        assert_problem(&call.send_on(&mut connection).await.unwrap(), status, code);
    }
    let placed = client.post("/orders").bearer(&token).json(order_body("1.00"));
    placed.send_on(&mut connection).await.unwrap().assert_status(201);
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_failure_of_our_own_is_500_and_says_nothing_but_the_request_id() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let id = ada.places_order("1.00").await;
    if app.folder.is_on_a_server() {
        return println!("skipped: a server lets nobody write what breaks a rule of its tables");
    }
    let database = rusqlite::Connection::open(app.folder.database()).unwrap();
    database.pragma_update(None, "ignore_check_constraints", true).unwrap();
    database.execute("UPDATE orders SET currency = 'lost'", []).unwrap();

    for path in [format!("/orders/{id}"), "/orders".into()] {
        let reply = ada.get(&path).send().await;

        let problem = assert_problem(&reply, 500, "internal");
        assert_eq!(problem.get("detail"), None);
        assert_eq!(problem.get("errors"), None);
        let request_id = reply.header("x-request-id").unwrap().to_owned();
        let line = app
            .service
            .wait_for_line(|line| line.contains(&request_id) && line.contains("request failed"));
        assert!(line.await.contains("cause"));
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_out() {
    let app = TestService::start().await;
    let head = "HTTP/1.1\r\nhost: x\r\nconnection: close";

    for (status, request) in [
        (200, format!("GET /openapi.json {head}\r\n\r\n")),
        (400, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned()),
        (400, "no http at all\r\n\r\n".to_owned()),
        (401, format!("GET /orders {head}\r\n\r\n")),
        (404, format!("GET /nothing {head}\r\n\r\n")),
        (405, format!("PATCH /orders {head}\r\n\r\n")),
        (
            413,
            format!(
                "POST /users {head}\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n"
            ),
        ),
        (415, format!("POST /users {head}\r\ncontent-length: 0\r\n\r\n")),
    ] {
        let answer = wire_one(&app, &request).await;
        assert_eq!(answer.status, status, "{request}");
        answer.assert_headers();
    }
}
