//! Imports at length: a million rows, many kills, 64 MiB. `tests/slow/70-imports.sh` runs these.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use palisade_testing::Service;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::imports::{HEADER, upload};
use crate::imports_attacks::{head, settled};
use crate::support::{Caller, Setup, TestService, text};

/// A million rows on any machine.
const LONGEST: Duration = Duration::from_secs(1_800);

#[tokio::test]
#[ignore = "slow: run by tests/slow/70-imports.sh"]
async fn a_million_rows_are_taken_in_bounded_memory() {
    const ROWS_OF_AN_ORDER: u64 = 10;
    let app = TestService::start().await;
    // To a server each statement is a way of its own: fewer rows there, of as many bytes.
    let (rows, width) = if app.folder.is_on_a_server() { (100_000, 190) } else { (1_000_000, 10) };
    app.customer("ada").await;
    let before = peak_memory(&app.service);
    let mut file = HEADER.to_owned();
    for row in 0..rows {
        let price = if row % (rows / 10) == 7 { "1.5" } else { "1.50" };
        let order = row / ROWS_OF_AN_ORDER;
        writeln!(file, "{order:0width$},ada,EUR,TEA-{row},1,{price}").unwrap();
    }
    let bytes = file.len();

    let begun = Instant::now();
    let accepted = upload(&app.machine(), file).await;
    let stored = begun.elapsed();
    let done = over(&app.machine(), text(&accepted.assert_status(202).json(), "id")).await;

    let rejected = 10 * ROWS_OF_AN_ORDER;
    assert_eq!(done["status"], json!("done"), "{done}");
    assert_eq!(done["rows_read"], json!(rows));
    assert_eq!(done["rows_rejected"], json!(rejected));
    assert_eq!(done["orders_created"], json!(rows / ROWS_OF_AN_ORDER - 10));
    let count = |sql: &str| u64::try_from(app.folder.number(sql)).unwrap();
    assert_eq!(count("SELECT count(*) FROM order_lines"), rows - rejected);
    assert_eq!(count("SELECT count(*) FROM import_rejections"), rejected);
    told(&format!("{rows} rows"), &app, before, bytes, (stored, begun.elapsed()));
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/70-imports.sh"]
async fn a_million_rows_of_one_reference_are_rejected_in_bounded_memory() {
    const ROWS: u64 = 1_000_000;
    let app = Setup::default().setting("imports.lease", "1s").start().await;
    app.customer("ada").await;
    let before = peak_memory(&app.service);
    let mut file = HEADER.to_owned();
    (0..ROWS).for_each(|_| file.push_str("x,ada,EUR,TEA-1,1,1.50\n"));
    file.push_str("y,ada,EUR,TEA-1,1,1.50\n");
    let bytes = file.len();

    let begun = Instant::now();
    let accepted = upload(&app.machine(), file).await;
    let stored = begun.elapsed();
    let done = over(&app.machine(), text(&accepted.assert_status(202).json(), "id")).await;

    assert_eq!(done["status"], json!("done"), "{done}");
    assert_eq!((&done["rows_read"], &done["orders_created"]), (&json!(ROWS + 1), &json!(1)));
    told("1,000,000 rows of one reference", &app, before, bytes, (stored, begun.elapsed()));
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/70-imports.sh"]
async fn a_body_that_grows_beyond_64_mib_is_refused_while_it_comes() {
    let app = TestService::start().await;
    let mut stream = TcpStream::connect(app.service.public()).await.unwrap();
    let head = head(&app, "transfer-encoding: chunked");
    stream.write_all(head.as_bytes()).await.unwrap();
    let lines = [HEADER.as_bytes(), &vec![b'\n'; (1 << 20) - HEADER.len()]].concat();
    for _ in 0..64 {
        stream.write_all(&[b"100000\r\n", lines.as_slice(), b"\r\n"].concat()).await.unwrap();
    }
    // The body is not over, and what comes next is never sent.
    stream.write_all(b"1\r\n\n\r\n").await.unwrap();

    let mut answer = Vec::new();
    let reads = async { while let Ok(1..) = stream.read_buf(&mut answer).await {} };
    tokio::time::timeout(Duration::from_secs(60), reads).await.expect("the connection ends");

    let answer = String::from_utf8_lossy(&answer);
    // A connection that ends with much unread may take the answer with it.
    let is_told = answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large");
    assert!(is_told || answer.is_empty(), "{answer}");
    settled(&app).await;
    assert_eq!(app.folder.number("SELECT count(*) FROM imports"), 0);
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/70-imports.sh"]
async fn processes_do_not_take_from_each_other_what_takes_longer_than_a_lease() {
    const ROWS: u64 = 1_000_000;
    let app = Setup::default().setting("imports.lease", "1s").start().await;
    if !app.folder.is_on_a_server() {
        return;
    }
    let others = [app.folder.serve().start().await, app.folder.serve().start().await];
    app.customer("ada").await;
    let mut file = HEADER.to_owned();
    (0..ROWS).for_each(|_| file.push_str("x,ada,EUR,TEA-1,1,1.50\n"));

    let accepted = upload(&app.machine(), file).await;
    let done = over(&app.machine(), text(&accepted.assert_status(202).json(), "id")).await;

    assert_eq!((&done["status"], &done["rows_read"]), (&json!("done"), &json!(ROWS)));
    for service in others.iter().chain([&app.service]) {
        assert!(!service.stderr().contains("taken over"), "{}", service.stderr());
    }
}

#[tokio::test]
#[ignore = "slow: run by tests/slow/70-imports.sh"]
async fn fifty_kills_lose_nothing_and_make_nothing_twice() {
    const KILLS: usize = 50;
    const ORDERS: i64 = 30_000;
    let mut app = Setup::default().setting("imports.lease", "1s").start().await;
    app.customer("ada").await;
    let mut file = HEADER.to_owned();
    for order in 0..ORDERS {
        writeln!(file, "o-{order},ada,EUR,A,1,1.00").unwrap();
        match order % 4 {
            0 => writeln!(file, "o-{order},ada,EUR,B,2,2.00").unwrap(),
            1 => writeln!(file, "bad-{order},ada,EUR,A,1,1.00\nbad-{order},ada,EUR,A,x,1.00")
                .unwrap(),
            _ => {}
        }
    }
    let accepted = upload(&app.machine(), file).await;
    let id = text(&accepted.assert_status(202).json(), "id").to_owned();

    let mut reached = Vec::new();
    for kill in 0..KILLS {
        let before = reached.last().copied().unwrap_or(0);
        // Later and later after a commit, so that the kills come at any point of a transaction.
        let made = comes_beyond(&app, before).await;
        assert!(made < ORDERS, "done after {kill} kills");
        tokio::time::sleep(Duration::from_millis(u64::try_from(kill).unwrap() % 10 * 7)).await;
        app.kill_and_restart().await;
        reached.push(made);
    }

    let done = over(&app.machine(), &id).await;
    assert_eq!(done["status"], json!("done"), "{done}");
    assert_eq!(done["orders_created"], json!(ORDERS));
    assert_eq!(done["rows_read"], json!(ORDERS + ORDERS / 4 * 3));
    assert_eq!(done["rows_rejected"], json!(ORDERS / 2));
    for (sql, expected) in [
        ("SELECT count(*) FROM orders", ORDERS),
        ("SELECT count(DISTINCT reference) FROM orders", ORDERS),
        ("SELECT count(*) FROM order_events", ORDERS),
        ("SELECT count(*) FROM order_lines", ORDERS + ORDERS / 4),
        ("SELECT count(*) FROM imported_orders", ORDERS),
        ("SELECT count(*) FROM import_rejections", ORDERS / 2),
    ] {
        assert_eq!(app.folder.number(sql), expected, "{sql}");
    }
    println!("{KILLS} kills, the last at {} of {ORDERS} orders: exact", reached.last().unwrap());
}

/// Waits until an import has made more orders than `before`, and returns how many.
async fn comes_beyond(app: &TestService, before: i64) -> i64 {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        assert_eq!(app.folder.number("SELECT count(*) FROM imports WHERE status = 'failed'"), 0);
        let made = app.folder.number("SELECT orders_created FROM imports");
        if made > before {
            return made;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the import does not get beyond {before} orders");
}

/// Asserts that the service never held much more than before, and says what was measured.
#[expect(clippy::print_stdout, reason = "what was measured is told with --nocapture")]
fn told(what: &str, app: &TestService, before: u64, bytes: usize, times: (Duration, Duration)) {
    let after = peak_memory(&app.service);
    let (stored, all) = times;
    println!(
        "{what}, {bytes} bytes: peak memory {before} KiB before and {after} KiB after; \
         answered after {stored:.1?}, done after {all:.1?}"
    );
    assert!(after < before + 16 * 1024, "{after} KiB, and {before} KiB before");
}

/// Returns the most memory that a process ever had (`VmHWM`), in KiB.
fn peak_memory(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits for the end of an import, looking seldom.
async fn over(caller: &Caller, id: &str) -> Value {
    let begun = Instant::now();
    while begun.elapsed() < LONGEST {
        let import = caller.get(&format!("/imports/{id}")).send().await.assert_status(200).json();
        if ["done", "failed"].contains(&text(&import, "status")) {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{id} does not end");
}
