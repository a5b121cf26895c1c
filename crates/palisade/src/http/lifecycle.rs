//! Where the service is in its life, told to everything that must know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

/// A stage of the service's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listening is bound, but the service is not ready.
    Starting,
    /// Requests are served.
    Ready,
    /// The end was asked for, and the balancer is given time to see it: requests are still
    /// served, and `/ready` says no.
    Leaving,
    /// What is in flight is finished, new work is refused.
    Draining,
}

const PHASES: [Phase; 4] = [Phase::Starting, Phase::Ready, Phase::Leaving, Phase::Draining];

/// The present [`Phase`]; clones share it.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Asked by every request, so it is one load.
    phase: AtomicU8,
    changes: watch::Sender<()>,
}

impl Lifecycle {
    /// Starts in [`Phase::Starting`].
    pub fn new() -> Self {
        Self(Arc::new(Inner { phase: AtomicU8::new(0), changes: watch::Sender::new(()) }))
    }

    /// Returns the present phase.
    pub fn phase(&self) -> Phase {
        let number = usize::from(self.0.phase.load(Ordering::Acquire));
        PHASES.get(number).copied().unwrap_or(Phase::Draining)
    }

    /// Moves on to `phase`.
    pub fn enter(&self, phase: Phase) {
        let number = PHASES.iter().position(|known| *known == phase).unwrap_or_default();
        self.0.phase.store(u8::try_from(number).unwrap_or_default(), Ordering::Release);
        self.0.changes.send_replace(());
    }

    /// Waits until the service drains.
    pub async fn draining(&self) {
        let mut changes = self.0.changes.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        changes.wait_for(|()| self.phase() == Phase::Draining).await.ok();
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
