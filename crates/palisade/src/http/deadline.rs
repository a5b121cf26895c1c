//! Deadlines of requests that cost next to nothing when they are kept.
//!
//! A timer is only armed for a request that has to wait, and each connection keeps the timers of
//! its past requests: one that is set to a later time costs a store instead of a place in the
//! runtime's queue.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Timers kept for later requests; more are only needed by many at a time.
const MOST_SPARE: usize = 4;

/// Timers that are not in use.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

impl Timers {
    fn take(&self, deadline: Instant) -> Pin<Box<Sleep>> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline.into())))
    }

    fn give_back(&self, timer: Pin<Box<Sleep>>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(timer);
        }
    }
}

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

/// How a body arrives: written by the body, read by the deadline.
#[derive(Debug)]
pub(super) struct Arrival {
    began: Instant,
    pace: Pace,
    /// Milliseconds after `began`, plus one; zero while nobody reads.
    read_since: AtomicU64,
    received: AtomicU64,
    is_awaited: AtomicBool,
    is_late: AtomicBool,
}

impl Arrival {
    pub(super) fn new(began: Instant, pace: Pace) -> Self {
        Self {
            began,
            pace,
            read_since: AtomicU64::new(0),
            received: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
        }
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
    pub(super) fn receive(&self, bytes: usize) {
        self.is_awaited.store(false, Relaxed);
        self.received.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Relaxed);
    }

    /// Tells whether the body took too long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Relaxed)
    }

    /// Returns when the body is late, if somebody waits for it.
    fn deadline(&self) -> Option<Instant> {
        if !self.is_awaited.load(Relaxed) || self.is_late() {
            return None;
        }
        let since = Duration::from_millis(self.read_since.load(Relaxed).saturating_sub(1));
        let micros = self.received.load(Relaxed).saturating_mul(1_000_000);
        let earned = Duration::from_micros(micros / self.pace.least_bytes_per_second.max(1));
        let allowed = GRACE.saturating_add(earned).min(self.pace.total);
        self.began.checked_add(since)?.checked_add(allowed)
    }
}

/// What became of a request's work.
pub(super) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was not done in time.
    Late,
    /// It panicked.
    Panicked(Box<dyn Any + Send>),
}

/// Work that ends, whatever it does.
pub(super) struct Timed<'a, T> {
    work: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    until: Instant,
    arrival: Option<Arc<Arrival>>,
    timers: &'a Timers,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a, T> Timed<'a, T> {
    /// Runs `work` until `until`; a body that is late by `arrival` fails for whoever reads it.
    pub(super) fn new(
        work: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
        until: Instant,
        arrival: Option<Arc<Arrival>>,
        timers: &'a Timers,
    ) -> Self {
        Self { work, until, arrival, timers, timer: None }
    }

    /// Sets the timer to what is due next; tells whether that is now.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let body = self.arrival.as_ref().and_then(|arrival| arrival.deadline());
        let next = body.map_or(self.until, |body| body.min(self.until));
        let timers = self.timers;
        let timer = self.timer.get_or_insert_with(|| timers.take(next));
        if timer.deadline() != next.into() {
            timer.as_mut().reset(next.into());
        }
        timer.as_mut().poll(context)
    }
}

impl<T> Future for Timed<'_, T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome<T>> {
        loop {
            // After a panic the work is not polled again: the guard answers and drops it.
            let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
            match polled {
                Ok(Poll::Ready(done)) => return Poll::Ready(Outcome::Done(done)),
                Ok(Poll::Pending) => {}
                Err(panic) => return Poll::Ready(Outcome::Panicked(panic)),
            }
            if self.poll_timer(context).is_pending() {
                return Poll::Pending;
            }
            match &self.arrival {
                Some(body) if Instant::now() < self.until => body.is_late.store(true, Relaxed),
                _ => return Poll::Ready(Outcome::Late),
            }
        }
    }
}

impl<T> Drop for Timed<'_, T> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.timers.give_back(timer);
        }
    }
}
