//! `orderdesk export`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use palisade::input::CsvEncoder;

use super::ConfigFile;
use super::commands::{block_on, open, settings};
use super::output::Output;
use super::progress::{Shown, asked_to_end};
use crate::orders::{Scope, export};
use crate::service;

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The CSV file to write; without it, or with `-`, standard output
    file: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "file")]
    force: bool,
}

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
        let mut text = String::new();
        CsvEncoder::new(&mut text).row(export::HEADER.iter().copied());
        output.write(&text)?;
        let mut shown = Shown::new();
        let (mut behind, mut rows) = (Some(export::begin()), 0_usize);
        let mut ending = std::pin::pin!(asked_to_end());
        while let Some(after) = behind {
            let page = tokio::select! {
                page = export::page(&db, Scope::everybody(), after) => page?,
                () = &mut ending => bail!("stopped after {rows} rows; no file was written"),
            };
            output.write(&page.0)?;
            behind = page.1;
            rows += page.0.lines().count();
            if !output.is_shown() {
                shown.show(|| format!("{rows} rows"));
            }
        }
        shown.clear();
        output.finish()?;
        Ok(db.close().await?)
    })
}
