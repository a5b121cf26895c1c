//! `orderdesk audit verify` and `export`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use palisade::audit::{self, Known, Page, Signing, Verified};
use palisade::crypto::KeyRing;
use palisade::db::Tx;
use serde_json::{Value, json};

use super::commands::{block_on, open, settings};
use super::output::Output;
use super::progress::{Shown, asked_to_end};
use super::{ConfigFile, print};
use crate::secrets::ServiceSecrets;
use crate::service;

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// What was kept apart: lines of an earlier export, or of the log, that have checkpoints
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The file to write, one JSON object a line; without it, or with `-`, standard output
    file: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "file")]
    force: bool,
}

pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let VerifyArguments { config, checkpoints } = arguments;
    let known = checkpoints.as_deref().map(read_known).transpose()?.unwrap_or_default();
    let (settings, environment) = settings(config.config.as_deref())?;
    let (current, previous) = ServiceSecrets::secret_keys(&environment)?;
    let signing = Signing::new(&KeyRing::new(&current, previous.as_ref())?);
    let verified = block_on(async {
        let db = open(&settings, &environment).await?;
        service::prepare(&db, &settings).await?;
        let mut shown = Shown::new();
        let told = |number| shown.show(|| format!("record {number}"));
        let verified = audit::verify(&db, &signing, &known, told).await?;
        shown.clear();
        db.close().await?;
        Ok(verified)
    })?;
    match verified {
        Ok(verified) => print(&said(verified, known.len())).map(|()| ExitCode::SUCCESS),
        Err(fault) => bail!("the audit log is not as it was written: {fault}"),
    }
}

fn said(verified: Verified, kept: usize) -> String {
    let Verified { records, signed, of_other_keys, signed_up_to } = verified;
    let mut said = format!(
        "The audit log is as it was written: {records} records, {signed} signatures, signed up to \
         record {signed_up_to}.\n"
    );
    if of_other_keys > 0 {
        let more = "older signatures are of keys that are no longer known; newer ones cover them";
        writeln!(said, "{of_other_keys} {more}.").ok();
    }
    if kept > 0 {
        writeln!(said, "It agrees with {kept} records that were kept apart.").ok();
    }
    said
}

/// Reads numbers and hashes from lines of an export or of the log; other lines are passed over.
fn read_known(file: &Path) -> anyhow::Result<Vec<Known>> {
    let named = || file.display().to_string();
    let mut known = Vec::new();
    for line in BufReader::new(File::open(file).with_context(named)?).lines() {
        let line = line.with_context(named)?;
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        let place = |names: [&str; 2]| names.iter().find_map(|name| line.get(*name)).cloned();
        let number = place(["checkpoint", "audit.number"]).and_then(|number| number.as_i64());
        let hash = place(["hash", "audit.hash"]);
        if let (Some(number), Some(Value::String(hash))) = (number, hash) {
            known.push(Known { number, hash });
        }
    }
    if known.is_empty() {
        bail!("{} holds no checkpoint of the audit log", file.display());
    }
    Ok(known)
}

/// Records that are read at a time.
const PAGE: i64 = 1000;

pub(super) fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    let ExportArguments { config, file, force } = arguments;
    let (settings, environment) = settings(config.config.as_deref())?;
    let mut output = match file {
        Some(file) => Output::begin(file, *force)?,
        None => Output::standard(),
    };
    block_on(async {
        let db = open(&settings, &environment).await?;
        service::prepare(&db, &settings).await?;
        let (mut shown, mut after) = (Shown::new(), 0);
        let mut ending = std::pin::pin!(asked_to_end());
        loop {
            let read = db.read(async move |tx: &mut Tx<'_>| audit::page(tx, after, PAGE).await);
            let page = tokio::select! {
                page = read => page?,
                () = &mut ending => bail!("stopped after record {after}; no file was written"),
            };
            let Some(last) = page.entries.last() else { break };
            after = last.number;
            output.write(&lines(&page))?;
            if !output.is_shown() {
                shown.show(|| format!("record {after}"));
            }
        }
        shown.clear();
        output.finish()?;
        Ok(db.close().await?)
    })
}

fn lines(page: &Page) -> String {
    let mut lines = String::new();
    let mut checkpoints = page.checkpoints.iter().peekable();
    for entry in &page.entries {
        let record = json!({
            "number": entry.number,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "origin": entry.origin,
            "outcome": entry.outcome,
            "hash": entry.hash,
        });
        writeln!(lines, "{record}").ok();
        while let Some(signed) = checkpoints.next_if(|it| it.number == entry.number) {
            let checkpoint = json!({
                "checkpoint": signed.number,
                "hash": signed.hash,
                "at": signed.at,
                "signature": signed.signature,
            });
            writeln!(lines, "{checkpoint}").ok();
        }
    }
    lines
}
