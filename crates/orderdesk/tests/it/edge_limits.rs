//! What one client may cost, and whose word about addresses and request ids is taken.

use std::time::Duration;

use palisade_testing::raw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Setup, TestService, sign_up_body};
use crate::support_orders::{Answer, assert_problem, wire_one, with_text};

#[tokio::test]
async fn sign_ups_from_one_address_are_limited() {
    let app = Setup::default().setting("rate.sign_up", "2/m burst 2").start().await;
    app.sign_up("ada").await.assert_status(201);
    let malformed = with_text(app.client().post("/users"), "{").send().await;
    assert_problem(&malformed, 400, "malformed_body");

    let third = app.client().post("/users").json(sign_up_body("bob")).send().await;

    assert_limited(&Answer::from(&third), 30);
    app.signed_in("ada").await.places_order("1.00").await;
    assert_problem(&app.sign_in("bob", "x").await, 401, "authentication_failed");
}

#[tokio::test]
async fn sign_ins_from_one_address_are_limited() {
    let app = Setup::default().setting("rate.login", "1/m burst 3").start().await;
    let ada = app.customer("ada").await;
    for _ in 0..2 {
        let refused = app.sign_in("ada", "wrong wrong wrong").await;
        assert_problem(&refused, 401, "authentication_failed");
    }

    let limited = app.sign_in("ada", "correct horse battery staple").await;

    assert_limited(&Answer::from(&limited), 60);
    ada.places_order("1.00").await;
}

#[tokio::test]
async fn requests_from_one_address_are_limited_before_anybody_asks_who_it_is() {
    let app = Setup::default().setting("rate.per_ip", "1/m burst 3").start().await;
    for status in [401, 200, 401] {
        let path = if status == 200 { "/openapi.json" } else { "/orders" };
        app.client().get(path).send().await.assert_status(status);
    }

    for caller in [app.nobody(), app.machine(), app.bearer("ods_wrong")] {
        assert_limited(&Answer::from(&caller.get("/orders").send().await), 60);
        let forged = caller.get("/orders").header("x-forwarded-for", "192.0.2.7").send().await;
        assert_limited(&Answer::from(&forged), 60);
        let forged = caller.get("/orders").header("forwarded", "for=192.0.2.7").send().await;
        assert_limited(&Answer::from(&forged), 60);
    }
    let form = with_text(app.client().post("/users"), "{").send().await;
    assert_limited(&Answer::from(&form), 60);
    assert_problem(&app.client().get("/nothing").send().await, 404, "not_found");
    assert_problem(&app.client().put("/orders").send().await, 405, "method_not_allowed");
    app.admin().get("/ready").send().await.assert_status(200);
}

#[tokio::test]
async fn requests_of_one_account_are_limited() {
    let app = Setup::default().setting("rate.per_account", "1/m burst 4").start().await;
    let (ada, bob) = (app.customer("ada").await, app.customer("bob").await);
    for _ in 0..3 {
        ada.get("/orders").send().await.assert_status(200);
    }

    assert_limited(&Answer::from(&ada.get("/orders").send().await), 60);

    bob.get("/orders").send().await.assert_status(200);
}

#[tokio::test]
async fn a_trusted_proxy_says_for_whom_it_asks() {
    let app = Setup::default()
        .setting("rate.per_ip", "1/m burst 1")
        .setting("server.trusted_proxies", "127.0.0.0/8")
        .start()
        .await;
    let asked_for = |address: &'static str| {
        let client = app.client();
        async move { client.get("/openapi.json").header("x-forwarded-for", address).send().await }
    };

    asked_for("192.0.2.1").await.assert_status(200);
    asked_for("192.0.2.2").await.assert_status(200);
    assert_limited(&Answer::from(&asked_for("192.0.2.1").await), 60);
    let claimed = asked_for("203.0.113.1, 192.0.2.2").await;
    assert_limited(&Answer::from(&claimed), 60);
}

#[tokio::test]
async fn a_request_id_is_kept_from_a_trusted_proxy_and_only_if_it_is_plain() {
    let stranger = TestService::start().await;
    let proxied = Setup::default().setting("server.trusted_proxies", "127.0.0.1/32").start().await;
    let id_of = async |app: &TestService, lines: &str| {
        let request =
            format!("GET /nothing HTTP/1.1\r\nhost: x\r\n{lines}connection: close\r\n\r\n");
        let answer = wire_one(app, request).await;
        let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(document["request_id"], id);
        id
    };

    let long = "x".repeat(64);
    for good in ["a", "A-z_0.9", &long] {
        assert_eq!(id_of(&proxied, &format!("x-request-id: {good}\r\n")).await, good);
        let own = id_of(&stranger, &format!("x-request-id: {good}\r\n")).await;
        assert_ne!(own, good);
        assert_eq!(own.len(), 32);
    }
    for bad in [
        "x-request-id: \r\n",
        "x-request-id: a b\r\n",
        "x-request-id: a\"b\r\n",
        "x-request-id: \u{e4}\r\n",
        "x-request-id: a\r\nx-request-id: a\r\n",
        "x-request-id: a/b\r\n",
        &format!("x-request-id: {long}x\r\n"),
        "x-request-id: <script>\r\n",
        "x-request-id: {}\r\n",
    ] {
        assert_eq!(id_of(&proxied, bad).await.len(), 32, "{bad}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let app = Setup::default().setting("limits.body_timeout", "200ms").start().await;
    let request = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

    for rest in [
        "content-length: 10\r\n\r\n",
        "content-length: 10\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\n2\r\n{",
    ] {
        let answer = wire_one(&app, format!("{request}{rest}")).await;
        answer.assert_problem(408, "request_timeout");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_408_too() {
    let app = Setup::default().setting("limits.body_timeout", "300ms").start().await;
    let mut stream = TcpStream::connect(app.service.public()).await.unwrap();
    let head = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();

    let mut received = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let answer = reader.read_buf(&mut received);
    tokio::pin!(answer);
    loop {
        tokio::select! {
            // Reading is the end of the test; the beat is only there to keep the body coming.
            read = &mut answer => { read.unwrap(); break }
            _ = beat.tick() => { writer.write_all(b" ").await.ok(); }
        }
    }

    assert!(received.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&received));
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let app = Setup::default()
        .setting("limits.header_timeout", "300ms")
        .setting("limits.idle_timeout", "400ms")
        .start()
        .await;

    for request in ["GET", "GET / HTTP/1.1\r\nhost: x\r\nx: "] {
        wire_one(&app, request).await.assert_problem(408, "request_timeout");
    }
    let after_a_request = raw(app.service.public(), "GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(after_a_request.starts_with(b"HTTP/1.1 404"));
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed() {
    // The kit gives up after 10 s, and the other of the two is left at 10 s or more.
    for limit in ["limits.header_timeout", "limits.idle_timeout"] {
        let app = Setup::default().setting(limit, "300ms").start().await;
        let preface = "PRI * HTTP/2.0\r\n";
        let started = std::time::Instant::now();

        for request in ["", preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
            let answer = raw(app.service.public(), request).await;
            assert!(!answer.starts_with(b"HTTP"), "{request:?}");
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(9), "{limit}");
    }
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let app = Setup::default().setting("limits.connections_per_ip", "2").start().await;
    let mut first = app.client().connect().await.unwrap();
    let mut second = app.client().connect().await.unwrap();
    let client = app.client();
    for connection in [&mut first, &mut second] {
        client.get("/openapi.json").send_on(connection).await.unwrap().assert_status(200);
    }

    assert!(client.get("/openapi.json").try_send().await.is_err());
    client.get("/openapi.json").send_on(&mut first).await.unwrap().assert_status(200);
    app.admin().get("/live").send().await.assert_status(200);

    drop(second);
    let free_again = async {
        while client.get("/openapi.json").try_send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free_again).await.unwrap();
}

#[tokio::test]
async fn what_is_more_than_the_service_holds_at_a_time_is_503() {
    let app = Setup::default().setting("limits.in_flight", "1").start().await;
    let head = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 2\r\n\r\n{";

    // One of the two is turned away; if it was the one that is to be held, it is sent again.
    let client = app.client();
    let turned_away = async {
        loop {
            let mut held = TcpStream::connect(app.service.public()).await.unwrap();
            held.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..50 {
                let reply = client.get("/openapi.json").send().await;
                if reply.status() != 200 {
                    return (held, reply);
                }
            }
        }
    };
    let (mut held, reply) =
        tokio::time::timeout(Duration::from_secs(10), turned_away).await.unwrap();

    let answer = Answer::from(&reply);
    answer.assert_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    held.write_all(b"}").await.unwrap();
    let mut received = [0; 12];
    held.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"HTTP/1.1 400", "what was in flight is answered");
}

#[track_caller]
fn assert_limited(answer: &Answer, most_seconds: u64) {
    answer.assert_problem(429, "rate_limited");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most_seconds).contains(&seconds), "{seconds}");
}
