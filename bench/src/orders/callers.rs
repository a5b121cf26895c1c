//! So many callers at once, each placing one order after the other, and what they waited.
//!
//! `peers/` includes this file as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What a turn is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// How many place orders at once.
    pub(crate) callers: usize,
    /// How long they do so before it counts.
    pub(crate) warm_up: Duration,
    /// How long they do so while it counts.
    pub(crate) measured: Duration,
}

/// What they found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Orders acknowledged in a second.
    pub(crate) per_second: f64,
    /// The wait that 50 of 100 stay below, in microseconds.
    pub(crate) p50_us: f64,
    /// The wait that 99 of 100 stay below, in microseconds.
    pub(crate) p99_us: f64,
}

/// Has the callers of `turn` run `place` with ascending numbers, and stops at the first failure.
pub(crate) async fn run<P, F, E>(turn: Turn, place: P) -> Result<Found, E>
where
    P: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: From<tokio::task::JoinError> + Send + 'static,
{
    let number = Arc::new(AtomicU64::new(1));
    let begin = Instant::now() + turn.warm_up;
    let end = begin + turn.measured;
    let mut callers = JoinSet::new();
    for _ in 0..turn.callers {
        let (number, place) = (Arc::clone(&number), place.clone());
        callers.spawn(async move {
            let mut waits = Vec::with_capacity(1 << 16);
            loop {
                let asked = Instant::now();
                if asked >= end {
                    return Ok::<_, E>(waits);
                }
                place(number.fetch_add(1, Ordering::Relaxed)).await?;
                let answered = Instant::now();
                if (begin..end).contains(&answered) {
                    waits.push(answered - asked);
                }
            }
        });
    }
    let mut waits = Vec::new();
    while let Some(ended) = callers.join_next().await {
        waits.extend(ended??);
    }
    Ok(Found::of(waits, turn.measured))
}

impl Found {
    /// Sums up what was waited in `span`.
    pub(crate) fn of(mut waits: Vec<Duration>, span: Duration) -> Self {
        waits.sort_unstable();
        let count = u32::try_from(waits.len()).unwrap_or(u32::MAX);
        Self {
            per_second: f64::from(count) / span.as_secs_f64(),
            p50_us: at(&waits, 50),
            p99_us: at(&waits, 99),
        }
    }

    /// Writes the three numbers, in the order of the fields.
    pub(crate) fn to_line(self) -> String {
        format!("{} {} {}", self.per_second, self.p50_us, self.p99_us)
    }
}

/// Returns the wait that `percent` of 100 stay below; not a number if nobody waited.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_a_hundred_is_the_99th_percentile() {
        let waits = (1..=100).rev().map(Duration::from_micros).collect();

        let found = Found::of(waits, Duration::from_secs(2));

        assert!((found.per_second - 50.0).abs() < 1e-9);
        assert!((found.p50_us - 51.0).abs() < 1e-6);
        assert!((found.p99_us - 100.0).abs() < 1e-6);
    }
}
