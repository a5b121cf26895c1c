//! Statements that take long: ended, named and counted.

use super::*;

/// Counts for hours.
const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
       WHERE i < 1000000000000) SELECT count(*) FROM n";

/// Writes for hours.
const ENDLESS_WRITE: &str = "INSERT INTO notes (id) WITH RECURSIVE n (i) AS
      (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT i FROM n";

const SHORT: Duration = Duration::from_millis(50);

async fn impatient() -> (TestDb, Metrics) {
    let metrics = Metrics::new();
    let counted = metrics.clone();
    let test = TestDb::open_with(|settings| {
        settings.statement_timeout = SHORT;
        settings.slow_statement = SHORT;
        settings.metrics = Some(counted);
    });
    (test.await, metrics)
}

async fn count(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    tx.query_one(ENDLESS, args![], |row| row.get(0)).await
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_ended_and_counted() {
    let (test, metrics) = impatient().await;

    let read = test.db.read(count).await;
    let looked_up = test.db.look_up(count).await;

    assert!(matches!(read, Err(DbError::TooLong)), "{read:?}");
    assert!(matches!(looked_up, Err(DbError::TooLong)), "{looked_up:?}");
    assert_eq!(test.ids().await, [0_i64; 0], "the connection can be used again");
    let text = metrics.render().unwrap();
    assert!(text.contains("palisade_db_ended_statements_total 2\n"), "{text}");
    assert!(text.contains("palisade_db_slow_statements_total 2\n"), "{text}");
}

#[tokio::test]
async fn a_write_that_takes_too_long_leaves_nothing_and_the_next_is_kept() {
    let (test, metrics) = impatient().await;

    let written = test.run(ENDLESS_WRITE).await;
    let next = test.insert(7).await;

    assert!(matches!(written, Err(DbError::TooLong)), "{written:?}");
    assert_eq!(next.unwrap(), 1);
    assert_eq!(test.ids().await, [7]);
    assert!(metrics.render().unwrap().contains("palisade_db_ended_statements_total 1\n"));
}

#[tokio::test]
async fn work_cannot_go_on_after_a_statement_that_was_ended() {
    let (test, _) = impatient().await;

    let written = test.db.write(async |tx| {
        drop(tx.execute(INSERT, args![1_i64]).await);
        drop(tx.execute(ENDLESS_WRITE, args![]).await);
        tx.execute(INSERT, args![2_i64]).await
    });
    let written = written.await;

    assert!(written.is_err());
    assert_eq!(test.ids().await, [0_i64; 0]);
}

#[tokio::test]
async fn transactions_and_commits_are_counted_by_what_they_are_for() {
    let metrics = Metrics::new();
    let counted = metrics.clone();
    let test = TestDb::open_with(|settings| settings.metrics = Some(counted)).await;

    test.insert(1).await.unwrap();
    test.ids().await;

    let text = metrics.render().unwrap();
    let of = |kind| format!("palisade_db_transaction_duration_seconds_count{{kind=\"{kind}\"}}");
    assert!(text.contains(&format!("{} 2\n", of("write"))), "the table, and the note: {text}");
    assert!(text.contains(&format!("{} 1\n", of("read"))), "{text}");
    assert!(text.contains("palisade_db_commits_total 2\n"), "{text}");
    assert!(text.contains("palisade_db_slow_statements_total 0\n"), "{text}");
}

#[tokio::test]
async fn what_is_refused_is_counted_and_not_timed() {
    let metrics = Metrics::new();
    let counted = metrics.clone();
    let test = TestDb::open_with(|settings| {
        settings.metrics = Some(counted);
        settings.queue = 1;
    });
    let test = test.await;
    let (pause, held) = test.hold_writer().await;
    let waiting = started(test.insert(1)).await;

    let refused = test.insert(2).await;
    pause.end();
    held.await.unwrap();
    waiting.await.unwrap();

    assert!(matches!(refused, Err(DbError::Overloaded)), "{refused:?}");
    let text = metrics.render().unwrap();
    assert!(text.contains("palisade_db_refused_total{kind=\"write\"} 1\n"), "{text}");
    assert!(text.contains("_duration_seconds_count{kind=\"write\"} 3\n"), "{text}");
}
