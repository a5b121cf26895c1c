//! Where the service is in its life, told to everything that must know.

use std::sync::Arc;

use tokio::sync::watch;

/// A stage of the service's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listening is bound, but the service is not ready.
    Starting,
    /// Requests are served.
    Ready,
    /// The end was asked for: what is in flight is finished, new work is refused.
    Draining,
}

/// The present [`Phase`]; clones share it.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

impl Lifecycle {
    /// Starts in [`Phase::Starting`].
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }

    /// Returns the present phase.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Moves on to `phase`.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Waits until the service drains.
    pub async fn draining(&self) {
        let mut phases = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        phases.wait_for(|phase| *phase == Phase::Draining).await.ok();
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
