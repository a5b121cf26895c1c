//! The child process: one way of placing orders, for so many callers and so long.

mod limit;
mod service;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use palisade::db::DatabaseUrl;

use super::callers::Turn;
use crate::orderdesk;

pub(super) use self::limit::BATCH;

/// Places orders as `options` say; tells as its last line what was found.
///
/// # Errors
/// When an option is missing or wrong, or the database fails.
pub(crate) fn take(options: &[&str]) -> anyhow::Result<()> {
    let [way, url, customer, callers, warm_up, measured] = options else {
        bail!("unknown options: {}", options.join(" "));
    };
    let seconds = |text: &str| f64::from_str(text).map(Duration::from_secs_f64);
    let turn = Turn {
        callers: callers.parse()?,
        warm_up: seconds(warm_up)?,
        measured: seconds(measured)?,
    };
    let url = DatabaseUrl::parse(url)?;
    let found = match *way {
        "service" => orderdesk::block_on(service::run(&url, customer, turn))??,
        "limit" => {
            let path = url.path().and_then(|path| path.to_str()).context("no file")?;
            limit::run(path, customer, turn)?
        }
        other => bail!("there is no way called {other}"),
    };
    crate::say(found.to_line());
    Ok(())
}
