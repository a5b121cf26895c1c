//! `orderdesk user disable`, `enable` and `reset`: what is done to an account beside a service that may run.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{anyhow, bail};
use palisade::clock::{Clock, SystemClock};
use palisade::input::FromText;

use super::commands::{block_on, open, settings};
use super::print;
use crate::accounts::{Username, credentials};
use crate::audit::By;
use crate::service;

/// What is done to an account.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// It cannot be used any more.
    Disable,
    /// It can be used again.
    Enable,
    /// Somebody chooses a new password for it.
    Reset,
}

pub(super) fn change(file: Option<&Path>, username: &str, change: Change) -> anyhow::Result<()> {
    let (settings, environment) = settings(file)?;
    let username = Username::from_text(username).map_err(|why| anyhow!("--username: {why}"))?;
    let name = username.clone();
    let (told, hint) = block_on(async {
        let db = open(&settings, &environment).await?;
        service::prepare(&db, &settings).await?;
        let Some(id) = credentials::find_by_name(&db, username).await? else {
            bail!("there is no account called {name}");
        };
        let now = SystemClock.now();
        let done = match change {
            Change::Disable => {
                credentials::disable(&db, id, now, By::command()).await?;
                (
                    format!(
                        "The account {name} is disabled; its sessions and API keys have ended."
                    ),
                    None,
                )
            }
            Change::Enable => {
                credentials::enable(&db, id, now, By::command()).await?;
                (format!("The account {name} is enabled."), None)
            }
            Change::Reset => {
                let made = credentials::make_reset(&db, id, now, By::command()).await?;
                let made = made.ok_or_else(|| anyhow!("there is no account called {name}"))?;
                let hint = format!(
                    "Give it to whoever is {name}: POST /password-resets with {{\"token\",\"new\"}} sets \
                     a new password, once, until {}.",
                    made.expires_at
                );
                (made.token.expose().to_owned(), Some(hint))
            }
        };
        db.close().await?;
        Ok(done)
    })?;
    print(&format!("{told}\n"))?;
    if let Some(hint) = hint {
        // Apart, so that a program reads the token alone.
        writeln!(io::stderr().lock(), "{hint}").ok();
    }
    Ok(())
}
