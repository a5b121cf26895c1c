//! Reads a password: from the terminal without echo, or one line of standard input. Never from
//! the arguments or the environment, which other processes can read.

use std::io::{IsTerminal, Read, Write};

use anyhow::{Context, bail};
use palisade::secret::Secret;

/// More than any password has bytes.
const MOST_BYTES: u64 = 4096;

pub(super) fn read() -> anyhow::Result<Secret<String>> {
    if std::io::stdin().is_terminal() { ask() } else { read_line() }
}

fn ask() -> anyhow::Result<Secret<String>> {
    let first = Secret::new(rpassword::prompt_password("Password: ")?);
    let second = Secret::new(rpassword::prompt_password("Once more: ")?);
    if !first.matches(second.expose().as_bytes()) {
        bail!("the two passwords differ");
    }
    std::io::stderr().flush().ok();
    Ok(first)
}

fn read_line() -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    let input = std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
    let text = Secret::new(text);
    input.context("the password on standard input is not UTF-8 text")?;
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        bail!("there is no password on standard input");
    }
    if line.contains('\n') {
        bail!("standard input has more than one line: give the password alone");
    }
    Ok(Secret::new(line.to_owned()))
}
