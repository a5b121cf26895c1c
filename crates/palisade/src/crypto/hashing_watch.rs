//! What is counted while passwords are hashed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::telemetry::metrics::{Counters, Gauge, Histogram, MetricError, Metrics};

/// From what a hash takes on a fast machine to when nobody waits any more.
const BOUNDS: [Duration; 10] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
    Duration::from_millis(1_500),
    Duration::from_secs(5),
];

crate::label! {
    /// Why a password was not hashed.
    pub(super) enum Shed in "reason" {
        /// As many wait as may.
        Full = "full",
        /// It waited too long.
        Late = "late",
    }
}

/// The metrics of the workers.
#[derive(Debug)]
pub(super) struct Watch {
    waiting: Gauge,
    waits: Histogram,
    durations: Histogram,
    shed: Counters<Shed>,
}

/// One that waits, until it is dropped.
pub(super) struct Waiting {
    watch: Arc<Watch>,
    since: Instant,
}

impl Watch {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let histogram = |name, help| metrics.histogram(name, help, &BOUNDS, &[]);
        Ok(Self {
            waiting: metrics.gauge(
                "palisade_passwords_waiting",
                "Passwords that wait for a worker.",
                &[],
            )?,
            waits: histogram(
                "palisade_passwords_wait_duration_seconds",
                "How long a password waited for a worker.",
            )?,
            durations: histogram(
                "palisade_passwords_hash_duration_seconds",
                "What one password took a worker.",
            )?,
            shed: metrics.counters(
                "palisade_passwords_shed_total",
                "Passwords that were turned away, answered 503.",
                &[],
            )?,
        })
    }

    /// Notes that one begins to wait.
    pub(super) fn waits(self: &Arc<Self>) -> Waiting {
        self.waiting.raise();
        Waiting { watch: Arc::clone(self), since: Instant::now() }
    }

    /// Counts one that is turned away.
    pub(super) fn sheds(&self, why: Shed) {
        self.shed.add(why, 1);
    }
}

impl Waiting {
    /// Notes that it waits no more, because a worker has it.
    pub(super) fn ends(self) {
        self.watch.waits.observe(self.since.elapsed());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.watch.waiting.lower();
    }
}

/// Does `work` and notes how long it took.
pub(super) fn timed<T>(watch: Option<&Watch>, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    if let Some(watch) = watch {
        watch.durations.observe(begun.elapsed());
    }
    done
}
