//! `orders`: what a durable order costs, on both databases and over HTTP.
//!
//! An order is one transaction: its idempotency key, itself, three lines, the entry of its history,
//! and the answer that is kept under the key. Every side writes the same statements into the same
//! schema and waits for the disk. Each turn has a process and a database of its own; sides take
//! turns, and ratios are made within a round.

pub(crate) mod callers;
mod cluster;
mod database;
mod http;
mod postgres;
mod reads;
pub(crate) mod rows;
mod sample;
pub(crate) mod site;
mod sql;
mod sqlite;
mod turn;
mod way;

use crate::edge;
use crate::effort::Effort;
use crate::figures::Figures;
use crate::orderdesk;
use crate::report::Report;

pub(crate) use self::turn::take;

/// What `main` knows the child by; not in the usage, because it is no scenario.
pub(crate) const TURN: &str = "orders-turn";

/// How many place orders at once.
const CALLERS: usize = 64;

/// Measures everything.
///
/// # Errors
/// When a program is missing, or an order could not be placed.
pub(crate) fn measure(effort: Effort) -> anyhow::Result<Report> {
    let binary = orderdesk::build()?;
    let figures = orderdesk::block_on(async {
        let mut figures = told(sqlite::measure(effort).await?);
        figures.extend(told(postgres::measure(effort).await?));
        figures.extend(told(http::measure(&binary, effort).await?));
        figures.extend(told(reads::measure(&binary, effort).await?));
        anyhow::Ok(figures)
    })??;
    Ok(Report { scenario: "orders", how: how(effort), figures, notes: Vec::new() })
}

/// Tells the medians as soon as they are known: who stops the rest has them.
fn told(figures: Vec<Figures>) -> Vec<Figures> {
    for row in &figures {
        crate::complain(&format!("orders: {}: {:.2}", row.what, row.median()));
    }
    figures
}

fn how(effort: Effort) -> String {
    format!(
        "An order is one durable transaction with seven statements: its idempotency key, itself, three \
         lines, the entry of its history, and the answer under the key; `synchronous=FULL` on SQLite, \
         fsync on PostgreSQL. {CALLERS} callers at once, {}, each turn in a fresh process on a fresh \
         database, sides in turn; a ratio is made within a round. The service is Palisade's `Db` with \
         Orderdesk's orders; the usual way is an sqlx pool of 10 with a transaction for each call; the \
         bare loop is rusqlite with the statements prepared, {} orders in a commit, what is written made \
         beforehand and not counted; pgbench sends the same statements prepared. Fsyncs of the log are \
         counted by strace; more than one for an order come from merging the log into the file, which \
         brings it to the disk first. Over HTTP wrk asks from {} connections, with a session and a key \
         of its own for each order; the edge is the guarded variant of `edge`, and the same request \
         without a database is read, judged and answered in memory. Reads come from one connection \
         with a pause of 1 ms after each, while wrk writes from 16 connections or nobody does.",
        effort.to_text(),
        turn::BATCH,
        edge::CONNECTIONS,
    )
}
