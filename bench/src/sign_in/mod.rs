//! `sign-in`: how near sign-ins come to what hashing alone would allow, and what a flood of them costs
//! everybody else, in time and in memory.
//!
//! One service for each round, with the limits on rates and guesses out of the way; who asks runs in this
//! process, on the same processors.

mod flood;
mod limit;
mod people;

use std::path::Path;

use anyhow::ensure;
use palisade::crypto::HashSettings;
use palisade_testing::Program;

use self::people::People;
use crate::effort::Effort;
use crate::figures::Figures;
use crate::orderdesk;
use crate::orders::callers::{self, Turn};
use crate::orders::rows::Rows;
use crate::report::Report;

/// Who signs in at once when nothing is to be turned away: more than the workers, fewer than may wait.
const CALLERS: usize = 32;

/// Measures everything.
///
/// # Errors
/// When an answer is not what it should be.
pub(crate) fn measure(effort: Effort) -> anyhow::Result<Report> {
    let binary = orderdesk::build()?;
    let figures = orderdesk::block_on(rounds(&binary, effort))??;
    Ok(Report { scenario: "sign-in", how: how(effort), figures, notes: Vec::new() })
}

async fn rounds(binary: &Path, effort: Effort) -> anyhow::Result<Vec<Figures>> {
    let mut rows = Rows::new(&ROWS);
    let workers = HashSettings::default().workers;
    for number in 1..=effort.rounds {
        crate::complain(&format!("sign-in: round {number} of {}", effort.rounds));
        let alone = limit::hashes_per_second(1, effort.measured()).await?;
        let together = limit::hashes_per_second(workers, effort.measured()).await?;
        let people = People::start(binary).await?;
        let rate = sign_ins(&people, effort).await?;
        let flood = flood::measure(&people, effort.measured()).await?;
        people.stop().await?;
        let people = People::start(binary).await?;
        let peak = flood::peak_of_a_thousand(&people).await?;
        people.stop().await?;
        let workers = u32::try_from(workers)?;
        rows.add(&[
            ("rate_ratio_limit", rate / (f64::from(workers) * alone)),
            ("rate_ratio_together", rate / together),
            ("sign_ins_per_s", rate),
            ("hashes_per_s_alone", alone),
            ("hashes_per_s_together", together),
            ("flood_p99_ratio", flood.busy_p99_us / flood.quiet_p99_us),
            ("read_p99_us", flood.quiet_p99_us),
            ("read_p99_us_in_flood", flood.busy_p99_us),
            ("reads_failed", flood.failed),
            ("shed_p99_us", flood.shed_p99_us),
            ("shed_per_s", flood.shed_per_second),
            ("flood_peak_mib", peak),
        ])?;
    }
    Ok(rows.into_figures())
}

/// Returns the sign-ins of all callers in a second, none of which is turned away.
async fn sign_ins(people: &People, effort: Effort) -> anyhow::Result<f64> {
    let turn = Turn { callers: CALLERS, warm_up: effort.before(), measured: effort.measured() };
    let client = people.client();
    let found = callers::run(turn, move |number| {
        let client = client.clone();
        async move {
            let status = people::sign_in(&client, number).await?;
            ensure!(status == 201, "a sign-in answered {status}");
            Ok(())
        }
    });
    Ok(found.await?.per_second)
}

/// Takes what would end a flood of one address out of the way; what bounds hashing stays as it is.
fn unhindered(program: Program) -> Program {
    program
        .env("ORDERDESK__RATE__PER_IP", "10000000/s")
        .env("ORDERDESK__RATE__PER_ACCOUNT", "10000000/s")
        .env("ORDERDESK__RATE__LOGIN", "off")
        .env("ORDERDESK__RATE__SIGN_UP", "off")
        .env("ORDERDESK__GUESSES__PER_ADDRESS", "100000000/h")
        .env("ORDERDESK__GUESSES__TOTAL", "100000000/h")
        .env("ORDERDESK__LIMITS__CONNECTIONS", "4096")
        .env("ORDERDESK__LIMITS__CONNECTIONS_PER_IP", "4096")
        .env("ORDERDESK__LIMITS__IN_FLIGHT", "4096")
}

fn how(effort: Effort) -> String {
    format!(
        "Sign-ins over HTTP with the right password, each opening a session, from {CALLERS} connections, {}; \
         the limit is the library's own workers with nothing around them, one alone and all together. A flood is \
         {} connections that sign in with a wrong password and wait {} ms after a 503; meanwhile {} requests a \
         second read one order with a session, from connections of their own. Who asks runs on the same \
         processors. The peak is VmHWM of a fresh service after 1,000 sign-ins at once, each on a connection \
         of its own.",
        effort.to_text(),
        flood::CONNECTIONS,
        flood::PAUSE.as_millis(),
        flood::READS_PER_SECOND,
    )
}

const ROWS: [(&str, &str); 12] = [
    ("rate_ratio_limit", "sign-ins/s / (workers x hashes/s of one worker alone)"),
    ("rate_ratio_together", "sign-ins/s / hashes/s of all workers together"),
    ("sign_ins_per_s", "sign-ins/s"),
    ("hashes_per_s_alone", "hashes/s, one worker alone"),
    ("hashes_per_s_together", "hashes/s, all workers together"),
    ("flood_p99_ratio", "GET /orders/{id}: p99, in a flood / without"),
    ("read_p99_us", "GET /orders/{id}: p99, us"),
    ("read_p99_us_in_flood", "GET /orders/{id}: p99 in a flood, us"),
    ("reads_failed", "GET /orders/{id} in a flood: failed"),
    ("shed_p99_us", "sign-ins turned away: p99 of the 503, us"),
    ("shed_per_s", "sign-ins turned away a second"),
    ("flood_peak_mib", "peak memory, 1,000 sign-ins at once, MiB"),
];
