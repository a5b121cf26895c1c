//! Requests in one batch: each leaves all of its work or nothing, whatever the others do.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn neighbours_of_a_failure_run_again_and_only_the_first_time() {
    let test = TestDb::open().await;

    // What has only read leaves nothing to undo.
    assert_eq!(runs_beside(&test, Vec::from([1, 2]), "SELECT id FROM notes").await, 2);
    let failing = "INSERT INTO notes (id) VALUES (99)";
    assert_eq!(runs_beside(&test, Vec::from([3, 4]), failing).await, 4);
    assert_eq!(runs_beside(&test, Vec::from([5, 6]), failing).await, 2);

    assert_eq!(test.ids().await, [1, 2, 3, 4, 5, 6]);
}

/// Writes `ids` in one batch with a request that runs `sql` and fails; tells how often the
/// others ran.
async fn runs_beside(test: &TestDb, ids: Vec<i64>, sql: &'static str) -> usize {
    let runs = Arc::new(AtomicUsize::new(0));
    let (pause, gate) = pause();
    let first = started(test.db.write(async move |_: &mut Tx<'_>| {
        gate.pass();
        Ok::<_, DbError>(())
    }));
    let first = first.await;
    pause.reached();
    let mut queued = Vec::new();
    for id in ids {
        let runs = Arc::clone(&runs);
        let write = test.db.write(async move |tx: &mut Tx<'_>| {
            runs.fetch_add(1, Ordering::SeqCst);
            tx.execute(INSERT, args![id]).await
        });
        queued.push(started(write).await);
    }
    let failing = started(test.db.write(async move |tx: &mut Tx<'_>| -> Result<(), DbError> {
        tx.query(sql, args![], |_| Ok(())).await?;
        Err(DbError::RowCount { found: 0 })
    }));
    let failing = failing.await;

    pause.end();
    first.await.unwrap();
    for request in queued {
        request.await.unwrap();
    }
    assert!(matches!(failing.await, Err(DbError::RowCount { .. })));
    runs.load(Ordering::SeqCst)
}

/// What one request of a random batch does after it wrote its note.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Succeeds,
    Fails,
    Panics,
    Waits,
    GoesAway,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_random_batch_leaves_exactly_what_succeeded(
        fates in proptest::collection::vec(
            prop_oneof![
                4 => Just(Fate::Succeeds),
                2 => Just(Fate::Fails),
                1 => Just(Fate::Panics),
                1 => Just(Fate::Waits),
                1 => Just(Fate::GoesAway),
            ],
            0..40,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (found, expected) = runtime.block_on(batch(fates));
        prop_assert_eq!(found, expected);
    }
}

/// Runs one batch and returns the notes that are there, and those that should be.
async fn batch(fates: Vec<Fate>) -> (Vec<i64>, Vec<i64>) {
    let test = TestDb::open().await;
    let (pause, first) = test.hold_writer().await;
    let mut expected = vec![0];
    let mut queued = Vec::new();
    for (id, fate) in (1_i64..).zip(fates) {
        let request = started(test.db.write(async move |tx: &mut Tx<'_>| {
            tx.execute(INSERT, args![id]).await?;
            match fate {
                Fate::Succeeds | Fate::GoesAway => Ok(()),
                Fate::Fails => Err(DbError::RowCount { found: 0 }),
                Fate::Panics => std::panic::resume_unwind(Box::new("part of the test")),
                Fate::Waits => std::future::pending().await,
            }
        }))
        .await;
        match fate {
            Fate::GoesAway => drop(request),
            Fate::Succeeds | Fate::Fails | Fate::Panics | Fate::Waits => {
                queued.push((id, matches!(fate, Fate::Succeeds), request));
            }
        }
    }
    pause.end();
    first.await.unwrap();
    for (id, succeeds, request) in queued {
        assert_eq!(request.await.is_ok(), succeeds);
        expected.extend(succeeds.then_some(id));
    }
    (test.ids().await, expected)
}
