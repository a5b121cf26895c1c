//! What is counted with: handles whose clones are the same series.
//!
//! Numbers are read one by one while others are written, so a scrape may see a request in one
//! series and not yet in another. Nothing is lost, and within a histogram its buckets and its
//! count agree.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::Label;

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns the number.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Adds one and returns the sum.
    pub fn raise(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Takes one away.
    pub fn lower(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, number: i64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// Returns the number.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
#[derive(Clone)]
pub struct Histogram(Arc<Durations>);

struct Durations {
    /// Ascending; the last one takes whatever is longer than all others.
    buckets: Box<[Bucket]>,
    nanoseconds: AtomicU64,
}

struct Bucket {
    upper_nanoseconds: u64,
    count: AtomicU64,
}

impl Histogram {
    /// Makes one with the upper bounds of its buckets, which are inclusive.
    pub(super) fn new(bounds: &[Duration]) -> Self {
        let bounds = bounds.iter().copied().map(nanoseconds).chain([u64::MAX]);
        let bucket = |upper_nanoseconds| Bucket { upper_nanoseconds, count: AtomicU64::new(0) };
        let buckets = bounds.map(bucket).collect();
        Self(Arc::new(Durations { buckets, nanoseconds: AtomicU64::new(0) }))
    }

    /// Counts `duration`.
    pub fn observe(&self, duration: Duration) {
        let taken = nanoseconds(duration);
        let fitting = self.0.buckets.iter().find(|bucket| taken <= bucket.upper_nanoseconds);
        if let Some(bucket) = fitting {
            bucket.count.fetch_add(1, Ordering::Relaxed);
            self.0.nanoseconds.fetch_add(taken, Ordering::Relaxed);
        }
    }

    /// Returns how many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts().map(|(_, count)| count).fold(0, u64::saturating_add)
    }

    /// Returns the sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed))
    }

    /// Returns the upper bound of each bucket, `None` for the last, and what is in it alone.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        self.0.buckets.iter().map(|bucket| {
            let is_last = bucket.upper_nanoseconds == u64::MAX;
            let bound = (!is_last).then(|| Duration::from_nanos(bucket.upper_nanoseconds));
            (bound, bucket.count.load(Ordering::Relaxed))
        })
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Histogram({} in {:?})", self.count(), self.sum())
    }
}

/// Holds for 584 years; what takes longer is counted as that.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counters<L>(Arc<[Counter]>, PhantomData<L>);

impl<L> Clone for Counters<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<L: Label> Counters<L> {
    pub(super) fn new(all: Vec<Counter>) -> Self {
        Self(all.into(), PhantomData)
    }

    /// Adds `more` to the counter of `label`.
    pub fn add(&self, label: L, more: u64) {
        // There is one for each value: that is how this is made.
        if let Some(counter) = self.0.get(label.index()) {
            counter.add(more);
        }
    }

    /// Returns the number for `label`.
    pub fn value(&self, label: L) -> u64 {
        self.0.get(label.index()).map_or(0, Counter::value)
    }
}

/// A gauge for each value of a label.
#[derive(Debug)]
pub struct Gauges<L>(Arc<[Gauge]>, PhantomData<L>);

impl<L> Clone for Gauges<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<L: Label> Gauges<L> {
    pub(super) fn new(all: Vec<Gauge>) -> Self {
        Self(all.into(), PhantomData)
    }

    /// Adds one to the gauge of `label`.
    pub fn raise(&self, label: L) {
        if let Some(gauge) = self.0.get(label.index()) {
            gauge.raise();
        }
    }

    /// Takes one from the gauge of `label`.
    pub fn lower(&self, label: L) {
        if let Some(gauge) = self.0.get(label.index()) {
            gauge.lower();
        }
    }

    /// Returns the number for `label`.
    pub fn value(&self, label: L) -> i64 {
        self.0.get(label.index()).map_or(0, Gauge::value)
    }
}
