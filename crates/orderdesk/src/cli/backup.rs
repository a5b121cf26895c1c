//! `orderdesk backup`, `verify-backup` and `restore`.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use palisade::auth::sessions;
use palisade::clock::{Clock, SystemClock};
use palisade::db::backup::{self, BackupError, Existing, Progress, Restore, Verified};
use palisade::db::{DbError, Tx};

use super::commands::{block_on, settings};
use super::progress::{Shown, asked_to_end};
use super::{ConfigFile, print};
use crate::secrets::ServiceSecrets;
use crate::service::SCHEMAS;

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to write the backup; its folder has to exist
    file: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The backup
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The backup
    file: PathBuf,
    /// Replace a database that is there; it is kept beside it
    #[arg(long)]
    force: bool,
}

pub(super) fn take(arguments: &BackupArguments) -> anyhow::Result<()> {
    let BackupArguments { config, file, force } = arguments;
    refuse_streams(file)?;
    let (_, environment) = settings(config.config.as_deref())?;
    let url = ServiceSecrets::database_url(&environment)?;
    let (target, existing) = (file.clone(), existing(*force));
    let taken =
        watched(move |watch| backup::take(&url, (target.as_path(), existing), &SCHEMAS, watch));
    let verified = taken.with_context(|| in_place(file))?;
    print(&format!("The backup is whole: {}\n", file.display()))?;
    print(&contents(&verified))?;
    remark(&verified);
    Ok(())
}

pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let VerifyArguments { file } = arguments;
    refuse_streams(file)?;
    let backup = file.clone();
    let verified = watched(move |watch| backup::verify(&backup, &SCHEMAS, watch));
    let verified = verified.with_context(|| in_place(file))?;
    print(&contents(&verified))?;
    remark(&verified);
    if !verified.is_good() {
        return Ok(ExitCode::FAILURE);
    }
    print(match verified.is_older() {
        true => "It can be restored; the next start brings it to this version.\n",
        false => "It can be restored.\n",
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let RestoreArguments { config, file, force } = arguments;
    refuse_streams(file)?;
    let (_, environment) = settings(config.config.as_deref())?;
    let url = ServiceSecrets::database_url(&environment)?;
    let (backup, existing, now) = (file.clone(), existing(*force), SystemClock.now());
    let restored = watched(move |watch| {
        let plan = Restore { file: &backup, url: &url, existing, schemas: &SCHEMAS, now };
        backup::restore(plan, end_sessions, watch)
    });
    let restored = match restored {
        Err(BackupError::Exists) => bail!(
            "there is a database already: add --force to replace it and keep it under another name"
        ),
        restored => restored.with_context(|| format!("cannot restore {}", file.display()))?,
    };
    print(&format!("Restored from {}\n", file.display()))?;
    print(&contents(&restored.verified))?;
    if let Some(kept) = restored.kept {
        print(&format!("The database from before is kept: {}\n", kept.display()))?;
    }
    if restored.verified.is_older() {
        print("An older version made it: the next start, or `orderdesk migrate`, changes it.\n")?;
    }
    print("Every session in it was ended, so everybody has to sign in again.\n")?;
    remark(&restored.verified);
    Ok(())
}

/// Ends every session: some of those in a backup have been ended since, for a stolen token maybe.
async fn end_sessions(tx: &mut Tx<'_>) -> Result<(), DbError> {
    sessions::end_everybody(tx).await.map(|_| ())
}

fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}

fn in_place(file: &Path) -> String {
    file.display().to_string()
}

/// Refuses `-`: what goes through a pipe cannot be judged before it is kept or used.
fn refuse_streams(file: &Path) -> anyhow::Result<()> {
    if file == Path::new("-") {
        bail!("a backup is a file that is judged as a whole: name one, and pipe that file");
    }
    Ok(())
}

fn contents(verified: &Verified) -> String {
    let width = verified.tables.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = verified.tables.iter().map(|(name, rows)| format!("  {name:<width$}  {rows}\n"));
    format!("  {} bytes; rows in each table:\n{}", verified.bytes, rows.collect::<String>())
}

/// Says on standard error what is wrong with a backup, and what is strange.
fn remark(verified: &Verified) {
    let faults = verified.faults.iter().map(|fault| format!("it cannot be restored: {fault}"));
    let notes = verified.notes.iter().map(|note| format!("note: {note}"));
    for line in faults.chain(notes) {
        writeln!(io::stderr().lock(), "orderdesk: {line}").ok();
    }
}

/// Runs `work` on a thread of its own, shows how far it is, and ends it at SIGINT or SIGTERM.
fn watched<T: Send + 'static>(
    work: impl FnOnce(&mut backup::Watch<'_>) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let mut shown = Shown::new();
    let seen = Arc::clone(&is_stopped);
    let outcome = block_on(async move {
        let mut working = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut |progress| {
                shown.show(|| line(progress));
                match seen.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            shown.clear();
            outcome
        });
        // Whichever is cut short here, the work itself goes on until it has cleaned up.
        tokio::select! {
            done = &mut working => return Ok(done?),
            () = asked_to_end() => is_stopped.store(true, Ordering::Relaxed),
        }
        Ok(working.await?)
    });
    outcome.unwrap_or_else(|error| {
        let source = io::Error::other(error);
        Err(BackupError::System { what: "the work cannot be run", source })
    })
}

fn line(progress: Progress) -> String {
    match progress {
        Progress::Copying { done, total } => {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            format!("copied {percent} % of {} MiB", total >> 20)
        }
        Progress::Judging => "reading it again".to_owned(),
    }
}
