//! `footprint`: how fast the service starts and how much it takes when nobody asks for anything.
//!
//! Each start has a fresh folder: with `serve --config`, TLS off and secrets given (`ready_ms`,
//! `idle_mib`), and with `serve --dev`, which also makes a certificate, an account and a key. The
//! two alternate, so that a disturbance hits both. Waiting counts from just before the spawn until
//! `GET /ready` on the admin listener answers 200, asked about once a millisecond.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use palisade_testing::{Client, Connection, Program, Service};

use crate::figures::Figures;
use crate::orderdesk;
use crate::report::Report;

/// Builds the service and measures it.
pub(crate) fn measure() -> anyhow::Result<Report> {
    let binary = orderdesk::build()?;
    orderdesk::block_on(measure_program(&binary))?
}

async fn measure_program(binary: &Path) -> anyhow::Result<Report> {
    let mut found = Found::new();
    found.binary.add(mib(std::fs::metadata(binary)?.len())?);

    for start in 1..=STARTS {
        crate::complain(&format!("footprint: start {start} of {STARTS}"));
        measure_start(binary, &mut found).await?;
        measure_dev_start(binary, &mut found, CONNECTIONS).await?;
    }
    crate::complain(&format!("footprint: {CROWD} connections"));
    let mut crowd = Found::new();
    measure_dev_start(binary, &mut crowd, CROWD).await?;
    let (each, alone) = (crowd.connection.median(), crowd.dev_idle.median());
    found.crowd.add((1024.0 - alone) * 1024.0 / each);

    Ok(Report {
        scenario: "footprint",
        how: format!(
            "Release build, {STARTS} starts each on an empty SQLite database. Idle memory is VmRSS \
             {IDLE:?} after the start; a TLS connection is the growth of VmRSS by {CONNECTIONS} \
             keep-alive connections that have made one request each, divided by their number, after a \
             first one that is gone again. What 1 GiB holds is computed from a start with \
             {CROWD} such connections; none was made to hold 1 GiB."
        ),
        figures: found.into_rows(),
        notes: Vec::new(),
    })
}

/// One start as in production, but for TLS.
async fn measure_start(binary: &Path, found: &mut Found) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let program = orderdesk::serve(binary, folder.path()).await?;

    let (mut service, ready) = start(program).await?;
    found.ready.add(ready);
    tokio::time::sleep(IDLE).await;
    found.idle.add(resident_kib(&service)? / 1024.0);

    ended_well(&mut service).await
}

/// One start with `--dev`, and the price of idle TLS connections to it.
async fn measure_dev_start(
    binary: &Path,
    found: &mut Found,
    connections: u32,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let program = orderdesk::serve_dev(binary, folder.path())
        .env("ORDERDESK__LIMITS__CONNECTIONS", "16000")
        .env("ORDERDESK__LIMITS__CONNECTIONS_PER_IP", "16000")
        .env("ORDERDESK__RATE__PER_IP", "off")
        // A connection that times out while we count is no longer idle but gone.
        .env("ORDERDESK__LIMITS__IDLE_TIMEOUT", "10m");

    let (mut service, ready) = start(program).await?;
    found.dev_ready.add(ready);
    tokio::time::sleep(IDLE).await;
    found.dev_idle.add(resident_kib(&service)? / 1024.0);

    let root = orderdesk::self_signed_certificate(folder.path())?;
    let client = Client::https(service.public(), &root)?;
    // The very first connection also pays for what all of them share.
    drop(hold_connections(&client, 1).await?);
    let alone = resident_kib(&service)?;
    let held = hold_connections(&client, connections).await?;
    tokio::time::sleep(SETTLE).await;
    let crowded = resident_kib(&service)?;
    ensure!(!held.iter().any(Connection::is_closed), "the service closed an idle connection");
    found.connection.add((crowded - alone) / f64::from(connections));
    drop(held);

    ended_well(&mut service).await
}

/// Starts the service and returns it with the milliseconds until it was ready.
async fn start(program: Program) -> anyhow::Result<(Service, f64)> {
    let begin = Instant::now();
    let service = program.try_start().await?;
    let admin = Client::http(service.admin());
    while admin.get("/ready").try_send().await.map(|reply| reply.status()).ok() != Some(200) {
        ensure!(begin.elapsed() < READY, "not ready within {READY:?}:\n{}", service.stderr());
        tokio::time::sleep(POLL).await;
    }
    Ok((service, begin.elapsed().as_secs_f64() * 1000.0))
}

/// Opens the connections one after the other, so that handshakes do not pile up memory.
async fn hold_connections(client: &Client, count: u32) -> anyhow::Result<Vec<Connection>> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut connection = client.connect().await?;
        let reply = client.get(ANYONE).send_on(&mut connection).await?;
        ensure!(reply.status() == 200, "GET {ANYONE} answered {}", reply.status());
        held.push(connection);
    }
    Ok(held)
}

/// A service that fails would make the numbers those of something else.
async fn ended_well(service: &mut Service) -> anyhow::Result<()> {
    let status = service.terminate().await;
    ensure!(status.success(), "the service ended with {status}:\n{}", service.stderr());
    Ok(())
}

fn resident_kib(service: &Service) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|kib| kib.trim().strip_suffix(" kB")).context("no VmRSS")?;
    Ok(kib.parse()?)
}

fn mib(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1024)?) / 1024.0)
}

/// The rows of the report while they fill.
#[derive(Debug)]
struct Found {
    ready: Figures,
    idle: Figures,
    connection: Figures,
    binary: Figures,
    dev_ready: Figures,
    dev_idle: Figures,
    crowd: Figures,
}

impl Found {
    fn new() -> Self {
        Self {
            ready: Figures::new("ready_ms", "start to /ready, ms"),
            idle: Figures::new("idle_mib", "resident when idle, MiB"),
            connection: Figures::new("idle_tls_connection_kib", "idle TLS connection, KiB"),
            binary: Figures::new("binary_mib", "program, MiB"),
            dev_ready: Figures::new("dev_ready_ms", "--dev: first start to /ready, ms"),
            dev_idle: Figures::new("dev_idle_mib", "--dev: resident when idle, MiB"),
            crowd: Figures::new("idle_tls_connections_in_1_gib", "idle TLS connections in 1 GiB"),
        }
    }

    fn into_rows(self) -> Vec<Figures> {
        let Self { ready, idle, connection, binary, dev_ready, dev_idle, crowd } = self;
        vec![ready, idle, connection, binary, dev_ready, dev_idle, crowd]
    }
}

const STARTS: u32 = 11;
const CONNECTIONS: u32 = 200;
/// Enough that what the first ones share counts for little, and within the usual descriptors.
const CROWD: u32 = 8_000;
/// A small answer that needs no credential.
const ANYONE: &str = "/problems/not_found";
const IDLE: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(1);
const READY: Duration = Duration::from_secs(20);
