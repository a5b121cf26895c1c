//! The machine and the versions: without them a number means nothing.

use std::path::Path;

use anyhow::Context as _;
use palisade_testing::Service;
use time::OffsetDateTime;

use crate::orderdesk;

/// What to write above the tables, name and value.
#[derive(Debug)]
pub(crate) struct Machine {
    /// In the order they are shown.
    pub(crate) rows: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks at the machine this program runs on.
    pub(crate) fn describe() -> anyhow::Result<Self> {
        let cpus = std::thread::available_parallelism()?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            rows: vec![
                ("date", today()),
                ("processor", format!("{}, {cpus} usable", processor()?)),
                ("memory", format!("{:.1} GiB", memory_gib()?)),
                ("kernel", format!("Linux {}", kernel.trim())),
                ("compiler", compiler()?),
                ("palisade", env!("CARGO_PKG_VERSION").to_owned()),
            ],
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a report is dated by the wall clock")]
fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

fn processor() -> anyhow::Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()))
}

fn memory_gib() -> anyhow::Result<f64> {
    let info = std::fs::read_to_string("/proc/meminfo")?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix(" kB")).context("no MemTotal")?;
    Ok(kib.parse::<f64>()? / (1024.0 * 1024.0))
}

fn compiler() -> anyhow::Result<String> {
    let program = orderdesk::toolchain_program("RUSTC", "rustc");
    let version = Service::builder(Path::new(&program)).args(["--version"]);
    let finished = orderdesk::block_on(orderdesk::with_home(version).try_run())??;
    Ok(finished.stdout.trim().to_owned())
}
