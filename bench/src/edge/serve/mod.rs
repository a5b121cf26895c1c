//! The child process: one variant on a free port of loopback, until standard input closes.

mod bare;
mod guarded;
mod order;
mod rules;
mod tower_http;

use std::any::Any;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::variant::Variant;

pub(super) use self::rules::{ANSWER, BODY};

/// A variant that serves.
struct Started {
    /// The session token that callers must show.
    token: Option<String>,
    /// What the variant needs until its end: the ends of logs, folders.
    #[expect(dead_code, reason = "it is only kept, and dropped at the end")]
    keeps: Box<dyn Any>,
}

/// Serves the variant called `name`; tells its address as one line of JSON on standard output.
///
/// # Errors
/// When there is no such variant or option, or it cannot start.
pub(crate) fn serve(name: &str, options: &[&str]) -> anyhow::Result<()> {
    let variant = Variant::named(name).context("there is no such variant")?;
    let runtime = runtime(options)?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;

    let started = runtime.block_on(start(variant, listener))?;
    crate::say(json!({"address": address, "token": started.token}).to_string());
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;

    // The log comes last, so that it has everything.
    drop(runtime);
    drop(started);
    Ok(())
}

/// As people make it, but for the number of workers where a count must come out the same again.
fn runtime(options: &[&str]) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    match options {
        [] => {}
        ["--workers", count] => drop(builder.worker_threads(count.parse()?)),
        _ => bail!("unknown options: {}", options.join(" ")),
    }
    Ok(builder.enable_all().build()?)
}

async fn start(variant: Variant, listener: TcpListener) -> anyhow::Result<Started> {
    match variant {
        Variant::Bare => Ok(bare::start(listener)),
        Variant::Guarded => guarded::start(listener),
        Variant::TowerHttp => tower_http::start(listener),
        Variant::Session => guarded::start_with_session(listener).await,
        Variant::Order => order::start(listener).await,
    }
}
