//! Reading, and the values that go in and come out.

use super::*;
use crate::clock::Timestamp;
use crate::id::Id;

#[derive(Debug)]
struct Note;

#[tokio::test]
async fn a_read_cannot_write() {
    let test = TestDb::open().await;

    let answer = test.db.read(async |tx| tx.execute(INSERT, args![1_i64]).await).await;

    assert!(matches!(answer, Err(DbError::ReadOnly)));
    assert_eq!(test.ids().await, [0_i64; 0]);
}

#[tokio::test]
async fn a_read_sees_one_snapshot() {
    let test = TestDb::open().await;
    let (pause, gate) = pause();
    let reading = started(test.db.read(async move |tx: &mut Tx<'_>| {
        let before = ids(tx).await?;
        gate.pass();
        Ok::<_, DbError>((before, ids(tx).await?))
    }))
    .await;

    pause.reached();
    test.insert(1).await.unwrap();
    pause.end();

    assert_eq!(reading.await.unwrap(), (vec![], vec![]));
    assert_eq!(test.ids().await, [1]);
}

#[tokio::test]
async fn reads_past_the_limit_are_refused_in_time_and_look_ups_go_on() {
    let test = TestDb::open_with(|settings| {
        settings.readers = 1;
        settings.reader_wait = Duration::ZERO;
    })
    .await;
    let (pause, gate) = pause();
    let reading = started(test.db.read(async move |tx: &mut Tx<'_>| {
        gate.pass();
        ids(tx).await
    }))
    .await;
    pause.reached();

    assert!(matches!(test.db.read(ids).await, Err(DbError::Overloaded)));
    test.db.look_up(ids).await.expect("look-ups have connections of their own");

    pause.end();
    reading.await.unwrap();
    test.db.read(ids).await.unwrap();
}

#[tokio::test]
async fn a_read_that_panics_or_waits_gives_its_connection_back() {
    let test = TestDb::open_with(|settings| settings.readers = 1).await;

    for _ in 0..3 {
        let panicked = test.db.read(async |_: &mut Tx<'_>| -> Result<(), DbError> {
            std::panic::resume_unwind(Box::new("part of the test"))
        });
        assert!(matches!(panicked.await, Err(DbError::Panicked)));
        let stalled = test
            .db
            .read(async |_: &mut Tx<'_>| -> Result<(), DbError> { std::future::pending().await });
        assert!(matches!(stalled.await, Err(DbError::Stalled)));
    }

    assert_eq!(test.ids().await, [0_i64; 0]);
}

#[tokio::test]
async fn every_value_comes_back_as_it_went_in() {
    let test = TestDb::open().await;
    let now = Timestamp::from_millis(1_767_225_600_123);
    let id = Id::<Note>::new_at(now);

    let read = test.db.read(async move |tx: &mut Tx<'_>| {
        let none: Option<&str> = None;
        let bytes = vec![0_u8, 255];
        let values = args![-1_i64, 7_u32, true, "text", bytes, none, now, id];
        let sql = "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f, $7 AS g, $8 AS h";
        tx.query_one(sql, values, |row| {
            assert_eq!(row.get::<i64>("a")?, -1);
            assert_eq!(row.get::<u32>(1)?, 7);
            assert!(row.get::<bool>("c")?);
            assert_eq!(row.get::<String>("d")?, "text");
            assert_eq!(row.get::<Vec<u8>>("e")?, [0, 255]);
            assert_eq!(row.get::<Option<String>>("f")?, None);
            assert_eq!(row.get::<Option<Timestamp>>("g")?, Some(now));
            assert_eq!(row.get::<Id<Note>>("h")?, id);
            row.parse("d", |text: String| text.chars().next())
        })
        .await
    });

    assert_eq!(read.await.unwrap(), 't');
}

#[tokio::test]
async fn parameters_are_bound_by_their_number_and_counted() {
    let test = TestDb::open().await;

    let swapped = test.db.read(async |tx: &mut Tx<'_>| {
        tx.query_one("SELECT $2 - $1 - $1", args![1_i64, 10_i64], |row| row.get::<i64>(0)).await
    });
    assert_eq!(swapped.await.unwrap(), 8);

    for sql in ["SELECT $1", "SELECT $1, $2, $3", "SELECT $1, $3", "SELECT ?, ?", "SELECT :a, :b"] {
        let answer = test.db.read(async move |tx: &mut Tx<'_>| {
            tx.query(sql, args![1_i64, 2_i64], |_| Ok(())).await
        });
        let answer = answer.await;
        assert!(
            matches!(answer, Err(DbError::ArgumentCount { given: 2, .. })),
            "{sql}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_column_of_another_type_is_corrupt_and_named_without_its_value() {
    let test = TestDb::open().await;

    let answer = test.db.read(async |tx: &mut Tx<'_>| {
        let sql = "SELECT 'hunter2' AS secret, NULL AS empty, 1.5 AS real, -1 AS negative";
        tx.query_one(sql, args![], |row| {
            let found = [
                row.get::<i64>("secret").unwrap_err(),
                row.get::<Id<Note>>(0).unwrap_err(),
                row.get::<String>("empty").unwrap_err(),
                row.get::<i64>("real").unwrap_err(),
                row.get::<u32>("negative").unwrap_err(),
                row.get::<Timestamp>("negative").unwrap_err(),
                row.get::<bool>("negative").unwrap_err(),
                row.get::<i64>("missing").unwrap_err(),
                row.parse("secret", |_: String| None::<()>).unwrap_err(),
            ];
            Ok(found.map(|error| match error {
                DbError::Corrupt { column } => column,
                other => panic!("{other}"),
            }))
        })
        .await
    });

    let expected = [
        "secret", "secret", "empty", "real", "negative", "negative", "negative", "missing",
        "secret",
    ];
    assert_eq!(answer.await.unwrap(), expected);
}

#[tokio::test]
async fn one_row_means_one_row() {
    let test = TestDb::open().await;
    let two = "SELECT 1 UNION SELECT 2";

    let answer = test.db.read(async move |tx: &mut Tx<'_>| {
        let none = tx.query_one("SELECT 1 WHERE 0", args![], |_| Ok(())).await;
        assert!(matches!(none, Err(DbError::RowCount { found: 0 })));
        assert_eq!(tx.query_optional("SELECT 1 WHERE 0", args![], |_| Ok(())).await?, None);
        assert_eq!(tx.query(two, args![], |row| row.get::<i64>(0)).await?, [1, 2]);
        tx.query_optional(two, args![], |_| Ok(())).await
    });

    assert!(matches!(answer.await, Err(DbError::RowCount { found: 2 })));
}
