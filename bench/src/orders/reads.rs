//! Reads while others write: how long one order and a list of 50 take to come, with and without.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use palisade_testing::Client;
use serde_json::Value;

use super::callers::Found;
use super::rows::Rows;
use super::site::{Site, order, script};
use crate::effort::Effort;
use crate::figures::Figures;
use crate::wrk::{self, Asking};

/// Measures with and without writes in turn, on one service.
///
/// # Errors
/// When an answer is not what it should be.
pub(super) async fn measure(binary: &Path, effort: Effort) -> anyhow::Result<Vec<Figures>> {
    let site = Site::start(binary).await?;
    let ids = placed(&site).await?;
    let mut rows = Rows::new(&ROWS);
    for number in 1..=effort.rounds {
        crate::complain(&format!("orders: reads, round {number} of {}", effort.rounds));
        let quiet = read(&site, &ids, effort.measured()).await?;
        let script = script(&site.token, &format!("reads-{number:03}-"));
        let (url, folder) = (site.url("/"), site.folder.path());
        // They begin before the reads and end after them.
        let seconds = effort.seconds + 2;
        let asking = Asking { url: &url, script: &script, folder, connections: WRITERS, seconds };
        let reading = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            read(&site, &ids, effort.measured()).await
        };
        let (load, busy) = tokio::join!(wrk::run(asking), reading);
        let (load, busy) = (load?, busy?);
        rows.add(&[
            ("read_p99_ratio_under_writes", busy.one.p99_us / quiet.one.p99_us),
            ("list_p99_ratio_under_writes", busy.list.p99_us / quiet.list.p99_us),
            ("read_p99_us", quiet.one.p99_us),
            ("read_p99_us_under_writes", busy.one.p99_us),
            ("list_p99_us", quiet.list.p99_us),
            ("list_p99_us_under_writes", busy.list.p99_us),
            ("writes_beside_reads_per_s", load.per_second()),
        ])?;
    }
    site.stop().await?;
    Ok(rows.into_figures())
}

/// Places what is read.
async fn placed(site: &Site) -> anyhow::Result<Vec<String>> {
    let client = Client::http(site.service.public());
    let mut connection = client.connect().await?;
    let mut ids = Vec::new();
    for _ in 0..ORDERS {
        let placing = client.post("/orders").bearer(&site.token).json(order());
        let reply = placing.send_on(&mut connection).await?;
        ensure!(reply.status() == 201, "no order: {}", reply.text());
        let body: Value = reply.json();
        let id = body.get("id").and_then(Value::as_str).context("an order without an id")?;
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// What readers waited.
struct Waits {
    one: Found,
    list: Found,
}

/// Reads one order after the other and now and then a list, with a pause after each, so that it is
/// the service that is measured and not the processors.
async fn read(site: &Site, ids: &[String], span: Duration) -> anyhow::Result<Waits> {
    let client = Client::http(site.service.public());
    let mut connection = client.connect().await?;
    let end = Instant::now() + span;
    let (mut one, mut list) = (Vec::new(), Vec::new());
    for (number, id) in ids.iter().cycle().enumerate() {
        if Instant::now() >= end {
            break;
        }
        let is_list = number % 4 == 0;
        let path = if is_list { "/orders?limit=50".to_owned() } else { format!("/orders/{id}") };
        let begun = Instant::now();
        let reply = client.get(&path).bearer(&site.token).send_on(&mut connection).await?;
        let waits = if is_list { &mut list } else { &mut one };
        waits.push(begun.elapsed());
        ensure!(reply.status() == 200, "GET {path} answered {}", reply.status());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Waits { one: Found::of(one, span), list: Found::of(list, span) })
}

const ORDERS: u32 = 200;
/// Connections that place orders meanwhile.
const WRITERS: u32 = 16;
const PAUSE: Duration = Duration::from_millis(1);

const ROWS: [(&str, &str); 7] = [
    ("read_p99_ratio_under_writes", "GET /orders/{id}: p99, while others write / alone"),
    ("list_p99_ratio_under_writes", "GET /orders?limit=50: p99, while others write / alone"),
    ("read_p99_us", "GET /orders/{id}: p99, us"),
    ("read_p99_us_under_writes", "GET /orders/{id}: p99 while others write, us"),
    ("list_p99_us", "GET /orders?limit=50: p99, us"),
    ("list_p99_us_under_writes", "GET /orders?limit=50: p99 while others write, us"),
    ("writes_beside_reads_per_s", "POST /orders/s meanwhile"),
];
