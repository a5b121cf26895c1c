//! Orders that come as a CSV file: each row taken or named, once, whatever happens meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use palisade_testing::Reply;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Caller, PASSWORD, Setup, TestService, text};
use crate::support_orders::assert_problem;

pub(crate) const HEADER: &str = "reference,customer,currency,sku,quantity,unit_price\n";

#[tokio::test]
async fn a_file_becomes_orders_of_their_customers() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let machine = app.machine();
    let file = format!(
        "\u{FEFF}{HEADER}a-1,ada,EUR,TEA-1,2,12.50\r\na-1,ada,EUR,TEA-2,1,0.01\r\n\
         \"a, 2\",Ada,JPY,CUP-1,3,700\r\n=a3,ada,EUR,TEA-1,1,1.00"
    );

    let accepted = upload(&machine, file).await;
    let done = ended(&machine, accepted.assert_status(202)).await;

    let id = text(&accepted.json(), "id").to_owned();
    assert_eq!(accepted.json(), json!({"id": id, "status": "queued"}));
    assert_eq!(accepted.header("location"), Some(format!("/imports/{id}").as_str()));
    let expected = json!({
        "id": id, "status": "done", "progress": 1.0,
        "rows_read": 4, "rows_rejected": 0, "orders_created": 3,
    });
    assert_eq!(done, expected);
    let (orders, _) = ada.page("/orders").await;
    let shown: Vec<_> = orders.iter().map(|order| (&order["reference"], &order["total"])).collect();
    let expected = [("=a3", "1.00"), ("a, 2", "2100"), ("a-1", "25.01")];
    let expected = expected.map(|(reference, total)| (json!(reference), json!(total)));
    assert_eq!(shown, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    let first = text(&orders[2], "id");
    assert_eq!(orders[2]["lines"].as_array().unwrap().len(), 2);
    assert_eq!(ada.history(first).await, ["place none->new"]);
    assert_eq!(rejected(&machine, &id).await, "line,code,detail\r\n");
}

#[tokio::test]
async fn a_bad_row_rejects_its_reference_and_nothing_else() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let machine = app.machine();
    app.customer("bob").await;
    let rows = [
        ("good-1,ada,EUR,A,1,1.00", ""),
        ("r1,ada,EUR,A,1,1.00", "reference_rejected"),
        ("r1,ada,EUR,A,0,1.00", "range"),
        ("r1,ada,EUR,A,1,1.00", "reference_rejected"),
        ("r2,nobody,EUR,A,1,1.00", "unknown_customer"),
        ("r3,ada,XXX,A,1,1.00", "currency"),
        ("r4,ada,EUR,A B,1,1.00", "characters"),
        ("r5,ada,EUR,A,1,1.5", "decimals"),
        ("r6,ada,EUR,A,1,-1.00", "pattern"),
        ("r7,ada,EUR,A,1", "wrong_columns"),
        ("r8,ada,EUR,A,1,\"1.00", "open_quote"),
        ("r9,ada,EUR,A,1,1.00", "reference_rejected"),
        ("r9,bob,EUR,A,1,1.00", "mixed_customer"),
        ("r10,ada,EUR,A,1,1.00", "reference_rejected"),
        ("r10,ada,USD,A,1,1.00", "mixed_currency"),
        ("r11,ada,EUR,A,1000000,999999999999.99", "total"),
        (",ada,EUR,A,1,1.00", "length"),
        ("r\u{202E}12,ada,EUR,A,1,1.00", "characters"),
        ("good-2,ada,EUR,A,1,1.00", ""),
    ];
    let mut file = HEADER.to_owned();
    rows.iter().for_each(|(row, _)| writeln!(file, "{row}").unwrap());

    let accepted = upload(&machine, file).await;
    let done = ended(&machine, &accepted).await;

    let told = rejected(&machine, text(&done, "id")).await;
    let told: Vec<(usize, String)> = told
        .lines()
        .skip(1)
        .map(|line| {
            let (line, rest) = line.split_once(',').unwrap();
            (line.parse().unwrap(), rest.split_once(',').unwrap().0.to_owned())
        })
        .collect();
    let expected: Vec<(usize, String)> = (2..)
        .zip(&rows)
        .filter(|(_, (_, code))| !code.is_empty())
        .map(|(line, (_, code))| (line, (*code).to_owned()))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(done["rows_read"], json!(rows.len()));
    assert_eq!(done["rows_rejected"], json!(expected.len()));
    assert_eq!(done["orders_created"], json!(2));
    assert_eq!(references(&ada).await, ["good-2", "good-1"]);
}

#[tokio::test]
async fn a_line_that_nobody_can_read_takes_nothing_with_it_but_the_order_around_it() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let mut file = HEADER.as_bytes().to_vec();
    file.extend_from_slice(b"a,ada,EUR,A,1,1.00\n\xFF\xFE\nb,ada,EUR,A,1,1.00\n");
    file.extend_from_slice(b"c,ada,EUR,A,1,1.00\n\"\nc,ada,EUR,A,1,1.00\n");

    let done = ended(&app.machine(), &upload(&app.machine(), file).await).await;

    assert_eq!(references(&ada).await, ["b", "a"]);
    let told = rejected(&app.machine(), text(&done, "id")).await;
    let codes = ["3,not_utf8,", "5,reference_rejected,", "6,open_quote,", "7,reference_rejected,"];
    assert_eq!(told.lines().count(), 5, "{told}");
    for (line, code) in told.lines().skip(1).zip(codes) {
        assert!(line.starts_with(code), "{told}");
    }
    assert_eq!((&done["rows_read"], &done["rows_rejected"]), (&json!(6), &json!(4)));
}

#[tokio::test]
async fn the_same_file_twice_makes_nothing_twice_and_other_lines_are_a_conflict() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    app.customer("bob").await;
    let machine = app.machine();
    let file = format!("{HEADER}x,ada,EUR,A,1,1.00\nx,bob,EUR,A,1,1.00\n");
    let file = file.replace("\nx,bob", "\ny,ada,EUR,B,2,2.00\nx,bob");
    ended(&machine, &upload(&machine, file.clone()).await).await;

    let again = ended(&machine, &upload(&machine, file).await).await;
    let other = format!("{HEADER}x,ada,EUR,A,2,1.00\nz,ada,EUR,A,1,1.00\n");
    let other = ended(&machine, &upload(&machine, other).await).await;

    assert_eq!((&again["orders_created"], &again["rows_rejected"]), (&json!(0), &json!(0)));
    assert_eq!((&other["orders_created"], &other["rows_rejected"]), (&json!(1), &json!(1)));
    let told = rejected(&machine, text(&other, "id")).await;
    assert!(told.contains("\r\n2,reference_conflict,"), "{told}");
    assert_eq!(references(&ada).await, ["z", "y", "x"]);
    assert_eq!(machine.page("/orders").await.0.len(), 4, "bob's x is another");
}

#[tokio::test]
async fn what_is_no_file_of_orders_is_refused_at_once() {
    let app = TestService::start().await;
    let machine = app.machine();
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], &str); 6] = [
        (b"", "The file is empty"),
        (b"reference;customer;currency\n", "reference;customer;currency"),
        (b"a,b\n1,2\n", "must be"),
        (&[&[0xFF, 0xFE], utf16.as_slice()].concat(), "UTF-16"),
        (b"PK\x03\x04", "must be"),
        (&[b'x'; 200_000], "must be"),
    ];
    for (file, told) in cases {
        let refused = upload(&machine, file.to_vec()).await;
        assert_eq!(refused.assert_status(400).problem_code(), "malformed_body");
        assert!(text(&refused.json(), "detail").contains(told), "{}", refused.text());
    }
    let wrong_type = machine.post("/imports").json(json!({"a": 1})).send().await;
    assert_problem(&wrong_type, 415, "unsupported_media_type");
    let latin = machine.post("/imports").header("content-type", "text/csv; charset=iso-8859-1");
    assert_problem(&latin.body(HEADER).send().await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn a_file_beyond_64_mib_is_refused_before_it_is_sent() {
    let app = TestService::start().await;
    let key = app.folder.secret("API_KEY");
    let head = |length: u32| {
        format!(
            "POST /imports HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             content-type: text/csv\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };

    let beyond = palisade_testing::raw(app.service.public(), head(64 * 1024 * 1024 + 1)).await;

    let beyond = String::from_utf8_lossy(&beyond);
    assert!(beyond.starts_with("HTTP/1.1 413 ") && beyond.contains("body_too_large"), "{beyond}");
}

#[tokio::test]
async fn a_file_sent_again_under_its_key_is_one_import() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    let machine = app.machine();
    let file = format!("{HEADER}x,ada,EUR,A,1,1.00\n");
    let keyed = async |machine: &Caller, file: String| {
        let call = machine.post("/imports").header("idempotency-key", "k");
        call.header("content-type", "text/csv").body(file).send().await
    };
    let mut together = JoinSet::new();
    for _ in 0..10 {
        let (machine, file) = (app.again(&machine), file.clone());
        together.spawn(async move { keyed(&machine, file).await });
    }
    let replies = together.join_all().await;

    for reply in &replies {
        reply.assert_status(202);
        assert_eq!(reply.json(), replies[0].json());
        assert_eq!(reply.header("location"), replies[0].header("location"));
    }
    assert_problem(&keyed(&machine, format!("{file}\n")).await, 409, "idempotency_conflict");
    let done = ended(&machine, &replies[0]).await;
    assert_eq!(done["orders_created"], json!(1));
    assert_eq!(references(&ada).await, ["x"]);
}

#[tokio::test]
async fn what_was_taken_on_is_worked_off_across_kills_and_nothing_is_made_twice() {
    const ORDERS: usize = 3_000;
    let mut app = Setup::default().setting("imports.lease", "1s").start().await;
    let ada = app.customer("ada").await;
    let mut file = HEADER.to_owned();
    for number in 0..ORDERS {
        writeln!(file, "o-{number},ada,EUR,A,1,1.00").unwrap();
        if number % 3 == 0 {
            writeln!(file, "o-{number},ada,EUR,B,1,1.00").unwrap();
        }
    }
    file.push_str("bad,ada,EUR,A,x,1.00\n");
    let accepted = upload(&app.machine(), file).await;
    accepted.assert_status(202);

    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        app.kill_and_restart().await;
    }

    let done = ended(&app.machine(), &accepted).await;
    assert_eq!(done["status"], json!("done"), "{done}");
    assert_eq!(done["orders_created"], json!(ORDERS));
    assert_eq!(done["rows_read"], json!(ORDERS + ORDERS / 3 + 1));
    assert_eq!(done["rows_rejected"], json!(1));
    let lines = exported(&app.machine()).await;
    assert_eq!(lines.lines().count(), 1 + ORDERS + ORDERS / 3);
    assert_eq!(app.again(&ada).page("/orders?limit=1&reference=o-0").await.0.len(), 1);
}

#[tokio::test]
async fn no_more_imports_are_open_than_may_be() {
    let app = Setup::default().setting("imports.open", "1").start().await;
    let machine = app.machine();
    let resting = app.folder.tamper(
        "INSERT INTO imports (id, actor, status, bytes, byte_offset, next_line, rows_read,
             rows_rejected, orders_created, attempts, created_at, updated_at)
         VALUES ('00000000000000000000000000', 'api_key', 'uploading', 0, 0, 1, 0, 0, 0, 0, 0, 0)",
    );
    assert_eq!(resting, Ok(1));

    let refused = upload(&machine, HEADER.to_owned()).await;

    assert_problem(&refused, 503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    machine.get("/imports/00000000000000000000000000").send().await.assert_status(404);
}

#[tokio::test]
async fn imports_that_were_over_long_ago_and_uploads_that_rest_are_removed() {
    let app = Setup::default().setting("retention.every", "1s").start().await;
    let ada = app.customer("ada").await;
    let machine = app.machine();
    let file = format!("{HEADER}x,ada,EUR,A,1,1.00\nbad,ada,EUR,A,0,1.00\n");
    let old = ended(&machine, &upload(&machine, file.clone()).await).await;
    let new = ended(&machine, &upload(&machine, file.replace("bad", "bad-2")).await).await;
    let path = |import: &Value| format!("/imports/{}", text(import, "id"));
    for statement in [
        format!("UPDATE imports SET updated_at = 0 WHERE id = '{}'", text(&old, "id")),
        "INSERT INTO imports (id, actor, status, bytes, byte_offset, next_line, rows_read,
             rows_rejected, orders_created, attempts, created_at, updated_at)
         VALUES ('00000000000000000000000000', 'api_key', 'uploading', 1, 0, 1, 0, 0, 0, 0, 0, 0)"
            .to_owned(),
        "INSERT INTO import_chunks (import_id, number, content)
         VALUES ('00000000000000000000000000', 0, CAST('x' AS BLOB))"
            .replace(
                "CAST('x' AS BLOB)",
                if app.folder.is_on_a_server() { "'x'" } else { "x'78'" },
            ),
    ] {
        assert_eq!(app.folder.tamper(&statement), Ok(1), "{statement}");
    }

    for _ in 0..200 {
        if app.folder.number("SELECT count(*) FROM imports") == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    machine.get(&path(&old)).send().await.assert_status(404);
    machine.get(&path(&new)).send().await.assert_status(200);
    assert_eq!(app.folder.number("SELECT count(*) FROM imports"), 1);
    assert_eq!(app.folder.number("SELECT count(*) FROM import_chunks"), 0);
    assert_eq!(app.folder.number("SELECT count(*) FROM import_rejections"), 1);
    assert_eq!(references(&ada).await, ["x"], "the orders stay");
}

#[tokio::test]
async fn the_export_holds_every_line_and_nothing_that_a_spreadsheet_runs() {
    let app = TestService::start().await;
    app.customer("ada").await;
    let machine = app.machine();
    let rows = "=1+1,ada,EUR,-A,1,1.00\n\"+say \"\"x\"\", y\",ada,EUR,A,2,1.50\n";
    ended(&machine, &upload(&machine, format!("{HEADER}{rows}")).await).await;

    let file = machine.get("/orders/export").send().await;

    file.assert_status(200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"orders.csv\""));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    let text = file.text();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "id,status,reference,customer,currency,sku,quantity,unit_price,total,created_at,\
         updated_at,version"
    );
    assert!(lines[1].contains(",new,\"'=1+1\",ada,EUR,\"'-A\",1,1.00,1.00,"), "{text}");
    assert!(lines[2].contains(",new,\"'+say \"\"x\"\", y\",ada,EUR,A,2,1.50,3.00,"), "{text}");
    assert_eq!((lines.len(), lines[3]), (4, ""));
}

async fn exported(machine: &Caller) -> String {
    machine.get("/orders/export").send().await.assert_status(200).text()
}

pub(crate) async fn upload(caller: &Caller, file: impl Into<Vec<u8>>) -> Reply {
    caller.post("/imports").header("content-type", "text/csv").body(file.into()).send().await
}

/// Waits for the end of an import, and returns what came of it.
pub(crate) async fn ended(caller: &Caller, accepted: &Reply) -> Value {
    let path = format!("/imports/{}", text(&accepted.assert_status(202).json(), "id"));
    for _ in 0..1_200 {
        let import = caller.get(&path).send().await.assert_status(200).json();
        if ["done", "failed"].contains(&text(&import, "status")) {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} does not end");
}

async fn rejected(caller: &Caller, id: &str) -> String {
    let reply = caller.get(&format!("/imports/{id}/rejections")).send().await;
    assert!(reply.assert_status(200).header("content-type").unwrap().starts_with("text/csv"));
    reply.text()
}

async fn references(caller: &Caller) -> Vec<String> {
    let (orders, _) = caller.page("/orders").await;
    orders.iter().map(|order| text(order, "reference").to_owned()).collect()
}

#[tokio::test]
async fn the_command_imports_tells_what_it_rejects_and_exports_what_is_there() {
    let folder = Setup::default().folder();
    folder.command(["migrate"]).run().await.assert_code(0);
    folder.user_add("ada", "customer").input(PASSWORD).run().await.assert_code(0);
    let path = |name: &str| folder.path().join(name);
    let rows = "a,ada,EUR,A,1,1.00\nb,ada,EUR,A,0,1.00\nb,ada,EUR,A,1,1.00\n";
    fs::write(path("orders-in.csv"), format!("{HEADER}{rows}")).unwrap();

    let imported = folder.command(["import", "orders-in.csv"]).run().await;
    let again =
        folder.command(["import", "-"]).input(format!("{HEADER}a,ada,EUR,A,1,1.00\n")).run().await;
    let listed = ["import", "orders-in.csv", "--rejections", "no.csv"];
    let listed = folder.command(listed).run().await;
    let exported = folder.command(["export"]).run().await;
    let to_a_file = folder.command(["export", "out.csv"]).run().await;
    let over_it = folder.command(["export", "out.csv"]).run().await;

    imported.assert_code(1);
    assert_eq!(imported.stdout, "3 rows read, 2 rejected, 1 orders created\n");
    assert!(imported.stderr.starts_with("line 3: quantity: "), "{}", imported.stderr);
    assert!(imported.stderr.contains("\nline 4: The reference is rejected"), "{}", imported.stderr);
    assert_eq!(again.assert_code(0).stdout, "1 rows read, 0 rejected, 0 orders created\n");
    listed.assert_code(1);
    let rejected = fs::read_to_string(path("no.csv")).unwrap();
    assert!(rejected.starts_with("line,code,detail\r\n3,range,"), "{rejected}");
    assert_eq!(exported.assert_code(0).stdout.lines().count(), 2);
    to_a_file.assert_code(0);
    assert_eq!(fs::read_to_string(path("out.csv")).unwrap(), exported.stdout);
    let mode = fs::metadata(path("out.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(over_it.assert_code(1).stderr.contains("--force"), "{}", over_it.stderr);
    folder.command(["export", "out.csv", "--force"]).run().await.assert_code(0);
    assert!(!path("out.csv.unfinished").exists());
}

#[tokio::test]
async fn what_the_command_cannot_do_it_says_and_leaves_nothing() {
    let folder = Setup::default().folder();
    folder.command(["migrate"]).run().await.assert_code(0);
    fs::write(folder.path().join("wrong.csv"), "a;b\n").unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();

    for (arguments, told) in [
        (vec!["import", "missing.csv"], "missing.csv"),
        (vec!["import", "wrong.csv"], "the first line must be"),
        (vec!["import", "."], "cannot be read"),
        (vec!["import", "wrong.csv", "--rejections", "out"], "no plain file"),
        (vec!["export", "out"], "no plain file"),
        (vec!["export", "nowhere/out.csv"], "nowhere/out.csv"),
    ] {
        let refused = folder.command(arguments.iter().copied()).run().await;
        assert!(refused.assert_code(1).stderr.contains(told), "{arguments:?}: {}", refused.stderr);
        assert_eq!(refused.stdout, "", "{arguments:?}");
    }
    folder.command(["import"]).run().await.assert_code(2);
}

#[tokio::test]
async fn the_command_works_beside_a_service_whoever_takes_the_file() {
    let app = TestService::start().await;
    app.customer("ada").await;
    let rows = (0..500).fold(HEADER.to_owned(), |mut rows, number| {
        writeln!(rows, "o-{number},ada,EUR,A,1,1.00").unwrap();
        rows
    });
    fs::write(app.folder.path().join("orders.csv"), rows).unwrap();

    let imported = app.folder.command(["import", "orders.csv"]).run().await;

    assert_eq!(imported.assert_code(0).stdout, "500 rows read, 0 rejected, 500 orders created\n");
    assert_eq!(app.folder.number("SELECT count(*) FROM orders"), 500);
}
