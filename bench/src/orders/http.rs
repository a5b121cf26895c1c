//! Over HTTP: `POST /orders` against the edge's own rate for handlers without a database.

use std::path::Path;

use super::rows::Rows;
use super::site::{Site, script};
use crate::edge::{self, CONNECTIONS, Server, Variant};
use crate::effort::Effort;
use crate::figures::Figures;
use crate::wrk::{self, Asking, Load};

/// Measures the service and both edges in turn.
///
/// # Errors
/// When wrk is missing, or one answer failed.
pub(super) async fn measure(binary: &Path, effort: Effort) -> anyhow::Result<Vec<Figures>> {
    let mut rows = Rows::new(&ROWS);
    for number in 1..=effort.rounds {
        crate::complain(&format!("orders: HTTP, round {number} of {}", effort.rounds));
        let service = of_service(binary, effort).await?;
        let edge = of_edge(effort).await?;
        let same = of_edge_with_orders(effort).await?;
        rows.add(&[
            ("http_ratio_edge", service.per_second() / edge.per_second()),
            ("http_ratio_edge_same_request", service.per_second() / same.per_second()),
            ("http_orders_per_s", service.per_second()),
            ("http_p99_us", service.p99_us),
            ("edge_per_s", edge.per_second()),
            ("edge_same_request_per_s", same.per_second()),
        ])?;
    }
    Ok(rows.into_figures())
}

async fn of_service(binary: &Path, effort: Effort) -> anyhow::Result<Load> {
    let site = Site::start(binary).await?;
    let url = site.url("/");
    place(&url, site.folder.path(), (&site.token, "warm-up-"), effort.warm_up).await?;
    let load = place(&url, site.folder.path(), (&site.token, "measured"), effort.seconds).await?;
    site.stop().await?;
    Ok(load)
}

async fn of_edge(effort: Effort) -> anyhow::Result<Load> {
    let server = Server::start(Variant::Guarded).await?;
    edge::ask(&server, effort.warm_up).await?;
    let load = edge::ask(&server, effort.seconds).await?;
    server.stop().await?;
    Ok(load)
}

async fn of_edge_with_orders(effort: Effort) -> anyhow::Result<Load> {
    let server = Server::start(Variant::Order).await?;
    let url = format!("http://{}/", server.address());
    let token = server.token().unwrap_or_default();
    place(&url, server.folder(), (token, "warm-up-"), effort.warm_up).await?;
    let load = place(&url, server.folder(), (token, "measured"), effort.seconds).await?;
    server.stop().await?;
    Ok(load)
}

async fn place(
    url: &str,
    folder: &Path,
    (token, keys): (&str, &str),
    seconds: u32,
) -> anyhow::Result<Load> {
    let script = script(token, keys);
    wrk::run(Asking { url, script: &script, folder, connections: CONNECTIONS, seconds }).await
}

const ROWS: [(&str, &str); 6] = [
    ("http_ratio_edge", "HTTP: requests/s, POST /orders / the edge's POST /users"),
    (
        "http_ratio_edge_same_request",
        "HTTP: requests/s, POST /orders / the same without a database",
    ),
    ("http_orders_per_s", "HTTP, service: POST /orders/s"),
    ("http_p99_us", "HTTP, service: p99, us"),
    ("edge_per_s", "HTTP, edge: POST /users/s"),
    ("edge_same_request_per_s", "HTTP, edge: POST /orders/s without a database"),
];
