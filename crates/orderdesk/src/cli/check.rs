//! `orderdesk check`: numbered findings on what the service is about to run with, and on what
//! answers.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use palisade::outbound::Target;
use palisade::secret::redacted;
use palisade::service::{CheckRequest, Explained, explained};

use super::print;
use crate::check::{RULES, own_checks};
use crate::service::PROGRAM;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The settings file; without it, defaults and `ORDERDESK__SECTION__KEY` variables
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also look at what answers there, such as `https://orders.example.com`
    #[arg(long)]
    url: Option<Target>,
    /// The authority that vouches for the certificate there, in PEM; without it, those that this
    /// system trusts
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// How the findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say why a finding matters and how to mend it, and check nothing; `all` prints every one
    #[arg(long, value_name = "ID", conflicts_with_all = ["config", "url", "format"])]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines: one object, described in docs/operate/check.md
    Json,
}

pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    match explained(RULES, arguments.explain.as_deref()) {
        Explained::NotAsked => {}
        Explained::Text(text) => return print(&text).map(|()| ExitCode::SUCCESS),
        Explained::Unknown(message) => {
            writeln!(io::stderr().lock(), "orderdesk: {message}").ok();
            return Ok(ExitCode::from(2));
        }
    }
    let file = arguments.config.as_deref();
    let (url, authority) = (arguments.url.as_ref(), arguments.ca.as_deref());
    let request = CheckRequest { file, url, authority };
    let report = PROGRAM.check(request, &own_checks());
    print(&redacted(&report.written(arguments.format == Format::Json)))?;
    Ok(if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
