//! `orderdesk import`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use palisade::clock::{Clock, SystemClock};
use palisade::db::{Db, Tx};
use palisade::input::CsvEncoder;
use palisade::telemetry::metrics::Metrics;

use super::commands::{block_on, open, settings};
use super::output::Output;
use super::pieces::pieces;
use super::progress::{Shown, asked_to_end, bar};
use super::{ConfigFile, print};
use crate::accounts::Actor;
use crate::config::Settings;
use crate::imports::{
    Ended, Import, ImportId, ImportStatus, Importer, Progress, REJECTIONS_HEADER, UploadError,
    Uploads, store,
};
use crate::service;

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The CSV file; `-` for standard input
    file: PathBuf,
    /// Write every rejected row with its reason to this CSV file
    #[arg(long, value_name = "FILE")]
    rejections: Option<PathBuf>,
    /// Replace the file of rejections if it exists
    #[arg(long, requires = "rejections")]
    force: bool,
}

/// Rejections that are told when no file is named for them.
const TOLD: i64 = 20;
/// How often is looked how far another process is.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn import(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let ImportArguments { config, file, rejections, force } = arguments;
    let (settings, environment) = settings(config.config.as_deref())?;
    let source = source(file)?;
    let output = rejections.as_ref().map(|file| Output::begin(file, *force)).transpose()?;
    let import = block_on(async {
        let db = open(&settings, &environment).await?;
        service::prepare(&db, &settings).await?;
        let id = upload(&db, source, &settings).await?;
        let import = run(&db, id, &settings).await?;
        if import.status == ImportStatus::Queued {
            return Ok(import);
        }
        tell_rejections(&db, &import, output).await?;
        db.close().await?;
        Ok(import)
    })?;
    let Import { id, rows_read, rows_rejected, orders_created, .. } = import;
    let counts = format!(
        "{rows_read} rows read, {rows_rejected} rejected, {orders_created} orders created\n"
    );
    match import.status {
        ImportStatus::Done => print(&counts)?,
        ImportStatus::Failed => return Err(anyhow!("the import failed: {}", counts.trim_end())),
        ImportStatus::Queued | ImportStatus::Running => {
            return Err(anyhow!(
                "stopped after {}; import {id} is kept, and the service goes on with it when it \
                 runs",
                counts.trim_end()
            ));
        }
    }
    Ok(if rows_rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn source(file: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(opened))
}

/// Puts the file into the database, where any process can go on with it.
async fn upload(
    db: &Db,
    source: Box<dyn Read + Send>,
    settings: &Settings,
) -> anyhow::Result<ImportId> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let uploads = Uploads::new(&settings.imports);
    let stored = put_away(db, source, &clock, &uploads).await;
    // Of a file that cannot be read to its end nothing stays.
    uploads.remove_ended(db).await.ok();
    stored
}

async fn put_away(
    db: &Db,
    source: Box<dyn Read + Send>,
    clock: &Arc<dyn Clock>,
    uploads: &Uploads,
) -> anyhow::Result<ImportId> {
    let mut upload = uploads.begin(db.clone(), Arc::clone(clock), Actor::System).await?;
    let (mut shown, mut done) = (Shown::new(), 0_usize);
    let (mut pieces, mut ending) = (pieces(source), std::pin::pin!(asked_to_end()));
    loop {
        // A piece that is read and not taken is of a file that is given up.
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = &mut ending => bail!("stopped before the file was stored: nothing is imported"),
        };
        let Some(piece) = piece else { break };
        let piece = piece.context("the file cannot be read")?;
        upload.add(&piece).await?;
        done += piece.len();
        shown.show(|| format!("{} MiB put away", done >> 20));
    }
    shown.clear();
    let id = upload.finish().await?;
    let now = clock.now();
    match db.write(async move |tx: &mut Tx<'_>| store::enqueue(tx, id, now).await).await? {
        true => Ok(id),
        false => Err(UploadError::GivenUp.into()),
    }
}

/// Works the import off, or waits for the process that does, until it is over or a signal comes.
async fn run(db: &Db, id: ImportId, settings: &Settings) -> anyhow::Result<Import> {
    let importer =
        Importer::new(db.clone(), Arc::new(SystemClock), &settings.imports, &Metrics::new())?;
    let is_stopped = AtomicBool::new(false);
    let working = async {
        while !is_stopped.load(Ordering::Relaxed) {
            match importer.claim(Some(id)).await? {
                Some(lease) => {
                    let ended = importer.work(lease, || is_stopped.load(Ordering::Relaxed)).await?;
                    if ended == Ended::Over {
                        break;
                    }
                }
                None if is_over(&find(db, id).await?) => break,
                None => tokio::time::sleep(LOOK).await,
            }
        }
        find(db, id).await
    };
    let mut working = std::pin::pin!(working);
    let mut ending = std::pin::pin!(asked_to_end());
    let mut shown = Shown::new();
    let mut looks = tokio::time::interval(LOOK);
    let ended = loop {
        tokio::select! {
            ended = &mut working => break ended,
            () = &mut ending, if !is_stopped.load(Ordering::Relaxed) => {
                is_stopped.store(true, Ordering::Relaxed);
            }
            _ = looks.tick() => {
                let import = find(db, id).await?;
                shown.show(|| line(&import));
            }
        }
    };
    shown.clear();
    ended
}

fn line(import: &Import) -> String {
    let Import { rows_read, rows_rejected, .. } = import;
    let share = Progress::of(import).share();
    format!("{} {rows_read} rows, {rows_rejected} rejected", bar(share))
}

fn is_over(import: &Import) -> bool {
    matches!(import.status, ImportStatus::Done | ImportStatus::Failed)
}

async fn find(db: &Db, id: ImportId) -> anyhow::Result<Import> {
    let found = db.read(async move |tx: &mut Tx<'_>| store::find(tx, id).await).await?;
    found.context("the import was removed meanwhile")
}

/// Writes all rejections to the file that was named, or tells the first on standard error.
async fn tell_rejections(db: &Db, import: &Import, output: Option<Output>) -> anyhow::Result<()> {
    let Some(mut output) = output else { return tell_some(db, import).await };
    let mut text = String::new();
    CsvEncoder::new(&mut text).row(REJECTIONS_HEADER.iter().copied());
    output.write(&text)?;
    let mut behind = Some(0);
    while let Some(line) = behind {
        let (text, next) = crate::imports::rejections_page(db, import.id, line).await?;
        output.write(&text)?;
        behind = next;
    }
    output.finish()
}

async fn tell_some(db: &Db, import: &Import) -> anyhow::Result<()> {
    let id = import.id;
    let some = db.read(async move |tx: &mut Tx<'_>| store::rejections(tx, id, 0, TOLD).await);
    let some = some.await?;
    let mut stderr = io::stderr().lock();
    for (line, code, detail) in &some {
        writeln!(stderr, "line {line}: {detail} ({code})").ok();
    }
    let told = u64::try_from(some.len()).unwrap_or(u64::MAX);
    if import.rows_rejected > told {
        let more = import.rows_rejected - told;
        writeln!(stderr, "{more} more rows are rejected: --rejections FILE writes all").ok();
    }
    Ok(())
}
