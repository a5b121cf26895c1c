//! Backups taken and put back while others write.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;
use crate::clock::Timestamp;
use crate::db::backup::{BackupError, Existing, Fault, Progress, Restore, restore, take, verify};

const NOTES: &[Migration] = &[Migration {
    version: 1,
    name: "notes",
    sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB);",
}];
const SCHEMAS: [Schema; 1] = [Schema { component: "notes", migrations: NOTES }];

#[tokio::test]
async fn a_backup_is_of_one_moment_and_ends_although_others_write_after_every_step() {
    let test = TestNotes::with_megabytes(5).await;
    let before = test.count();
    let mut steps = 0;

    let taken = test.take("copy.db", &mut |progress| {
        if let Progress::Copying { .. } = progress {
            steps += 1;
            test.write_behind(1);
        }
        ControlFlow::Continue(())
    });

    assert!(steps >= 5, "{steps} steps");
    assert!(test.count() > before, "others wrote meanwhile");
    assert_eq!(taken.unwrap().tables[0], ("notes".to_owned(), before));
    assert_eq!(count_in(&test.folder.path().join("copy.db")), before);
}

#[tokio::test]
async fn a_backup_that_is_stopped_leaves_nothing() {
    let test = TestNotes::with_megabytes(5).await;

    let taken = test.take("copy.db", &mut |_| ControlFlow::Break(()));

    assert!(matches!(taken, Err(BackupError::Stopped)), "{taken:?}");
    assert_eq!(test.files_like("copy"), Vec::<String>::new());
}

#[tokio::test]
async fn the_log_can_be_cut_again_once_a_backup_is_done() {
    let test = TestNotes::with_megabytes(3).await;
    test.take("copy.db", &mut |_| {
        test.write_behind(1);
        ControlFlow::Continue(())
    })
    .unwrap();

    let cut: (i64, i64, i64) = test
        .behind()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();

    assert_eq!(cut, (0, 0, 0), "no reader was left to hold it");
}

#[tokio::test]
async fn a_file_that_is_being_written_is_refused_to_a_second_run() {
    let test = TestNotes::with_megabytes(2).await;
    let mut second = None;

    test.take("copy.db", &mut |_| {
        second.get_or_insert_with(|| test.take("copy.db", &mut |_| ControlFlow::Continue(())));
        ControlFlow::Continue(())
    })
    .unwrap();

    assert!(matches!(second, Some(Err(BackupError::UnderWay))), "{second:?}");
    assert_eq!(test.files_like("copy"), ["copy.db"]);
}

#[tokio::test]
async fn a_file_that_comes_up_meanwhile_is_not_replaced() {
    let test = TestNotes::with_megabytes(2).await;
    let target = test.folder.path().join("copy.db");

    let taken = test.take("copy.db", &mut |_| {
        fs::write(&target, "somebody's").unwrap();
        ControlFlow::Continue(())
    });

    assert!(matches!(taken, Err(BackupError::Exists)), "{taken:?}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "somebody's");
    assert_eq!(test.files_like("copy"), ["copy.db"]);
}

#[tokio::test]
async fn what_is_written_is_its_owners_alone_from_the_start() {
    let test = TestNotes::with_megabytes(2).await;
    let mut modes = Vec::new();

    test.take("copy.db", &mut |_| {
        for name in test.files_like("copy") {
            let metadata = fs::metadata(test.folder.path().join(name)).unwrap();
            modes.push(metadata.permissions().mode() & 0o777);
        }
        ControlFlow::Continue(())
    })
    .unwrap();

    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
}

#[tokio::test]
async fn a_database_that_others_have_open_is_not_replaced() {
    let test = TestNotes::with_megabytes(1).await;
    test.take("copy.db", &mut |_| ControlFlow::Continue(())).unwrap();
    test.db.close().await.unwrap();
    let other = test.behind();
    other.query_row("SELECT count(*) FROM notes", [], |_| Ok(())).unwrap();

    let refused = test.restore("copy.db", Existing::Replace);

    assert!(matches!(refused, Err(BackupError::InUse)), "{refused:?}");
    assert_eq!(test.files_like("test.db.unfinished"), Vec::<String>::new());
    drop(other);
    let kept = test.restore("copy.db", Existing::Replace).unwrap();
    assert_eq!(count_in(&kept.unwrap()), test.count());
}

#[tokio::test]
async fn what_a_restore_amends_is_in_the_database_and_not_in_the_backup() {
    let test = TestNotes::with_megabytes(1).await;
    test.take("copy.db", &mut |_| ControlFlow::Continue(())).unwrap();
    test.db.close().await.unwrap();
    let amend = async |tx: &mut Tx<'_>| tx.execute("DELETE FROM notes", args![]).await.map(|_| ());
    let (file, url) = (test.folder.path().join("copy.db"), url_in(&test.folder));
    let before = count_in(&file);

    let plan = plan((&file, &url), Existing::Replace);
    restore(plan, amend, &mut |_| ControlFlow::Continue(())).unwrap();

    assert_eq!((count_in(url.path().unwrap()), count_in(&file)), (0, before));
    assert_eq!(test.files_like("test.db-"), Vec::<String>::new());
}

#[tokio::test]
async fn an_amendment_that_fails_leaves_the_database_alone() {
    let test = TestNotes::with_megabytes(1).await;
    test.take("copy.db", &mut |_| ControlFlow::Continue(())).unwrap();
    test.db.close().await.unwrap();
    let (file, url) = (test.folder.path().join("copy.db"), url_in(&test.folder));
    let before = fs::read(url.path().unwrap()).unwrap();

    let amend =
        async |tx: &mut Tx<'_>| tx.execute("DELETE FROM nothing", args![]).await.map(|_| ());
    let plan = plan((&file, &url), Existing::Replace);
    let restored = restore(plan, amend, &mut |_| ControlFlow::Continue(()));

    assert!(matches!(restored, Err(BackupError::Database(_))), "{restored:?}");
    assert_eq!(fs::read(url.path().unwrap()).unwrap(), before);
    assert_eq!(test.files_like("test.db."), ["test.db.lock"]);
}

#[tokio::test]
async fn what_a_backup_would_run_is_a_fault_and_what_lies_idle_a_note() {
    let test = TestNotes::with_megabytes(1).await;
    test.behind()
        .execute_batch(
            "CREATE TABLE idle (id INTEGER) STRICT; CREATE INDEX by_body ON notes (body);
             CREATE TRIGGER spy AFTER INSERT ON notes BEGIN DELETE FROM notes; END;
             CREATE VIEW wide AS SELECT * FROM notes;",
        )
        .unwrap();

    let taken = test.take("copy.db", &mut |_| ControlFlow::Continue(())).unwrap();

    let active = |kind: &str, name: &str| Fault::Active { kind: kind.into(), name: name.into() };
    assert_eq!(taken.faults, [active("trigger", "spy"), active("view", "wide")]);
    assert_eq!(taken.notes.len(), 2, "{:?}", taken.notes);
    let refused = test.restore_elsewhere("copy.db");
    assert!(matches!(refused, Err(BackupError::Rejected(_))), "{refused:?}");
}

#[tokio::test]
async fn a_name_with_every_sign_is_a_name() {
    let test = TestNotes::with_megabytes(1).await;
    let name = "50% off?#1 ä'.db";

    test.take(name, &mut |_| ControlFlow::Continue(())).unwrap();

    let file = test.folder.path().join(name);
    let verified = verify(&file, &SCHEMAS, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(verified.is_good(), "{:?}", verified.faults);
    assert_eq!(verified.tables[0].1, test.count());
}

/// A database with the table of [`NOTES`].
struct TestNotes {
    db: Db,
    folder: tempfile::TempDir,
}

impl TestNotes {
    async fn with_megabytes(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = DbSettings::new(Purpose::Serve);
        settings.danger_lose_last_commits_on_power_cut = true;
        let db = Db::open(&url_in(&folder), settings).await.unwrap();
        db.migrate("notes", NOTES).await.unwrap();
        let test = Self { db, folder };
        test.write_behind(count);
        test
    }

    /// Connects as another program does.
    fn behind(&self) -> Connection {
        Connection::open(url_in(&self.folder).path().unwrap()).unwrap()
    }

    /// Writes so many notes of a megabyte each.
    fn write_behind(&self, count: usize) {
        let behind = self.behind();
        behind.execute_batch("PRAGMA synchronous = OFF").unwrap();
        for _ in 0..count {
            behind.execute("INSERT INTO notes (body) VALUES (zeroblob(1048576))", []).unwrap();
        }
    }

    fn count(&self) -> u64 {
        count_in(url_in(&self.folder).path().unwrap())
    }

    fn take(
        &self,
        name: &str,
        watch: &mut backup::Watch<'_>,
    ) -> Result<backup::Verified, BackupError> {
        let target = self.folder.path().join(name);
        take(&url_in(&self.folder), (&target, Existing::Refuse), &SCHEMAS, watch)
    }

    fn restore(&self, name: &str, existing: Existing) -> Result<Option<PathBuf>, BackupError> {
        let (file, url) = (self.folder.path().join(name), url_in(&self.folder));
        let plan = plan((&file, &url), existing);
        let restored = restore(plan, async |_| Ok(()), &mut |_| ControlFlow::Continue(()));
        restored.map(|restored| restored.kept)
    }

    fn restore_elsewhere(&self, name: &str) -> Result<Option<PathBuf>, BackupError> {
        let elsewhere = tempfile::tempdir().unwrap();
        let (file, url) = (self.folder.path().join(name), url_in(&elsewhere));
        let plan = plan((&file, &url), Existing::Refuse);
        let restored = restore(plan, async |_| Ok(()), &mut |_| ControlFlow::Continue(()));
        restored.map(|restored| restored.kept)
    }

    /// Returns the names of files that begin so, sorted.
    fn files_like(&self, start: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(start)).collect();
        names.sort();
        names
    }
}

fn plan<'a>((file, url): (&'a PathBuf, &'a DatabaseUrl), existing: Existing) -> Restore<'a> {
    Restore { file, url, existing, schemas: &SCHEMAS, now: Timestamp::from_millis(1) }
}

fn count_in(file: &std::path::Path) -> u64 {
    let connection = Connection::open(file).unwrap();
    let count = connection.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0));
    count.unwrap().try_into().unwrap()
}
