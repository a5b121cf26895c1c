//! How a request's body arrives, and what is left of it when its answer is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;

/// How a body may arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Longest time that is waited for it in all.
    pub(super) total: Duration,
    /// Least bytes a second, once [`GRACE`] is over.
    pub(super) least_bytes_per_second: u64,
}

/// How long a body may take to get going (Apache's `mod_reqtimeout` gives as much in its example).
const GRACE: Duration = Duration::from_secs(5);

/// What is known of a body: written by the body, read by the deadline and by the connection. Only
/// the time counts in which somebody waits for it, because a client cannot send on while the
/// handler is busy.
#[derive(Debug)]
pub(super) struct Arrival {
    began: Instant,
    pace: OnceLock<Pace>,
    /// Milliseconds after `began`, plus one; zero while nobody waits.
    awaited_since: AtomicU64,
    /// Milliseconds that were waited before.
    waited: AtomicU64,
    received: AtomicU64,
    is_late: AtomicBool,
    /// What nobody read, once nobody will.
    rest: Mutex<Option<Incoming>>,
}

impl Arrival {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            pace: OnceLock::new(),
            awaited_since: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            received: AtomicU64::new(0),
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
        if self.awaited_since.load(Relaxed) == 0 {
            self.awaited_since.store(self.now(), Relaxed);
        }
    }

    /// Returns the milliseconds after `began`, plus one.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Notes that `bytes` came.
    pub(super) fn receive(&self, bytes: u64) {
        let since = self.awaited_since.swap(0, Relaxed);
        if since != 0 {
            self.waited.fetch_add(self.now().saturating_sub(since), Relaxed);
        }
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
        let since = self.awaited_since.load(Relaxed);
        if since == 0 || self.is_late() {
            return None;
        }
        let pace = self.pace.get()?;
        let since = Duration::from_millis(since.saturating_sub(1));
        let waited = Duration::from_millis(self.waited.load(Relaxed));
        let micros = self.received().saturating_mul(1_000_000);
        let earned = Duration::from_micros(micros / pace.least_bytes_per_second.max(1));
        let allowed = GRACE.saturating_add(earned).min(pace.total);
        self.began.checked_add(since)?.checked_add(allowed.saturating_sub(waited))
    }
}
