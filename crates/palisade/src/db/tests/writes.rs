//! Writing: whole or not at all, together and yet apart.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_seen_by_the_next_read_from_any_task() {
    let test = TestDb::open().await;
    let db = test.db.clone();

    let note = String::from("milk");
    let written = tokio::spawn(async move {
        db.write(async move |tx: &mut Tx<'_>| -> Result<String, DbError> {
            let sql = "INSERT INTO notes (id, body) VALUES ($1, $2)";
            tx.execute(sql, args![1_i64, note.as_bytes()]).await?;
            Ok(note.clone())
        })
        .await
    });

    assert_eq!(written.await.unwrap().unwrap(), "milk");
    assert_eq!(test.ids().await, [1]);
}

#[tokio::test]
async fn what_has_queued_shares_one_commit() {
    let test = TestDb::open().await;
    let before = commits(&test);
    let (pause, first) = test.hold_writer().await;
    let mut queued = Vec::new();
    for id in 1..=50 {
        queued.push(started(test.insert(id)).await);
    }

    pause.end();
    first.await.unwrap();
    for request in queued {
        request.await.unwrap();
    }

    assert_eq!(test.ids().await.len(), 51);
    assert_eq!(commits(&test) - before, 2);
}

#[tokio::test]
async fn a_request_that_fails_does_not_undo_its_neighbours() {
    let test = TestDb::open().await;
    let (pause, first) = test.hold_writer().await;
    let before = started(test.insert(1)).await;
    let failing = started(test.db.write(async |tx: &mut Tx<'_>| -> Result<(), DbError> {
        tx.execute(INSERT, args![2_i64]).await?;
        Err(DbError::RowCount { found: 0 })
    }))
    .await;
    let after = started(test.insert(3)).await;

    pause.end();
    first.await.unwrap();

    assert!(before.await.is_ok());
    assert!(matches!(failing.await, Err(DbError::RowCount { .. })));
    assert!(after.await.is_ok());
    assert_eq!(test.ids().await, [0, 1, 3]);
}

#[tokio::test]
async fn work_that_panics_or_waits_leaves_nothing_and_the_writer_goes_on() {
    let test = TestDb::open().await;

    let panicked = test.db.write(async |tx: &mut Tx<'_>| -> Result<(), DbError> {
        tx.execute(INSERT, args![1_i64]).await?;
        panic!("this panic is part of the test");
    });
    assert!(matches!(panicked.await, Err(DbError::Panicked)));
    let stalled = test.db.write(async |tx: &mut Tx<'_>| -> Result<(), DbError> {
        tx.execute(INSERT, args![2_i64]).await?;
        std::future::pending().await
    });
    assert!(matches!(stalled.await, Err(DbError::Stalled)));

    test.insert(3).await.unwrap();
    assert_eq!(test.ids().await, [3]);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_all_of_its_write_or_nothing() {
    let test = TestDb::open().await;
    let (pause, running) = test.hold_writer().await;
    let waiting = started(test.insert(1)).await;

    drop(running);
    drop(waiting);
    pause.end();

    test.insert(2).await.unwrap();
    assert_eq!(test.ids().await, [0, 2]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let test = TestDb::open_with(|settings| settings.queue = 1).await;
    let (pause, first) = test.hold_writer().await;
    let waiting = started(test.insert(1)).await;

    assert!(matches!(test.insert(2).await, Err(DbError::Overloaded)));
    assert!(matches!(test.db.ping(Duration::from_secs(5)).await, Err(DbError::Overloaded)));

    pause.end();
    first.await.unwrap();
    waiting.await.unwrap();
    test.db.ping(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_ping_does_not_wait_past_its_deadline() {
    let test = TestDb::open().await;
    let (pause, first) = test.hold_writer().await;

    let answer = test.db.ping(Duration::ZERO).await;

    assert!(matches!(answer, Err(DbError::Overloaded)));
    pause.end();
    first.await.unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_what_it_takes_away_and_nothing_after_it() {
    let test = TestDb::open().await;
    limit_pages(&test, "PRAGMA max_page_count = 30").await;
    let (pause, first) = test.hold_writer().await;
    let before = started(test.insert(1)).await;
    let too_big = started(test.run("INSERT INTO notes VALUES (2, zeroblob(900000))")).await;
    let after = started(test.insert(3)).await;

    pause.end();
    first.await.unwrap();

    assert!(matches!(before.await, Err(DbError::Full)));
    assert!(matches!(too_big.await, Err(DbError::Full)));
    assert!(after.await.is_ok());
    limit_pages(&test, "PRAGMA max_page_count = 100000").await;
    test.run("INSERT INTO notes VALUES (4, zeroblob(900000))").await.unwrap();
    assert_eq!(test.ids().await, [0, 3, 4]);
}

#[tokio::test]
async fn work_that_hides_a_lost_transaction_can_neither_go_on_nor_succeed() {
    let test = TestDb::open().await;
    limit_pages(&test, "PRAGMA max_page_count = 30").await;

    let answer = test.db.write(async |tx: &mut Tx<'_>| -> Result<(), DbError> {
        let lost = tx.execute("INSERT INTO notes VALUES (1, zeroblob(900000))", args![]).await;
        assert!(matches!(lost, Err(DbError::Full)));
        let next = tx.execute(INSERT, args![2_i64]).await;
        assert!(matches!(next, Err(DbError::Aborted)));
        Ok(())
    });

    assert!(matches!(answer.await, Err(DbError::Full)));
    assert_eq!(test.ids().await, [0_i64; 0]);
}

#[tokio::test]
async fn a_commit_that_fails_fails_its_whole_batch_and_no_other() {
    let test = TestDb::open().await;
    let table = "CREATE TABLE late (note INTEGER REFERENCES notes DEFERRABLE INITIALLY DEFERRED)";
    test.run(table).await.unwrap();
    let (pause, first) = test.hold_writer().await;
    let neighbour = started(test.insert(1)).await;
    let culprit = started(test.run("INSERT INTO late VALUES (99)")).await;

    pause.end();
    first.await.unwrap();

    for answer in [neighbour.await, culprit.await] {
        let kind = ConstraintKind::ForeignKey;
        assert!(matches!(answer, Err(DbError::Constraint { kind: found, .. }) if found == kind));
    }
    test.insert(2).await.unwrap();
    assert_eq!(test.ids().await, [0, 2]);
}

#[tokio::test]
async fn a_database_locked_by_another_program_is_busy_until_it_lets_go() {
    let test = TestDb::open_with(|settings| settings.busy_timeout = Duration::ZERO).await;
    let other = rusqlite::Connection::open(test.file("test.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    assert!(matches!(test.insert(1).await, Err(DbError::Busy)));

    other.execute_batch("COMMIT").unwrap();
    test.insert(1).await.unwrap();
}

#[tokio::test]
async fn a_closed_database_has_done_what_was_queued_and_takes_nothing_more() {
    let test = TestDb::open().await;
    let (pause, first) = test.hold_writer().await;
    let queued = started(test.insert(1)).await;
    let closing = started(test.db.close()).await;

    pause.end();
    closing.await.unwrap();

    assert!(first.await.is_ok() && queued.await.is_ok());
    assert!(matches!(test.insert(2).await, Err(DbError::Closed)));
    assert!(matches!(test.db.read(ids).await, Err(DbError::Closed)));
    test.db.close().await.unwrap();
    assert!(!test.file("test.db-wal").exists());
    let again = Db::open(&url_in(&test.folder), DbSettings::new(Purpose::Serve)).await.unwrap();
    assert_eq!(again.read(ids).await.unwrap(), [0, 1]);
}

async fn limit_pages(test: &TestDb, pragma: &'static str) {
    let limit = test.db.write(async move |tx: &mut Tx<'_>| {
        tx.query_one(pragma, args![], |row| row.get::<i64>(0)).await
    });
    limit.await.unwrap();
}

/// Counts the commits in the write-ahead log: the frames that note the size of the database.
fn commits(test: &TestDb) -> usize {
    let log = std::fs::read(test.file("test.db-wal")).unwrap();
    let frames = log[32..].chunks_exact(24 + 4096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}
