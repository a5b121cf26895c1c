//! What others feel of a flood of sign-ins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use tokio::task::JoinSet;

use super::people::{People, sign_in};
use crate::orders::callers::Found;

/// Connections that sign in all the time.
pub(super) const CONNECTIONS: u32 = 200;
/// What each of them waits after it was turned away.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Reads of one order meanwhile.
pub(super) const READS_PER_SECOND: u32 = 200;
/// Connections that read.
const READERS: u32 = 8;

/// What was felt.
pub(super) struct Felt {
    pub(super) quiet_p99_us: f64,
    pub(super) busy_p99_us: f64,
    pub(super) failed: f64,
    pub(super) shed_p99_us: f64,
    pub(super) shed_per_second: f64,
}

/// Reads without a flood, then in one.
///
/// # Errors
/// When there is no answer, or one that no flood explains.
pub(super) async fn measure(people: &People, span: Duration) -> anyhow::Result<Felt> {
    let (quiet, failed) = read(people, span).await?;
    ensure!(failed == 0, "{failed} reads failed without a flood");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut flood = JoinSet::new();
    for number in 0..CONNECTIONS {
        flood.spawn(sign_in_again_and_again(people.client(), number, Arc::clone(&is_over)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (busy, failed) = read(people, span).await?;
    is_over.store(true, Ordering::SeqCst);
    let mut shed = Vec::new();
    while let Some(turned_away) = flood.join_next().await {
        shed.extend(turned_away??);
    }
    let shed = Found::of(shed, span + Duration::from_secs(1));
    Ok(Felt {
        quiet_p99_us: quiet.p99_us,
        busy_p99_us: busy.p99_us,
        failed: f64::from(failed),
        shed_p99_us: shed.p99_us,
        shed_per_second: shed.per_second,
    })
}

/// Reads one order at a steady pace, whatever the answers take, and counts those that failed.
async fn read(people: &People, span: Duration) -> anyhow::Result<(Found, u32)> {
    let pace = Duration::from_secs(1) * READERS / READS_PER_SECOND;
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let (client, token) = (people.client(), people.token.clone());
        let path = format!("/orders/{}", people.order);
        readers.spawn(async move {
            let mut connection = client.connect().await?;
            tokio::time::sleep(pace * number / READERS).await;
            let mut ticks = tokio::time::interval(pace);
            let (end, mut waits, mut failed) = (Instant::now() + span, Vec::new(), 0_u32);
            while Instant::now() < end {
                ticks.tick().await;
                let begun = Instant::now();
                let reply = client.get(&path).bearer(&token).send_on(&mut connection).await?;
                waits.push(begun.elapsed());
                failed += u32::from(reply.status() != 200);
            }
            anyhow::Ok((waits, failed))
        });
    }
    let (mut waits, mut failed) = (Vec::new(), 0);
    while let Some(read) = readers.join_next().await {
        let (waited, did_fail) = read??;
        waits.extend(waited);
        failed += did_fail;
    }
    Ok((Found::of(waits, span), failed))
}

/// Signs in with a wrong password until it is over, and returns how long each 503 took.
async fn sign_in_again_and_again(
    client: palisade_testing::Client,
    number: u32,
    is_over: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = client.connect().await?;
    let mut shed = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let who = json!({"username": format!("flood{number}"), "password": "a wrong password"});
        let begun = Instant::now();
        let reply = client.post("/sessions").json(who).send_on(&mut connection).await?;
        match reply.status() {
            503 => {
                shed.push(begun.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            401 => {}
            status => anyhow::bail!("a sign-in of the flood answered {status}"),
        }
    }
    Ok(shed)
}

/// Has a thousand sign in at once, and returns the most memory that the service had, in MiB.
///
/// # Errors
/// When there is no answer, or one that no flood explains.
pub(super) async fn peak_of_a_thousand(people: &People) -> anyhow::Result<f64> {
    let mut all = JoinSet::new();
    for number in 0..1_000 {
        let client = people.client();
        all.spawn(async move { sign_in(&client, number).await });
    }
    while let Some(status) = all.join_next().await {
        let status = status??;
        ensure!([201, 503].contains(&status), "a sign-in answered {status}");
    }
    people.peak_mib()
}
