//! How long is measured, and how often.

use std::time::Duration;

/// How long is measured, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Turns of each side.
    pub(crate) rounds: u32,
    /// How long each turn runs before it counts, in seconds.
    pub(crate) warm_up: u32,
    /// How long each turn runs while it counts, in seconds.
    pub(crate) seconds: u32,
}

impl Effort {
    /// What results are made with.
    pub(crate) const FULL: Self = Self { rounds: 5, warm_up: 2, seconds: 6 };
    /// To see that it works; what it finds means little.
    pub(crate) const SHORT: Self = Self { rounds: 1, warm_up: 1, seconds: 2 };

    /// Returns how long each turn runs before it counts.
    pub(crate) fn before(self) -> Duration {
        Duration::from_secs(self.warm_up.into())
    }

    /// Returns how long each turn runs while it counts.
    pub(crate) fn measured(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Says it for the report.
    pub(crate) fn to_text(self) -> String {
        let Self { rounds, warm_up, seconds } = self;
        format!("{seconds} s after {warm_up} s of warm-up, {rounds} rounds")
    }
}
