//! The tasks that work imports off in the background of a service.

use std::time::Duration;

use palisade::crypto::random_bytes;
use palisade::db::DbError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Ended, Importer, Uploads};
use crate::state::Bell;

/// How often is looked for work that no bell told of, give or take half.
const LOOK: Duration = Duration::from_secs(2);
/// How often is measured how long imports wait, give or take half.
const MEASURE: Duration = Duration::from_secs(5);

/// The tasks that work imports off, and remove what is left of uploads, while a service runs.
#[derive(Debug)]
pub struct Worker {
    stop: watch::Sender<bool>,
    working: JoinHandle<()>,
    tidying: JoinHandle<()>,
}

impl Worker {
    /// Starts them; work is looked for when `bell` is rung, and from time to time.
    pub fn start(importer: Importer, uploads: Uploads, bell: Bell) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tidying = tokio::spawn(tidy(importer.clone(), uploads, stopped.clone()));
        let working = tokio::spawn(work(importer, bell, stopped));
        Self { stop, working, tidying }
    }

    /// Has them end behind the transaction under way, and waits for that.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        let (working, tidying) = tokio::join!(self.working, self.tidying);
        if working.and(tidying).is_err() {
            tracing::error!("a task that works imports off has panicked");
        }
    }
}

async fn work(importer: Importer, bell: Bell, stopped: watch::Receiver<bool>) {
    let is_stopped = || *stopped.borrow();
    while !is_stopped() {
        match work_once(&importer, is_stopped).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "work on an import failed and is tried again"),
        }
        let mut ending = stopped.clone();
        tokio::select! {
            () = bell.heard() => {}
            () = tokio::time::sleep(about(LOOK)) => {}
            _ = ending.wait_for(|is_stopped| *is_stopped) => {}
        }
    }
}

/// Removes what is left of uploads, and measures how long imports wait. At the end of the service it
/// removes what the last uploads have left.
async fn tidy(importer: Importer, uploads: Uploads, mut stopped: watch::Receiver<bool>) {
    loop {
        let is_last = *stopped.borrow();
        if let Err(error) = importer.tidy(&uploads).await {
            tracing::warn!(%error, "what is left of uploads could not be removed yet");
        }
        if is_last {
            return;
        }
        tokio::select! {
            () = uploads.one_ended() => {}
            () = tokio::time::sleep(about(MEASURE)) => {}
            _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
        }
    }
}

/// Returns `pause`, give or take half.
fn about(pause: Duration) -> Duration {
    let [random] = random_bytes::<1>();
    pause / 2 + pause * u32::from(random) / 255
}

/// Works one import off; false if there is none.
async fn work_once(importer: &Importer, is_stopped: impl Fn() -> bool) -> Result<bool, DbError> {
    let Some(lease) = importer.claim(None).await? else { return Ok(false) };
    let import = &lease.import;
    let (id, line) = (import.id, import.position.line);
    match lease.is_taken_over {
        true => tracing::warn!(import = %id, line, "an import is taken over and worked off"),
        false => tracing::info!(import = %id, line, "an import is worked off"),
    }
    match importer.work(lease.clone(), is_stopped).await {
        Ok(Ended::Over | Ended::Stopped) => Ok(true),
        Ok(Ended::Lost) => {
            tracing::warn!(import = %id, "another process goes on with an import");
            Ok(true)
        }
        Err(error) => {
            // What passes by itself is no fault of the file.
            let counts = !is_passing(&error);
            importer.release(&lease, counts).await.ok();
            Err(error)
        }
    }
}

fn is_passing(error: &DbError) -> bool {
    matches!(
        error,
        DbError::Overloaded
            | DbError::Busy
            | DbError::Full
            | DbError::TooLong
            | DbError::Closed
            | DbError::Contended
            | DbError::Unreachable(_)
            | DbError::Unknown
    )
}
