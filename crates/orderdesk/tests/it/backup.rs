//! `orderdesk backup`, as its operator sees it: what it writes, what it refuses, what it leaves.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use palisade_testing::Finished;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Folder, Setup, TestService, is_root};

/// What an unfinished backup has behind its name.
const UNFINISHED: &str = ".unfinished-backup";

#[tokio::test]
async fn a_backup_is_private_counted_and_good() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    ada.places_order("12.50").await;

    let taken = backup(&app.folder, "copy.db").await;

    taken.assert_code(0);
    assert_eq!(taken.stderr, "");
    let counts = |table: &str| {
        let mut lines = taken.stdout.lines().map(|line| line.split_ascii_whitespace());
        lines.find_map(|mut words| (words.next() == Some(table)).then(|| words.next()).flatten())
    };
    assert_eq!([counts("accounts"), counts("orders")], [Some("1"), Some("1")]);
    let metadata = fs::metadata(app.folder.path().join("copy.db")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let verified = verify(&app.folder, "copy.db").await;
    verified.assert_code(0);
    assert!(verified.stdout.ends_with("It can be restored.\n"), "{}", verified.stdout);
    assert_eq!(copies(&app.folder), ["copy.db"]);
}

#[tokio::test]
async fn what_has_the_name_already_is_replaced_only_when_that_is_said() {
    let folder = migrated().await;
    fs::write(folder.path().join("copy.db"), "last week's").unwrap();

    let refused = backup(&folder, "copy.db").await;

    refused.assert_code(1);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("copy.db")).unwrap(), "last week's");
    folder.command(["backup", "copy.db", "--force"]).run().await.assert_code(0);
    verify(&folder, "copy.db").await.assert_code(0);
}

#[tokio::test]
async fn neither_the_database_nor_what_is_no_file_is_ever_written_over() {
    let app = TestService::start().await;
    let folder = &app.folder;
    fs::write(folder.path().join("precious"), "precious").unwrap();
    symlink("precious", folder.path().join("copy-link")).unwrap();
    symlink("nowhere", folder.path().join("copy-dangling")).unwrap();
    symlink(folder.path(), folder.path().join("copy-folder")).unwrap();
    fs::hard_link(folder.database(), folder.path().join("copy-hard")).unwrap();
    let before = copies(folder);

    for (name, word) in [
        ("orderdesk.db", "belongs to the database itself"),
        ("./orderdesk.db-wal", "belongs to the database itself"),
        ("orderdesk.db.lock", "belongs to the database itself"),
        ("copy-folder/orderdesk.db", "belongs to the database itself"),
        ("copy-hard", "belongs to the database itself"),
        ("copy-link", "a link"),
        ("copy-dangling", "a link"),
        (".", "a folder"),
        ("/dev/null", "a device"),
        ("missing/copy.db", "make it first"),
        ("-", "name one"),
    ] {
        let refused = folder.command(["backup", name, "--force"]).run().await;

        refused.assert_code(1);
        assert!(refused.stderr.contains(word), "{name}: {}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(folder.path().join("precious")).unwrap(), "precious");
    assert_eq!(copies(folder), before);
    app.customer("ada").await.places_order("1.00").await;
}

#[tokio::test]
async fn without_rights_or_a_database_there_is_no_backup_and_nothing_is_left() {
    let folder = Setup::default().by_somebody().folder();
    let refused = backup(&folder, "copy.db").await;
    refused.assert_code(1);
    assert!(refused.stderr.contains("no database yet"), "{}", refused.stderr);
    assert!(!folder.database().exists(), "a backup makes no database");

    folder.command(["migrate"]).run().await.assert_code(0);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let refused = backup(&folder, "closed/copy.db").await;

    refused.assert_code(1);
    assert!(refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

#[tokio::test]
async fn a_full_disk_is_told_and_left_as_it_was() {
    if !is_root() {
        return; // Only root can make a small disk.
    }
    let folder = migrated().await;
    add_ballast(&folder, 4);
    fs::create_dir(folder.path().join("small")).unwrap();
    // In a mount namespace of its own: the disk goes with the process.
    let script = "mount -t tmpfs -o size=1m tmpfs small && { \"$0\" backup small/copy.db; \
                  code=$?; ls -A small; exit $code; }";
    let mut command = tokio::process::Command::new("unshare");
    command.args(["-m", "/bin/sh", "-c", script, env!("CARGO_BIN_EXE_orderdesk")]);
    command.env_clear().envs(folder.environment()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");

    let output = command.current_dir(folder.path()).output().await.unwrap();

    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare failed") || said.contains("permission denied") {
        return; // A container that permits no mounts.
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is full"), "{said}");
    assert_eq!(output.stdout, b"", "something was left");
}

#[tokio::test]
async fn a_killed_backup_has_no_name_and_the_next_one_cleans_up() {
    let folder = migrated().await;
    add_ballast(&folder, 96);

    let mut child = started(&folder);
    until_there(&folder.path().join(format!("copy.db{UNFINISHED}"))).await;
    child.kill().await.unwrap();

    assert_eq!(copies(&folder), [format!("copy.db{UNFINISHED}")], "it was killed in the middle");
    backup(&folder, "copy.db").await.assert_code(0);
    assert_eq!(copies(&folder), ["copy.db"]);
    verify(&folder, "copy.db").await.assert_code(0);
}

#[tokio::test]
async fn a_backup_that_is_asked_to_end_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = migrated().await;
        add_ballast(&folder, 96);

        let child = started(&folder);
        until_there(&folder.path().join(format!("copy.db{UNFINISHED}"))).await;
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let output = child.wait_with_output().await.unwrap();

        assert_eq!(output.status.code(), Some(1), "{signal:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("stopped"));
        assert_eq!(copies(&folder), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_backup_is_said_in_words() {
    let folder = migrated().await;
    backup(&folder, "good.db").await.assert_code(0);
    let good = fs::read(folder.path().join("good.db")).unwrap();
    let make = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let change = |name: &str, sql: &str| {
        make(name, &good);
        let file = rusqlite::Connection::open(folder.path().join(name)).unwrap();
        file.execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = DELETE; {sql}"
        ))
        .unwrap();
    };
    let mut torn = good.clone();
    torn[4096..8192].fill(0xa5);
    make("torn", &torn);
    make("cut", &good[..good.len() / 2]);
    make("text", "no database, but long enough to have a header of one".repeat(9).as_bytes());
    make("empty", b"");
    make("used", &good);
    make("used-wal", b"");
    change(
        "newer",
        "INSERT INTO palisade_migrations SELECT component, max(version) + 1, 'later', 'x', 0
         FROM palisade_migrations WHERE component = 'orderdesk'",
    );
    change("missing", "DROP TABLE order_events");
    change("spy", "CREATE TRIGGER spy AFTER INSERT ON orders BEGIN DELETE FROM orders; END");
    change("orphan", "INSERT INTO order_lines VALUES ('nobody', 1, 'A', 1, 1)");
    change("changed", "UPDATE palisade_migrations SET checksum = 'x'");

    for (name, word) in [
        ("torn", "damaged"),
        ("cut", "damaged"),
        ("text", "no database of SQLite"),
        ("empty", "not one of this program"),
        ("used", "used-wal lies beside it"),
        ("newer", "use a release at least as new"),
        ("missing", "the table order_events is missing"),
        ("spy", "a trigger named spy"),
        ("orphan", "refer to rows that are not there"),
        ("changed", "its text was changed"),
    ] {
        let verified = verify(&folder, name).await;

        verified.assert_code(1);
        assert!(verified.stderr.contains(word), "{name}: {}", verified.stderr);
        let refused = folder.command(["restore", name, "--force"]).run().await;
        refused.assert_code(1);
        assert!(refused.stderr.contains(word), "{name}: {}", refused.stderr);
    }
    assert_eq!(folder.command(["migrate"]).run().await.assert_code(0).stderr, "");
}

pub(crate) async fn backup(folder: &Folder, name: &str) -> Finished {
    folder.command(["backup", name]).run().await
}

/// Judges a file with nothing but its name: no settings, no secrets.
pub(crate) async fn verify(folder: &Folder, name: &str) -> Finished {
    let program = crate::support::orderdesk();
    let file = folder.path().join(name);
    program.args(["verify-backup", file.to_str().unwrap()]).run().await
}

/// A folder with an empty database and no service.
pub(crate) async fn migrated() -> Folder {
    let folder = Setup::default().folder();
    folder.command(["migrate"]).run().await.assert_code(0);
    folder
}

/// Makes the database so large that a backup takes a while.
fn add_ballast(folder: &Folder, megabytes: i64) {
    let database = folder.open_database();
    database
        .execute_batch("PRAGMA synchronous = OFF; CREATE TABLE ballast (body BLOB) STRICT")
        .unwrap();
    for _ in 0..megabytes {
        database.execute("INSERT INTO ballast VALUES (randomblob(1048576))", []).unwrap();
    }
}

/// Starts a backup without waiting for it.
fn started(folder: &Folder) -> tokio::process::Child {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_orderdesk"))
        .args(["backup", "copy.db"])
        .env_clear()
        .envs(folder.environment())
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until the file holds something.
async fn until_there(file: &Path) {
    let wait = async {
        while fs::metadata(file).map_or(0, |metadata| metadata.len()) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

/// Returns the names of what begins like a copy, sorted.
pub(crate) fn copies(folder: &Folder) -> Vec<String> {
    names(folder.path(), "copy")
}

pub(crate) fn names(folder: &Path, start: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let all = entries.map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let all = all.map(|name| name.to_str().unwrap().to_owned());
    let mut names: Vec<_> = all.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names
}
