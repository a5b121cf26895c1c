//! SQLite: the service against the usual way and against the limit, and what one caller alone pays.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use palisade_testing::Service;

use super::CALLERS;
use super::callers::Turn;
use super::database::Database;
use super::rows::Rows;
use super::way::{self, Way};
use crate::effort::Effort;
use crate::figures::Figures;
use crate::orderdesk;

/// Measures all three in turn.
///
/// # Errors
/// When an order could not be placed.
pub(super) async fn measure(effort: Effort) -> anyhow::Result<Vec<Figures>> {
    let sqlx = Way::sqlx()?;
    let turn = Turn { callers: CALLERS, warm_up: effort.before(), measured: effort.measured() };
    let mut rows = Rows::new(&ROWS);
    for number in 1..=effort.rounds {
        crate::complain(&format!("orders: SQLite, round {number} of {}", effort.rounds));
        let service = way::in_a_file(&Way::Service, turn).await?;
        let limit = way::in_a_file(&Way::Limit, turn).await?;
        let naive = way::in_a_file(&sqlx, turn).await?;
        let alone = way::in_a_file(&Way::Service, Turn { callers: 1, ..turn }).await?;
        rows.add(&[
            ("sqlite_ratio_naive", service.per_second / naive.per_second),
            ("sqlite_ratio_limit", service.per_second / limit.per_second),
            ("sqlite_orders_per_s", service.per_second),
            ("naive_orders_per_s", naive.per_second),
            ("limit_orders_per_s", limit.per_second),
            ("sqlite_p50_us", service.p50_us),
            ("sqlite_p99_us", service.p99_us),
            ("naive_p99_us", naive.p99_us),
            ("alone_orders_per_s", alone.per_second),
            ("alone_p50_us", alone.p50_us),
        ])?;
    }
    match waits_for_the_disk().await? {
        Some(waits) => rows.add(&[("alone_fsyncs_per_order", waits)])?,
        None => crate::complain("orders: fsyncs are not counted; `apt-get install strace`"),
    }
    Ok(rows.into_figures())
}

/// Counts how often one caller alone has the log brought to the disk for one order: `None` without
/// strace. What merges the log into the file now and then, and the start and the end, is not for
/// one order.
async fn waits_for_the_disk() -> anyhow::Result<Option<f64>> {
    let folder = tempfile::tempdir()?;
    let database = Database::in_a_file(folder.path()).await?;
    let turn = Turn { callers: 1, warm_up: Duration::ZERO, measured: ALONE };
    let (program, arguments) = Way::Service.command(&database, turn)?;
    let trace = folder.path().join("trace");
    let strace = Service::builder(Path::new("strace"))
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-o"])
        .args([trace.as_os_str(), program.as_os_str()])
        .args(arguments);
    let Ok(finished) = orderdesk::with_home(strace).try_run().await else { return Ok(None) };
    let orders = way::read(&finished)?.per_second * ALONE.as_secs_f64();
    ensure!(orders > 0.0, "no order was placed");
    let log = std::fs::read_to_string(trace)?;
    let waits = log.lines().filter(|line| line.contains("orders.db-wal>")).count();
    Ok(Some(f64::from(u32::try_from(waits)?) / orders))
}

const ALONE: Duration = Duration::from_secs(2);

const ROWS: [(&str, &str); 11] = [
    ("sqlite_ratio_naive", "SQLite: orders/s, service / sqlx pool"),
    ("sqlite_ratio_limit", "SQLite: orders/s, service / bare loop"),
    ("sqlite_orders_per_s", "SQLite, service: orders/s"),
    ("naive_orders_per_s", "SQLite, sqlx pool: orders/s"),
    ("limit_orders_per_s", "SQLite, bare loop: orders/s"),
    ("sqlite_p50_us", "SQLite, service: p50, us"),
    ("sqlite_p99_us", "SQLite, service: p99, us"),
    ("naive_p99_us", "SQLite, sqlx pool: p99, us"),
    ("alone_orders_per_s", "SQLite, service, one caller: orders/s"),
    ("alone_p50_us", "SQLite, service, one caller: p50, us"),
    ("alone_fsyncs_per_order", "SQLite, service, one caller: fsyncs of the log for an order"),
];
