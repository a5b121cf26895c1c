//! How a request's body arrives, and what is left of it when its answer is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;

/// How a body may arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Longest time from the first read until the last byte.
    pub(super) total: Duration,
    /// Least bytes a second, once [`GRACE`] is over.
    pub(super) least_bytes_per_second: u64,
}

/// How long a body may take to get going (Apache's `mod_reqtimeout` gives as much in its example).
const GRACE: Duration = Duration::from_secs(5);

/// What is known of a body: written by the body, read by the deadline and by the connection.
#[derive(Debug)]
pub(super) struct Arrival {
    began: Instant,
    pace: OnceLock<Pace>,
    /// Milliseconds after `began`, plus one; zero while nobody reads.
    read_since: AtomicU64,
    received: AtomicU64,
    is_awaited: AtomicBool,
    is_late: AtomicBool,
    /// What nobody read, once nobody will.
    rest: Mutex<Option<Incoming>>,
}

impl Arrival {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            pace: OnceLock::new(),
            read_since: AtomicU64::new(0),
            received: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            rest: Mutex::new(None),
        }
    }

    /// Holds the body to `pace`.
    pub(super) fn hold_to(&self, pace: Pace) {
        // There is one guard, which says it once.
        self.pace.set(pace).ok();
    }

    /// Notes that somebody waits for the next bytes.
    pub(super) fn wait(&self) {
        if self.read_since.load(Relaxed) == 0 {
            let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.read_since.store(since.saturating_add(1), Relaxed);
        }
        self.is_awaited.store(true, Relaxed);
    }

    /// Notes that `bytes` came.
    pub(super) fn receive(&self, bytes: u64) {
        self.is_awaited.store(false, Relaxed);
        self.received.fetch_add(bytes, Relaxed);
    }

    /// Returns the bytes that came.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Tells whether the body took too long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Relaxed)
    }

    /// Notes that the body took too long.
    pub(super) fn call_late(&self) {
        self.is_late.store(true, Relaxed);
    }

    /// Leaves what nobody read to the connection.
    pub(super) fn leave(&self, rest: Incoming) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    /// Takes what nobody read.
    pub(super) fn take_rest(&self) -> Option<Incoming> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when the body is late, if somebody waits for it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.is_awaited.load(Relaxed) || self.is_late() {
            return None;
        }
        let pace = self.pace.get()?;
        let since = Duration::from_millis(self.read_since.load(Relaxed).saturating_sub(1));
        let micros = self.received().saturating_mul(1_000_000);
        let earned = Duration::from_micros(micros / pace.least_bytes_per_second.max(1));
        let allowed = GRACE.saturating_add(earned).min(pace.total);
        self.began.checked_add(since)?.checked_add(allowed)
    }
}
