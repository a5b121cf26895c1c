//! Bodies at the edge: one document, one meaning, of the right type and size, or refused.

use insta::assert_snapshot;
use palisade_testing::Reply;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Caller, TestService, order_body};
use crate::support_orders::{Answer, answers, assert_problem, wire_one, with_text};

#[tokio::test]
async fn what_is_not_strict_json_is_malformed() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("white space", b" \n".to_vec()),
        ("cut off", br#"{"currency":"#.to_vec()),
        ("trailing comma", br#"{"currency":"EUR",}"#.to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("single quotes", b"{'currency':'EUR'}".to_vec()),
        ("no quotes", b"{currency:1}".to_vec()),
        ("a comment", b"{} // done".to_vec()),
        ("not a number", br#"{"currency":NaN}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("invalid UTF-8", b"{\"currency\":\"\xff\"}".to_vec()),
        ("an overlong form", b"{\"currency\":\"\xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"currency\":\"\xed\xa0\x80\"}".to_vec()),
        ("half a pair", br#"{"reference":"\ud800"}"#.to_vec()),
        ("the other half", br#"{"reference":"\udc00\ud800"}"#.to_vec()),
        ("a raw NUL", b"{\"reference\":\"a\0b\"}".to_vec()),
        ("a raw newline", b"{\"reference\":\"a\nb\"}".to_vec()),
        ("NUL behind it", b"{}\0".to_vec()),
        ("twice the same", br#"{"currency":"EUR","currency":"EUR"}"#.to_vec()),
        ("the same, escaped", br#"{"currency":"EUR","curr\u0065ncy":"JPY"}"#.to_vec()),
        ("twice inside", br#"{"lines":[{"sku":"A","sku":"B"}]}"#.to_vec()),
        ("33 deep", nested(33).into_bytes()),
        ("32 deep", nested(32).into_bytes()),
        ("20,000 deep", "[".repeat(20_000).into_bytes()),
    ];
    let mut said = String::new();

    for (name, body) in bodies {
        let reply = ada.places_text(body).await;
        let problem = assert_problem(&reply, 400, "malformed_body");
        said += &format!("{name}: {}\n", problem["detail"].as_str().unwrap());
    }

    assert_snapshot!(said, @"
    nothing: not valid JSON at byte 0: the text ends too early
    white space: not valid JSON at byte 2: the text ends too early
    cut off: not valid JSON at byte 12: the text ends too early
    trailing comma: not valid JSON at byte 18: expected a member name in double quotes
    two documents: not valid JSON at byte 2: text follows the value
    single quotes: not valid JSON at byte 1: expected a member name in double quotes
    no quotes: not valid JSON at byte 1: expected a member name in double quotes
    a comment: not valid JSON at byte 3: text follows the value
    not a number: not valid JSON at byte 12: expected a value
    a byte order mark: not valid JSON at byte 0: expected a value
    UTF-16: not valid JSON at byte 0: the text is not UTF-8
    invalid UTF-8: not valid JSON at byte 13: the text is not UTF-8
    an overlong form: not valid JSON at byte 13: the text is not UTF-8
    a surrogate in UTF-8: not valid JSON at byte 13: the text is not UTF-8
    half a pair: not valid JSON at byte 15: half of a surrogate pair
    the other half: not valid JSON at byte 15: half of a surrogate pair
    a raw NUL: not valid JSON at byte 15: a control character in a string must be escaped
    a raw newline: not valid JSON at byte 15: a control character in a string must be escaped
    NUL behind it: not valid JSON at byte 2: text follows the value
    twice the same: not valid JSON at byte 18: a member name appears twice
    the same, escaped: not valid JSON at byte 18: a member name appears twice
    twice inside: not valid JSON at byte 21: a member name appears twice
    33 deep: not valid JSON at byte 32: nested too deeply
    32 deep: the document: expected an object
    20,000 deep: not valid JSON at byte 32: nested too deeply
    ");
}

#[tokio::test]
async fn a_known_member_of_the_wrong_type_and_an_unknown_one_are_malformed() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut said = String::new();

    for body in [
        "null",
        "[]",
        r#""text""#,
        "3",
        "true",
        r#"{"currency":null}"#,
        r#"{"currency":["EUR"]}"#,
        r#"{"currency":978}"#,
        r#"{"currency":"EUR","lines":{}}"#,
        r#"{"currency":"EUR","lines":[null]}"#,
        r#"{"currency":"EUR","lines":[{"sku":1,"quantity":1,"unit_price":"1.00"}]}"#,
        r#"{"currency":"EUR","lines":[{"sku":"A","quantity":1,"unit_price":"1.00","price":1}]}"#,
        r#"{"currency":"EUR","Lines":[]}"#,
        r#"{"currency":"EUR","total":"0.00","lines":[]}"#,
        r#"{"__proto__":{},"currency":"EUR","lines":[]}"#,
        r#"{"currency":"EUR","reference":null,"lines":[]}"#,
    ] {
        let reply = ada.places_text(body).await;
        let problem = assert_problem(&reply, 400, "malformed_body");
        said += &format!("{}\n", problem["detail"].as_str().unwrap());
    }

    assert_snapshot!(said, @"
    the document: expected an object
    the document: expected an object
    the document: expected an object
    the document: expected an object
    the document: expected an object
    /currency: expected a string
    /currency: expected a string
    /currency: expected a string
    /lines: expected an array
    /lines/0: expected an object
    /lines/0/sku: expected a string
    /lines/0/price: this member is not known here
    /Lines: this member is not known here
    /total: this member is not known here
    /__proto__: this member is not known here
    /reference: expected a string
    ");
    assert_eq!(ada.page("/orders").await.0.len(), 0);
}

#[tokio::test]
async fn an_answer_repeats_little_of_what_it_refuses() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    let long = format!(r#"{{"{}":1}}"#, "x".repeat(60_000));
    let reply = ada.places_text(long).await;
    assert_problem(&reply, 400, "malformed_body");
    assert!(reply.body().len() < 1_000, "{}", reply.body().len());

    let lines = vec![r#"{"sku":"","quantity":0,"unit_price":""}"#; 100].join(",");
    let reply = ada.places_text(format!(r#"{{"currency":"EUR","lines":[{lines}]}}"#)).await;
    assert_problem(&reply, 400, "validation_failed");
    assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 300, "all of them at once");
    assert!(reply.body().len() < 48_000, "{}", reply.body().len());
}

#[tokio::test]
async fn the_content_type_is_json_in_utf_8_and_there_is_one() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let body = order_body("1.00").to_string();

    for accepted in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json;",
    ] {
        typed(&ada, &[accepted], &body).await.assert_status(201);
    }
    for refused in [
        &[][..],
        &["text/plain"],
        &["text/json"],
        &["application/jsonp"],
        &["application/json5"],
        &["application/json; charset=latin1"],
        &["application/json; charset=utf-16"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=x"],
        &[""],
        &["application/json, text/plain"],
        &["application/json", "application/json"],
        &["application/json", "text/plain"],
        &["application/merge-patch+json"],
        &["text/csv"],
        &["*/*"],
        &["json"],
    ] {
        let reply = typed(&ada, refused, &body).await;
        assert_problem(&reply, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_read() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;

    for encoding in ["gzip", "br", "deflate", "gzip, gzip"] {
        let call = ada.post("/orders").header("content-encoding", encoding);
        let reply = call.json(order_body("1.00")).send().await;
        assert_problem(&reply, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_not() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let padded = |size: usize| {
        let body = order_body("1.00").to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };

    ada.places_text(padded(65_536)).await.assert_status(201);

    let problem = assert_problem(&ada.places_text(padded(65_537)).await, 413, "body_too_large");
    assert_eq!(problem["detail"], "This route takes at most 65536 bytes.");
    assert_eq!(ada.page("/orders").await.0.len(), 1);
}

#[tokio::test]
async fn the_answer_to_a_body_too_large_comes_before_the_body() {
    let app = TestService::start().await;
    let token = app.customer("ada").await.token.unwrap();
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );

    for length in ["65537", "1000000000000", "18446744073709551613"] {
        let announced = format!("{head}content-length: {length}\r\n\r\n{{");
        wire_one(&app, announced).await.assert_problem(413, "body_too_large");
    }
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(5));
    wire_one(&app, chunked).await.assert_problem(413, "body_too_large");
    let asking = format!("{head}expect: 100-continue\r\ncontent-length: 70000\r\n\r\n");
    wire_one(&app, asking).await.assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_client_that_sends_all_of_a_refused_body_still_reads_the_answer() {
    let app = TestService::start().await;
    let token = app.customer("ada").await.token.unwrap();

    for (credential, status) in
        [(format!("authorization: Bearer {token}\r\n"), 413), ("".into(), 401)]
    {
        for size in [70_000, 1_000_000, 5_000_000] {
            let head = format!(
                "POST /orders HTTP/1.1\r\nhost: x\r\n{credential}connection: close\r\n\
                 content-type: application/json\r\ncontent-length: {size}\r\n\r\n"
            );
            let mut stream = TcpStream::connect(app.service.public()).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b' '; size]).await.expect("no reset while sending");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.expect("no reset while reading");
            assert_eq!(answers(&received)[0].status, status, "{size}");
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_one_body() {
    let app = TestService::start().await;
    let token = app.customer("ada").await.token.unwrap();
    let body = order_body("1.00").to_string();
    let (left, right) = body.split_at(10);

    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         a\r\n{left}\r\n{:x}\r\n{right}\r\n0\r\n\r\n",
        right.len()
    );

    assert_eq!(wire_one(&app, request).await.status, 201);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_framed_wrongly_changes_nothing() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let token = ada.token.clone().unwrap();
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nconnection: close\r\n"
    );
    let body = order_body("1.00").to_string();

    let chunks = format!("{head}transfer-encoding: chunked\r\n\r\nxyz\r\n{body}\r\n0\r\n\r\n");
    wire_one(&app, chunks).await.assert_problem(400, "bad_request");

    assert_eq!(ada.page("/orders").await.0.len(), 0);
}

#[tokio::test]
async fn a_connection_goes_on_after_an_error_that_was_read_to_its_end() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut connection = ada.client.connect().await.unwrap();

    for _ in 0..3 {
        let malformed = with_text(ada.post("/orders"), "{").send_on(&mut connection).await.unwrap();
        assert_problem(&malformed, 400, "malformed_body");
        let missing = ada.get("/nothing").send_on(&mut connection).await.unwrap();
        assert_problem(&missing, 404, "not_found");
        let nobody = app.nobody();
        let stranger =
            nobody.post("/orders").json(json!({})).send_on(&mut connection).await.unwrap();
        assert_problem(&stranger, 401, "authentication_failed");
        let placed = ada.post("/orders").json(order_body("1.00")).send_on(&mut connection).await;
        placed.unwrap().assert_status(201);
    }
    assert!(!connection.is_closed());
    assert_eq!(ada.page("/orders").await.0.len(), 3);
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row_and_garbage_ends_the_connection() {
    let app = TestService::start().await;
    let get = "GET /problems/internal HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    let received = palisade_testing::raw(app.service.public(), format!("{get}{get}{last}")).await;
    let statuses: Vec<_> = answers(&received).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 404]);

    let received =
        palisade_testing::raw(app.service.public(), format!("{get}\0\r\n\r\n{last}")).await;
    let answers: Vec<Answer> = answers(&received);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[0].status, 200);
    answers[1].assert_problem(400, "bad_request");
}

async fn typed(caller: &Caller, types: &[&str], body: &str) -> Reply {
    let mut call = caller.post("/orders");
    for content_type in types {
        call = call.header("content-type", content_type);
    }
    call.body(body.to_owned()).send().await
}
