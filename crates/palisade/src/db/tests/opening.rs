//! Opening and closing: who may, and what is left on the disk.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn a_second_server_is_refused_and_a_command_is_not() {
    let test = TestDb::open().await;
    let url = url_in(&test.folder);

    let second = Db::open(&url, DbSettings::new(Purpose::Serve)).await.unwrap_err();
    let command = Db::open(&url, DbSettings::new(Purpose::Command)).await.unwrap();
    let written = command.write(async |tx| tx.execute(INSERT, args![1_i64]).await).await;

    assert!(second.to_string().contains("already serves from this file"), "{second}");
    assert_eq!(written.unwrap(), 1);
    test.insert(2).await.unwrap();
    assert_eq!(command.read(ids).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn every_file_is_for_its_owner_only() {
    let test = TestDb::open().await;

    for name in ["test.db", "test.db.lock", "test.db-wal", "test.db-shm"] {
        let mode = std::fs::metadata(test.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for() {
    for name in ["test.db", "test.db.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();

        let error = Db::open(&url_in(&folder), DbSettings::new(Purpose::Serve)).await.unwrap_err();

        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(name) && why.contains("is no regular file"), "{error}: {why}");
    }
}

#[tokio::test]
async fn a_file_that_anybody_may_write_is_not_believed() {
    for name in ["test.db", "test.db-wal", "test.db-shm", "test.db-journal", "test.db.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let planted = folder.path().join(name);
        File::create(&planted).unwrap();
        std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o606)).unwrap();

        let error = Db::open(&url_in(&folder), DbSettings::new(Purpose::Serve)).await.unwrap_err();

        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("anybody may write") && why.ends_with(name), "{why}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_said_so() {
    let url = DatabaseUrl::parse("sqlite:///no/such/folder/test.db").unwrap();

    let error = Db::open(&url, DbSettings::new(Purpose::Serve)).await.unwrap_err();

    assert!(error.to_string().contains("folder for the database file does not exist"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "dear diary, ".repeat(100);
    std::fs::write(folder.path().join("test.db"), &text).unwrap();

    let opened = Db::open(&url_in(&folder), DbSettings::new(Purpose::Serve)).await;

    assert!(opened.is_err());
    assert_eq!(std::fs::read_to_string(folder.path().join("test.db")).unwrap(), text);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_writer_and_gives_the_lock_back() {
    let TestDb { db, folder } = TestDb::open().await;
    let clone = db.clone();
    drop(db);
    clone.ping(Duration::from_secs(5)).await.unwrap();

    drop(clone);

    let lock = File::open(folder.path().join("test.db.lock")).unwrap();
    let ended = tokio::task::spawn_blocking(move || lock.lock());
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn every_commit_waits_for_the_disk_unless_that_is_given_up_by_name() {
    let synchronous = async |tx: &mut Tx<'_>| {
        tx.query_one("PRAGMA synchronous", args![], |row| row.get::<i64>(0)).await
    };

    let full = TestDb::open().await;
    let normal =
        TestDb::open_with(|settings| settings.danger_lose_last_commits_on_power_cut = true).await;

    assert_eq!(full.db.write(synchronous).await.unwrap(), 2);
    assert_eq!(normal.db.write(synchronous).await.unwrap(), 1);
}

#[tokio::test]
async fn large_sorts_spill_beside_the_database_and_not_where_everybody_keeps_files() {
    let test = TestDb::open().await;
    let asked = "PRAGMA temp_store_directory";

    let folder = test.db.write(async move |tx: &mut Tx<'_>| {
        tx.query_one(asked, args![], |row| row.get::<String>("temp_store_directory")).await
    });

    // It is one for the process: another test may have opened its database since.
    let folder = PathBuf::from(folder.await.unwrap());
    let temporary = test.folder.path().parent().unwrap();
    assert_eq!(folder.parent(), Some(temporary), "{folder:?}");
}
