//! Uploads and imports that are cut, repeated, slow or stopped: what they hold is let go of, and what
//! was answered 202 is done once.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use palisade_testing::{Reply, Service};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::imports::{HEADER, ended, upload};
use crate::support::{Caller, Setup, TestService, text};

#[tokio::test]
async fn refused_repeated_and_cut_uploads_leave_nothing_and_keep_no_place() {
    let app = Setup::default().setting("imports.open", "3").start().await;
    app.customer("ada").await;
    let machine = app.machine();
    let file = format!("{HEADER}x,ada,EUR,A,1,1.00\n");
    let first = keyed(&machine, &file).await;
    ended(&machine, &first).await;

    for _ in 0..4 {
        upload(&machine, "a;b\n").await.assert_status(400);
        settled(&app).await;
        assert_eq!(keyed(&machine, &file).await.json(), first.json());
        settled(&app).await;
        break_off(&app, 200_000).await;
        settled(&app).await;
    }

    ended(&machine, &upload(&machine, file).await).await;
    assert_eq!(app.folder.number("SELECT count(*) FROM imports"), 2);
    assert_eq!(app.folder.number("SELECT count(*) FROM import_chunks"), 0);
}

#[tokio::test]
async fn equal_uploads_at_once_under_one_key_are_one_import() {
    const TOGETHER: usize = 20;
    let app = Setup::default().setting("imports.open", "40").start().await;
    app.customer("ada").await;
    let machine = app.machine();
    // Several chunks, so that they are under way together.
    let mut file = format!("{HEADER}x,ada,EUR,A,1,1.00\n");
    file.push_str(&"\n".repeat(150_000));

    let mut together = JoinSet::new();
    for _ in 0..TOGETHER {
        let (machine, file) = (app.again(&machine), file.clone());
        together.spawn(async move { keyed(&machine, &file).await });
    }
    let replies = together.join_all().await;

    let answers: Vec<_> = replies.iter().map(|reply| reply.assert_status(202).json()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let done = ended(&machine, &replies[0]).await;
    assert_eq!((&done["status"], &done["orders_created"]), (&json!("done"), &json!(1)));
    settled(&app).await;
    assert_eq!(app.folder.number("SELECT count(*) FROM imports"), 1);
    assert_eq!(app.folder.number("SELECT count(*) FROM import_chunks"), 0);
}

#[tokio::test]
async fn an_import_that_ends_its_process_each_time_is_given_up() {
    let app = TestService::start().await;
    app.customer("ada").await;
    let id = "00000000000000000000000001";
    put_away(&app, id, "'running', 'gone', 1, 5, 1");

    let machine = app.machine();
    let failed = until_over(&machine, id).await;

    assert_eq!((&failed["status"], &failed["orders_created"]), (&json!("failed"), &json!(0)));
    let told = machine.get(&format!("/imports/{id}/rejections")).send().await.text();
    assert!(told.contains("given_up"), "{told}");
    assert_eq!(app.folder.number("SELECT count(*) FROM orders"), 0);
}

#[tokio::test]
async fn a_lease_of_a_clock_that_was_set_back_since_holds_nothing_up() {
    let app = TestService::start().await;
    app.customer("ada").await;
    let id = "00000000000000000000000001";
    let in_an_hour = "9999999999999";
    put_away(&app, id, &format!("'running', 'gone', {in_an_hour}, 1, 1"));

    let done = until_over(&app.machine(), id).await;

    assert_eq!((&done["status"], &done["orders_created"]), (&json!("done"), &json!(1)));
}

#[tokio::test]
async fn a_process_that_was_held_up_changes_nothing_that_another_took_over() {
    const ORDERS: i64 = 2_000;
    let setup = Setup::default().setting("imports.lease", "1s");
    let held_up = setup.setting("retention.every", "1h").start().await;
    if !held_up.folder.is_on_a_server() {
        // Of SQLite there is one service, and who starts after it was killed is tested elsewhere.
        return;
    }
    held_up.customer("ada").await;
    let mut file = HEADER.to_owned();
    (0..ORDERS).for_each(|number| writeln!(file, "o-{number},ada,EUR,A,1,1.00").unwrap());
    let accepted = upload(&held_up.machine(), file).await;
    let id = text(&accepted.assert_status(202).json(), "id").to_owned();
    while held_up.folder.number("SELECT orders_created FROM imports") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    signal(&held_up.service, Signal::STOP);
    let other = held_up.folder.serve().start().await;
    other.wait_for_line(|line| line.contains("an import is taken over")).await;
    signal(&held_up.service, Signal::CONT);

    let done = until_over(&held_up.machine(), &id).await;
    assert_eq!((&done["status"], &done["orders_created"]), (&json!("done"), &json!(ORDERS)));
    assert_eq!(done["rows_read"], json!(ORDERS));
    assert_eq!(held_up.folder.number("SELECT count(*) FROM orders"), ORDERS);
    held_up.service.wait_for_line(|line| line.contains("another process goes on")).await;
}

#[tokio::test]
async fn a_command_that_is_stopped_before_it_has_the_file_leaves_nothing() {
    let app = TestService::start().await;
    let fifo = app.folder.path().join("pipe.csv");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let command = tokio::spawn(app.folder.command(["import", "pipe.csv"]).run());
    // It is there once the other side has opened it, and writes nothing more.
    let writer = tokio::task::spawn_blocking(move || {
        let mut writer = fs::OpenOptions::new().write(true).open(fifo).unwrap();
        writer.write_all(HEADER.as_bytes()).unwrap();
        writer.write_all(&[b'\n'; 100_000]).unwrap();
        writer
    });
    let writer = writer.await.unwrap();
    while app.folder.number("SELECT count(*) FROM import_chunks") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let pid = child_with_argument("pipe.csv");
    kill_process(pid, Signal::INT).unwrap();

    let stopped = command.await.unwrap();
    assert!(stopped.assert_code(1).stderr.contains("nothing is imported"), "{}", stopped.stderr);
    assert_eq!(app.folder.number("SELECT count(*) FROM imports"), 0);
    assert_eq!(app.folder.number("SELECT count(*) FROM import_chunks"), 0);
    drop(writer);
}

/// Returns the process that this one has started with `argument`.
fn child_with_argument(argument: &str) -> Pid {
    let own = format!("PPid:\t{}", std::process::id());
    let found = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let arguments = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let is_it = status.lines().any(|line| line == own)
            && arguments.split('\0').any(|given| given == argument);
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(number).filter(|_| is_it)
    });
    found.unwrap()
}

fn signal(service: &Service, signal: Signal) {
    let pid = i32::try_from(service.pid()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Stores an import of one order for ada, in the state that is said: status, lease, its end, attempts
/// and the last sign of life.
fn put_away(app: &TestService, id: &str, state: &str) {
    let file = format!("{HEADER}x,ada,EUR,A,1,1.00\n");
    let hex: String = file.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let content =
        if app.folder.is_on_a_server() { format!("'\\x{hex}'") } else { format!("x'{hex}'") };
    // In one statement each, the chunk behind its import; nobody claims it before it is whole.
    for statement in [
        format!(
            "INSERT INTO imports (id, actor, status, bytes, byte_offset, next_line, rows_read,
                 rows_rejected, orders_created, attempts, created_at, updated_at)
             VALUES ('{id}', 'api_key', 'uploading', {}, 0, 1, 0, 0, 0, 0, 1, 1)",
            file.len()
        ),
        format!(
            "INSERT INTO import_chunks (import_id, number, content) VALUES ('{id}', 0, {content})"
        ),
        {
            let parts: Vec<&str> = state.split(", ").collect();
            let [status, lease, until, attempts, updated] = parts[..] else { panic!("{state}") };
            format!(
                "UPDATE imports SET status = {status}, lease = {lease}, lease_until = {until},
                     attempts = {attempts}, updated_at = {updated} WHERE id = '{id}'"
            )
        },
    ] {
        assert_eq!(app.folder.tamper(&statement), Ok(1), "{statement}");
    }
}

pub(crate) async fn until_over(caller: &Caller, id: &str) -> serde_json::Value {
    for _ in 0..600 {
        let import = caller.get(&format!("/imports/{id}")).send().await.assert_status(200).json();
        if ["done", "failed"].contains(&text(&import, "status")) {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} does not end");
}

async fn keyed(caller: &Caller, file: &str) -> Reply {
    let call = caller.post("/imports").header("idempotency-key", "k");
    call.header("content-type", "text/csv").body(file.to_owned()).send().await
}

/// Waits until no upload is under way or left over, and no file of one that is done.
pub(crate) async fn settled(app: &TestService) {
    let left = "SELECT (SELECT count(*) FROM imports WHERE status = 'uploading')
                     + (SELECT count(*) FROM import_chunks AS c JOIN imports AS i
                            ON i.id = c.import_id WHERE i.status IN ('done', 'uploading'))";
    for _ in 0..200 {
        if app.folder.number(left) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("uploads are left: {}", app.folder.number(left));
}

/// Sends the beginning of a file, waits until some of it is put away, and hangs up.
async fn break_off(app: &TestService, sent: usize) {
    let mut stream = TcpStream::connect(app.service.public()).await.unwrap();
    let head = head(app, &format!("content-length: {}", sent + 1));
    let piece = [HEADER.as_bytes(), &vec![b'\n'; sent - HEADER.len()]].concat();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&piece).await.unwrap();
    for _ in 0..200 {
        let chunks = "SELECT count(*) FROM import_chunks AS c JOIN imports AS i
                          ON i.id = c.import_id WHERE i.status = 'uploading'";
        if app.folder.number(chunks) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing is put away");
}

pub(crate) fn head(app: &TestService, length: &str) -> String {
    format!(
        "POST /imports HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: text/csv\r\n{length}\r\n\r\n",
        app.folder.secret("API_KEY")
    )
}
