//! Instructions for one request, counted by callgrind: the figure that a busy machine cannot move.
//!
//! Each variant runs twice and is asked a different number of times; the difference leaves out the
//! start, the end and the first requests, which fill caches. The processor that valgrind shows has
//! no SHA extensions, so the hash of a session's token counts for more here than it takes.

use std::path::Path;

use anyhow::Context as _;
use palisade_testing::Service;

use super::child::Server;
use super::rows::Counts;
use super::variant::Variant;
use crate::orderdesk;

/// Requests of the shorter run.
pub(super) const FEW: u32 = 2_000;
/// Requests of the longer run.
pub(super) const MANY: u32 = 12_000;

/// Counts every variant; `None` if there is no valgrind.
///
/// # Errors
/// When a server does not answer as it should.
pub(super) async fn count() -> anyhow::Result<Option<Counts>> {
    let valgrind = Service::builder(Path::new("valgrind")).args(["--version"]);
    if orderdesk::with_home(valgrind).try_run().await.is_err() {
        return Ok(None);
    }
    let mut counts = Vec::new();
    for variant in Variant::ALL {
        crate::complain(&format!("edge: instructions, {}", variant.name()));
        let (few, many) = (total(variant, FEW).await?, total(variant, MANY).await?);
        counts.push((many - few) / f64::from(MANY - FEW));
    }
    Counts::try_from(counts).map(Some)
}

/// Returns the instructions of a whole run with `requests` requests after the warm-up.
async fn total(variant: Variant, requests: u32) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.out");
    let server = Server::start_counted(variant, &out).await?;
    server.ask(WARM_UP).await?;
    server.ask(requests).await?;
    server.stop().await?;
    summary(&std::fs::read_to_string(&out)?)
}

fn summary(profile: &str) -> anyhow::Result<f64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("summary: "));
    Ok(total.context("callgrind wrote no summary")?.trim().parse()?)
}

const WARM_UP: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_stands_in_the_summary() {
        let profile = "version: 1\nevents: Ir\nsummary: 123456\n\nfl=(1)\n0 7\ntotals: 99\n";

        assert!((summary(profile).unwrap() - 123_456.0).abs() < 1e-9);
        assert!(summary("version: 1\n").is_err());
    }
}
