//! `edge`: what the guard costs, against bare axum and against the usual stack of tower-http layers.
//!
//! Each variant answers the same `POST /users` with the same rules, in a child process of this very
//! program, so compiler, allocator and profile are the same. The variants take turns, each in a
//! fresh process, and ratios are made within a round: a disturbance that lasts longer than a turn
//! hits both sides. Instructions are counted apart, under callgrind, because they do not drift.
//!
//! It leaves out TLS and HTTP/2, which wrk and bare axum do not speak here.

mod child;
mod instructions;
mod load;
mod rows;
mod serve;
mod variant;

use anyhow::ensure;

use self::rows::{Found, Round, Sample};
use crate::orderdesk;
use crate::report::Report;

pub(crate) use self::child::{SUBCOMMAND as SERVER, Server};
pub(crate) use self::load::{CONNECTIONS, run as ask};
pub(crate) use self::serve::serve;
pub(crate) use self::variant::Variant;

/// Measures every variant.
///
/// # Errors
/// When wrk is missing, or an answer is not what it should be.
pub(crate) fn measure() -> anyhow::Result<Report> {
    orderdesk::block_on(measure_all())?
}

async fn measure_all() -> anyhow::Result<Report> {
    let mut found = Found::new();
    for number in 1..=ROUNDS {
        let mut samples = Vec::new();
        for variant in Variant::ALL {
            crate::complain(&format!("edge: round {number} of {ROUNDS}, {}", variant.name()));
            samples.push(sample(variant).await?);
        }
        found.add(&Round::try_from(samples)?);
    }
    match instructions::count().await? {
        Some(counts) => found.add_instructions(&counts),
        None => crate::complain("edge: no instructions are counted; `apt-get install valgrind`"),
    }
    Ok(Report { scenario: "edge", how: how(), figures: found.into_rows(), notes: Vec::new() })
}

/// One turn of one variant, in a process of its own.
async fn sample(variant: Variant) -> anyhow::Result<Sample> {
    let server = Server::start(variant).await?;
    server.check_answer().await?;
    let warm_up = load::run(&server, WARM_UP_SECONDS).await?;
    let cpu_before = server.cpu_seconds()?;
    let load = load::run(&server, SECONDS).await?;
    let cpu_seconds = server.cpu_seconds()? - cpu_before;
    let lines = server.stop().await?;

    ensure!(load.requests > 0.0, "wrk counted no request");
    Ok(Sample {
        requests_per_second: load.per_second(),
        p99_us: load.p99_us,
        cpu_us: cpu_seconds * 1e6 / load.requests,
        logged_share: lines / (warm_up.requests + load.requests),
    })
}

fn how() -> String {
    format!(
        "`POST /users`, {} bytes of JSON, validated, no database. wrk with {} connections from one \
         thread for {SECONDS} s after {WARM_UP_SECONDS} s of warm-up, {ROUNDS} rounds of bare, \
         guarded, tower-http, session in turn, each in a fresh process; a ratio is made within a \
         round. CPU time is user and system time of the server. Instructions are those of user \
         space, by callgrind with one worker and one connection: the difference of {} and {} \
         requests. A share of lines below 1 means that the log dropped some.",
        serve::BODY.len(),
        load::CONNECTIONS,
        instructions::MANY,
        instructions::FEW,
    )
}

const ROUNDS: u32 = 5;
const WARM_UP_SECONDS: u32 = 2;
const SECONDS: u32 = 8;
