//! Measurements of Palisade: `cargo run --release -p palisade-bench -- NAME`.
//!
//! Each scenario brings everything it needs, prints a table for people and, as its last line, one
//! JSON object for programs. It measures and never judges: a slow result is no failure.

mod edge;
mod effort;
mod figures;
mod footprint;
mod growth;
mod import;
mod machine;
mod orderdesk;
mod orders;
mod redact;
mod report;
mod sign_in;
mod wrk;

use std::process::ExitCode;

use crate::effort::Effort;
use crate::report::Report;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["--help" | "-h"] => {
            say(USAGE.to_owned());
            return ExitCode::SUCCESS;
        }
        ["edge"] => edge::measure().map(|report| say(report.to_text())),
        [edge::SERVER, variant, options @ ..] => edge::serve(variant, options),
        ["footprint"] => footprint::measure().map(|report| say(report.to_text())),
        ["import"] => import::measure().map(|report| say(report.to_text())),
        ["growth"] => growth::measure().map(|report| say(report.to_text())),
        ["growth", "--short"] => growth::measure_briefly().map(|report| say(report.to_text())),
        ["orders"] => orders::measure(Effort::FULL).map(|report| say(report.to_text())),
        ["orders", "--short"] => orders::measure(Effort::SHORT).map(|report| say(report.to_text())),
        [orders::TURN, options @ ..] => orders::take(options),
        ["sign-in"] => sign_in::measure(Effort::FULL).map(|report| say(report.to_text())),
        ["sign-in", "--short"] => {
            sign_in::measure(Effort::SHORT).map(|report| say(report.to_text()))
        }
        ["redact"] => redact::measure().map(|report| say(report.to_text())),
        ["all"] => all().map(|reports| say(to_text(&reports))),
        ["all", "--markdown"] => {
            all().and_then(|reports| report::write_markdown(&reports)).map(say)
        }
        _ => {
            complain(&format!("palisade-bench: unknown: {}\n\n{USAGE}", args.join(" ")));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("palisade-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs every scenario, one after the other so that none disturbs another.
fn all() -> anyhow::Result<Vec<Report>> {
    Ok(vec![
        edge::measure()?,
        footprint::measure()?,
        growth::measure()?,
        redact::measure()?,
        sign_in::measure(Effort::FULL)?,
        import::measure()?,
        orders::measure(Effort::FULL)?,
    ])
}

fn to_text(reports: &[Report]) -> String {
    reports.iter().map(Report::to_text).collect::<Vec<_>>().join("\n")
}

/// Tells on standard output what was measured.
#[expect(clippy::print_stdout, reason = "the result of this program is what it prints")]
fn say(text: String) {
    println!("{}", text.trim_end());
}

/// Tells on standard error how far the measurement is, or why it stopped.
#[expect(clippy::print_stderr, reason = "a program for the terminal, without a log")]
fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}

const USAGE: &str = "\
Usage: cargo run --release -p palisade-bench -- NAME | all [--markdown]

Measures; never judges. Prints a table and, as the last line, one JSON object.

  edge        the guard against bare axum and against the usual tower-http stack; asks for the
              Debian packages wrk and, to count instructions, valgrind
  footprint   start to /ready, resident memory when idle and per idle TLS connection, program size
  growth      requests to a service with 1,000, 100,000 and 1,000,000 orders, and how SQLite goes
              about them; takes a gigabyte or two below TMPDIR; with --short up to 100,000
  import      a million rows of orders from a CSV file and to one; the decoder beside the csv crate
  orders      an order as one durable transaction, against what people write and what the disk gives, on
              both databases and over HTTP; asks for PostgreSQL; with --short only to see that it runs
  sign-in     password hashing at saturation, and other requests while 200 connections sign in
  redact      taking secrets out of a line of the access log, in the log's writer
  all         every scenario in turn; with --markdown writes bench/RESULTS.md

Exit code: 0 measured, 1 could not measure, 2 wrong usage.
";
