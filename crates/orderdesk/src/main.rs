//! The `orderdesk` program: see `orderdesk --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderdesk::cli::run()
}
