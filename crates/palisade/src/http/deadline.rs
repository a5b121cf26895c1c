//! Deadlines of requests that cost next to nothing when they are kept.
//!
//! A timer is only armed for a request that has to wait, and each connection keeps the timers of
//! its past requests: one that is set to a later time costs a store instead of a place in the
//! runtime's queue.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

use super::arrival::Arrival;
use crate::telemetry::{Panic, RequestScope, contain};

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

/// What became of a request's work.
pub(super) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was not done in time.
    Late,
    /// It panicked.
    Panicked(Panic),
}

/// Work that ends, whatever it does. While it goes on, and when it is dropped, what it logs belongs
/// to its request.
pub(super) struct Timed<'a, T> {
    scope: RequestScope,
    /// Here until it is dropped.
    work: Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
    until: Instant,
    arrival: Option<Arc<Arrival>>,
    timers: &'a Timers,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a, T> Timed<'a, T> {
    /// Runs `work` of the request `scope` until `until`; a body that is late by `arrival` fails for
    /// whoever reads it.
    pub(super) fn new(
        (scope, work): (RequestScope, Pin<Box<dyn Future<Output = T> + Send + 'a>>),
        until: Instant,
        arrival: Option<Arc<Arrival>>,
        timers: &'a Timers,
    ) -> Self {
        Self { scope, work: Some(work), until, arrival, timers, timer: None }
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
            let scope = self.scope;
            let Some(work) = self.work.as_mut().map(Pin::as_mut) else {
                return Poll::Ready(Outcome::Late);
            };
            match scope.run(|| contain(|| work.poll(context))) {
                Ok(Poll::Ready(done)) => return Poll::Ready(Outcome::Done(done)),
                Ok(Poll::Pending) => {}
                Err(panic) => return Poll::Ready(Outcome::Panicked(panic)),
            }
            if self.poll_timer(context).is_pending() {
                return Poll::Pending;
            }
            match &self.arrival {
                Some(body) if Instant::now() < self.until => body.call_late(),
                _ => return Poll::Ready(Outcome::Late),
            }
        }
    }
}

impl<T> Drop for Timed<'_, T> {
    fn drop(&mut self) {
        let work = self.work.take();
        self.scope.run(|| drop(work));
        if let Some(timer) = self.timer.take() {
            self.timers.give_back(timer);
        }
    }
}
