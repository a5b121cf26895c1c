//! `growth`: what one request takes when there are a thousand, a hundred thousand and a million
//! orders.
//!
//! The tables are filled in bulk beside a service that is asked nothing meanwhile; then one request
//! follows the other on one connection, so that nothing waits but for the database and the edge.
//! Medians that stay flat are what is looked for; the plans say why they do.

mod ask;
mod fill;
mod rows;

use std::path::Path;

use ::orderdesk::orders::store::SEARCHES;
use palisade_testing::Client;
use rusqlite::{Connection, params_from_iter};

use self::ask::{Askers, REQUESTS};
use self::fill::Fill;
use self::rows::{SIZES, side_by_side};
use crate::figures::Figures;
use crate::orderdesk;
use crate::orders::site::Site;
use crate::report::Report;

/// Measures every size.
///
/// # Errors
/// When an answer is not what it should be.
pub(crate) fn measure() -> anyhow::Result<Report> {
    measure_sizes(&SIZES)
}

/// Measures all sizes but the million, to see that it works.
///
/// # Errors
/// When an answer is not what it should be.
pub(crate) fn measure_briefly() -> anyhow::Result<Report> {
    let [small, middle, _] = SIZES;
    measure_sizes(&[small, middle])
}

fn measure_sizes(sizes: &[u32]) -> anyhow::Result<Report> {
    let binary = orderdesk::build()?;
    let (figures, notes) = orderdesk::block_on(ask_at(&binary, sizes))??;
    Ok(Report { scenario: "growth", how: how(), figures, notes })
}

/// Returns the rows of all sizes, and the plans at the largest.
async fn ask_at(binary: &Path, sizes: &[u32]) -> anyhow::Result<(Vec<Figures>, Vec<String>)> {
    let site = Site::start(binary).await?;
    let file = site.folder.path().join("orderdesk.db");
    let client = Client::http(site.service.public());
    let (customer, operator) = (site.token.as_str(), site.api_key.expose().as_str());
    let askers = Askers { client: &client, customer, operator };
    let mut fill = Fill::open(&file)?;
    let mut sized = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        crate::complain(&format!("growth: {size} orders"));
        fill.grow_to(*size)?;
        let targets = fill.take(TIMES);
        let mut rows = rows::empty(place)?;
        for (request, figures) in REQUESTS.iter().zip(&mut rows) {
            request.measure(&askers, &targets, figures).await?;
        }
        sized.push(rows);
    }
    let plans = plans(&file)?;
    site.stop().await?;
    Ok((side_by_side(sized), plans))
}

/// Returns how SQLite goes about each search.
fn plans(file: &Path) -> anyhow::Result<Vec<String>> {
    let connection = Connection::open(file)?;
    let mut plans = Vec::new();
    for (what, sql) in SEARCHES {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let nothing = params_from_iter(vec![None::<i64>; explain.parameter_count()]);
        let steps = explain.query_map(nothing, |row| row.get("detail"))?;
        let steps = steps.collect::<Result<Vec<String>, _>>()?;
        plans.push(format!("{what}: {}", steps.join("; ")));
    }
    Ok(plans)
}

fn how() -> String {
    format!(
        "Orders with three lines, a fifth of them one customer's own and a third of all paid, written in \
         bulk beside the running service. Then each request {TIMES} times, one after the other on one \
         connection over HTTP without TLS, about orders from all over the table; lists have 50 orders. \
         Times are those of the client. Below the table is how SQLite goes about each search."
    )
}

/// How often each request is sent at each size: as many different new orders must be there.
const TIMES: usize = 300;
