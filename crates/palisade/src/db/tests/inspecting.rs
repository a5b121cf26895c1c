//! A look that changes nothing, at databases that are whole, broken, in use and large.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn integrity(folder: &tempfile::TempDir, within: Duration) -> Integrity {
    inspect(&url_in(folder), &[], within).unwrap().integrity
}

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read(&path).unwrap())
    };
    folder.read_dir().unwrap().map(file).collect()
}

#[tokio::test]
async fn nothing_is_changed_and_no_file_is_left_behind() {
    let TestDb { db, folder } = TestDb::open().await;
    db.close().await.unwrap();
    drop(db);
    let before = content(folder.path());

    assert_eq!(integrity(&folder, LONG), Integrity::Sound);

    assert!(content(folder.path()) == before);
}

#[tokio::test]
async fn a_database_that_is_served_from_is_looked_at_with_what_is_only_in_its_log() {
    let test = TestDb::open().await;
    const SCHEMAS: [Schema; 1] = [Schema {
        component: "memos",
        migrations: &[Migration {
            version: 1,
            name: "memos",
            sql: "CREATE TABLE memos (id TEXT);",
        }],
    }];
    test.db.migrate("memos", SCHEMAS[0].migrations).await.unwrap();

    let seen = inspect(&url_in(&test.folder), &SCHEMAS, LONG).unwrap();

    assert_eq!(seen.integrity, Integrity::Sound);
    assert!(matches!(seen.schemas[..], [Ok(SchemaState::UpToDate)]), "{seen:?}");
    test.insert(1).await.unwrap();
}

#[test]
fn rows_that_refer_to_nothing_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tampering = Connection::open(folder.path().join("test.db")).unwrap();
    tampering
        .execute_batch(
            "PRAGMA foreign_keys = OFF; CREATE TABLE a (id TEXT PRIMARY KEY);
             CREATE TABLE b (a TEXT REFERENCES a (id)); INSERT INTO b VALUES ('x'), ('y');",
        )
        .unwrap();
    drop(tampering);

    assert_eq!(integrity(&folder, LONG), Integrity::Dangling(2));
}

#[test]
fn damage_is_found_in_a_file_that_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let writing = Connection::open(&file).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                INSERT INTO a SELECT i, hex(zeroblob(100)) FROM n";
    writing.execute_batch("CREATE TABLE a (id INTEGER PRIMARY KEY, text TEXT)").unwrap();
    writing.execute_batch(rows).unwrap();
    drop(writing);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xAA);
    std::fs::write(&file, bytes).unwrap();

    let found = integrity(&folder, LONG);

    assert!(matches!(found, Integrity::Damaged(_)), "{found:?}");
}

#[test]
fn what_is_no_database_at_all_is_damaged_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.db"), "dear diary, ".repeat(500)).unwrap();
    let before = content(folder.path());

    let found = integrity(&folder, LONG);

    assert!(matches!(found, Integrity::Damaged(_)), "{found:?}");
    assert!(content(folder.path()) == before);
}

#[test]
fn a_database_too_large_for_the_time_is_not_looked_at_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let writing = Connection::open(folder.path().join("test.db")).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
                INSERT INTO a SELECT i, i FROM n";
    writing.execute_batch("CREATE TABLE a (id INTEGER PRIMARY KEY, other INTEGER)").unwrap();
    writing.execute_batch(rows).unwrap();
    drop(writing);

    assert_eq!(integrity(&folder, Duration::from_micros(1)), Integrity::Unfinished);
}
