//! Removing what is over.

use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::clock::Timestamp;
use crate::telemetry::metrics::Metrics;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_is_over_is_removed_a_batch_at_a_time_and_nothing_else() {
    let test = TestDb::open().await;
    for id in 1..=25 {
        test.insert(id).await.unwrap();
    }
    let (batches, metrics) = (Arc::new(AtomicU64::new(0)), Metrics::new());
    let counted = Arc::clone(&batches);

    let sweeper = retention(&test.db, 10)
        .remove("notes", async move |tx: &mut Tx<'_>, now: Timestamp, most| {
            counted.fetch_add(1, Ordering::Relaxed);
            remove(tx, now, most).await
        })
        .start(&metrics)
        .unwrap();
    until(|| written(&metrics, "palisade_retention_removed_total{rows=\"notes\"} 20")).await;
    until(|| written(&metrics, "timestamp_seconds{rows=\"notes\"} 20")).await;
    sweeper.stop().await;

    assert_eq!(test.ids().await, [21, 22, 23, 24, 25]);
    assert!(batches.load(Ordering::Relaxed) >= 3, "two that were full, and one that was not");
}

#[tokio::test]
async fn a_failure_is_counted_and_tried_again_and_keeps_nobody_else_from_it() {
    let test = TestDb::open().await;
    test.insert(1).await.unwrap();
    let metrics = Metrics::new();

    let sweeper = retention(&test.db, 10)
        .remove("broken", async |_: &mut Tx<'_>, _, _| Err(DbError::Closed))
        .remove("notes", remove)
        .start(&metrics)
        .unwrap();
    until(|| written(&metrics, "palisade_retention_removed_total{rows=\"notes\"} 1")).await;
    until(|| written(&metrics, "palisade_retention_failures_total{rows=\"broken\"} 2")).await;
    sweeper.stop().await;

    assert!(written(&metrics, "timestamp_seconds{rows=\"broken\"} 0"));
    assert_eq!(test.ids().await, Vec::<i64>::new());
}

#[tokio::test]
async fn it_ends_between_two_batches_when_it_is_asked_to() {
    let test = TestDb::open().await;
    let metrics = Metrics::new();
    let endless = async |_: &mut Tx<'_>, _, most: i64| Ok(u64::try_from(most).unwrap());
    let sweeper = retention(&test.db, 1).remove("endless", endless).start(&metrics).unwrap();
    until(|| !written(&metrics, "palisade_retention_removed_total{rows=\"endless\"} 0")).await;

    tokio::time::timeout(10 * SECOND, sweeper.stop()).await.unwrap();

    test.db.close().await.unwrap();
}

/// Removes notes whose number is not above the seconds of the clock.
async fn remove(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM notes WHERE id IN (SELECT id FROM notes WHERE id * 1000 <= $1 LIMIT $2)",
        args![now, most],
    )
    .await
}

/// It is 20 seconds past 1970.
fn retention(db: &Db, batch: usize) -> Retention {
    let clock = Arc::new(ManualClock::starting_at(Timestamp::from_millis(20_000)));
    Retention::new(db.clone(), clock, &RetentionSection { every: Duration::from_millis(20), batch })
}

fn written(metrics: &Metrics, line: &str) -> bool {
    metrics.render().unwrap().lines().any(|written| written.ends_with(line))
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(20 * SECOND, wait).await.unwrap();
}
