//! Many large answers asked for at once on one HTTP/2 connection.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Caller, Setup, TestService};
use crate::support_http2::{
    DATA, END_STREAM, Frame, GOAWAY, HEADERS, Http2, RST_STREAM, WHOLE, WINDOW_UPDATE, frame, get,
};

const STREAMS: u8 = 100;
/// The first byte of an answer's head: `:status: 200` of HPACK's table (RFC 7541, appendix A).
const OK: u8 = 0x88;
/// The payload of SETTINGS with an `INITIAL_WINDOW_SIZE` of nothing, and of all there can be.
const CLOSED: [u8; 6] = [0, 4, 0, 0, 0, 0];
const OPEN: [u8; 6] = [0, 4, 0x7f, 0xff, 0xff, 0xff];

/// Places orders of 100 lines, which take some 12 KB of a list each.
async fn with_orders(app: &TestService, orders: usize) -> Caller {
    let ada = app.customer("ada").await;
    let line = |number: usize| {
        let sku = format!("{number:064}");
        json!({"sku": sku, "quantity": 1_000_000, "unit_price": "1.00"})
    };
    let lines: Vec<_> = (0..100).map(line).collect();
    for _ in 0..orders {
        ada.places(json!({"currency": "EUR", "lines": lines})).await.assert_status(201);
    }
    ada
}

/// Asks for `path` on every stream that a connection may have.
fn everywhere(caller: &Caller, path: &str) -> Vec<u8> {
    let bearer = format!("Bearer {}", caller.token.as_ref().unwrap());
    let head = get(path, &[("authorization", &bearer)]);
    (0..STREAMS).flat_map(|number| frame(HEADERS, WHOLE, number * 2 + 1, &head)).collect()
}

async fn next(connection: &mut Http2) -> Frame {
    let frame = connection.next().await.expect("the connection was ended");
    assert!(![GOAWAY, RST_STREAM].contains(&frame.kind), "{frame:?}");
    frame
}

/// Returns a number of the metrics.
async fn counted(app: &TestService, series: &str) -> u64 {
    let text = app.admin().get("/metrics").send().await.text();
    let number = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    number.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_not_made() {
    let app = Setup::default().setting("limits.request_timeout", "4s").start().await;
    let ada = with_orders(&app, 200).await;
    let list = ada.get("/orders?limit=200").send().await;
    let before = counted(&app, "process_resident_memory_bytes").await;
    let mut connection = Http2::connect(&app, &CLOSED).await;

    connection.send(&everywhere(&ada, "/orders?limit=200")).await;
    let mut heads = Vec::new();
    while heads.len() < usize::from(STREAMS) {
        let frame = next(&mut connection).await;
        if frame.kind == HEADERS {
            heads.push(frame.payload[0]);
        }
    }

    // All of them would be more than 200 MB.
    assert!(list.text().len() > 2_000_000);
    assert_eq!(heads.iter().filter(|status| **status == OK).count(), 1, "one is made");
    let unsent = r#"palisade_refusals_total{listener="public",reason="unsent"}"#;
    assert_eq!(counted(&app, unsent).await, u64::from(STREAMS) - 1);
    let after = counted(&app, "process_resident_memory_bytes").await;
    assert!(after < before + 64 * 1024 * 1024, "{before} grew to {after}");
}

#[tokio::test]
async fn a_client_that_reads_is_given_every_large_answer_that_it_asks_for_at_once() {
    let app = Setup::default().setting("limits.request_timeout", "120s").start().await;
    let ada = with_orders(&app, 30).await;
    let list = ada.get("/orders?limit=30").send().await.text().len();
    let mut connection = Http2::connect(&app, &OPEN).await;
    let window = frame(WINDOW_UPDATE, 0, 0, &(i32::MAX - 65_535).to_be_bytes());

    connection.send(&[window, everywhere(&ada, "/orders?limit=30")].concat()).await;
    let mut received = BTreeMap::<u32, usize>::new();
    let mut over = 0;
    while over < STREAMS {
        let frame = next(&mut connection).await;
        match frame.kind {
            HEADERS => assert_eq!(frame.payload[0], OK, "{frame:?}"),
            DATA => *received.entry(frame.stream).or_default() += frame.payload.len(),
            _ => {}
        }
        over += u8::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
    }

    assert!(list > 300_000);
    assert_eq!(received.len(), usize::from(STREAMS));
    assert!(received.values().all(|length| *length == list), "{list}: {received:?}");
}
