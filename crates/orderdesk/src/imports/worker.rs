//! The task that works imports off in the background of a service.

use std::time::Duration;

use palisade::crypto::random_bytes;
use palisade::db::DbError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Ended, Importer};
use crate::state::Bell;

/// How often is looked for work that no bell told of, give or take half.
const LOOK: Duration = Duration::from_secs(2);

/// The task that works imports off while a service runs.
#[derive(Debug)]
pub struct Worker {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    /// Starts it; it looks for work when `bell` is rung, and from time to time.
    pub fn start(importer: Importer, bell: Bell) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(importer, bell, stopped));
        Self { stop, task }
    }

    /// Has it end behind the transaction under way, and waits for that.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        if self.task.await.is_err() {
            tracing::error!("the task that works imports off has panicked");
        }
    }
}

async fn run(importer: Importer, bell: Bell, stopped: watch::Receiver<bool>) {
    let is_stopped = || *stopped.borrow();
    while !is_stopped() {
        match work_once(&importer, is_stopped).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "work on an import failed and is tried again"),
        }
        let mut ending = stopped.clone();
        let [random] = random_bytes::<1>();
        let pause = LOOK / 2 + LOOK * u32::from(random) / 255;
        tokio::select! {
            () = bell.heard() => {}
            () = tokio::time::sleep(pause) => {}
            _ = ending.wait_for(|is_stopped| *is_stopped) => {}
        }
    }
}

/// Works one import off; false if there is none.
async fn work_once(importer: &Importer, is_stopped: impl Fn() -> bool) -> Result<bool, DbError> {
    let Some(lease) = importer.claim(None).await? else { return Ok(false) };
    let import = &lease.import;
    let (id, line) = (import.id, import.position.line);
    tracing::info!(import = %id, line, "an import is worked off");
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
