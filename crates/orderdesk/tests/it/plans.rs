//! What the database does for each statement when there are many orders: it walks an index.

use std::fmt::Write as _;
use std::fs;

use crate::support::{Caller, TestService, order_body, text};
use crate::support_orders_stored::store_orders;
use crate::support_statements::{do_everything, sent_by, telling};

const ORDERS: i64 = 10_000;

/// Tables that grow with the orders.
const LARGE: [&str; 4] = ["orders", "order_lines", "order_events", "palisade_idempotency"];

/// What the statements call them.
const ALIASES: [&str; 3] = ["o", "l", "e"];

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn at_ten_thousand_orders_no_plan_of_the_server_reads_a_whole_table() {
    let app = telling().start().await;
    let server = app.folder.server_database();
    fill(&app);
    server.script("ANALYZE");
    server.script(&format!(
        "ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
         ALTER DATABASE {name} SET auto_explain.log_min_duration = 0",
        name = server.name()
    ));
    let before = log().len();
    // Its connections are new from here on.
    server.script(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'palisade'",
    );

    ask_for_everything(&app).await;

    let log = log().split_off(before);
    let plans: Vec<_> =
        log.split("duration: ").filter(|plan| plan.contains("Query Text:")).collect();
    assert!(plans.len() > 100, "{} plans", plans.len());
    let mut whole = String::new();
    for plan in plans {
        if let Some(table) = LARGE.iter().find(|table| reads_whole(plan, table)) {
            writeln!(whole, "{table}: {plan}").unwrap();
        }
    }
    assert!(whole.is_empty(), "{whole}");
}

fn reads_whole(plan: &str, table: &str) -> bool {
    let scan = format!("Seq Scan on {table} ");
    plan.lines().any(|line| line.contains(&scan))
}

#[tokio::test]
async fn at_ten_thousand_orders_no_plan_of_sqlite_reads_a_whole_table() {
    let app = telling().in_a_file().start().await;
    fill(&app);
    do_everything(&app).await;

    let database = app.folder.open_database();
    let statements = sent_by(&app);
    let mut whole = Vec::new();
    for sql in &statements {
        let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = plan.parameter_count();
        let nothing = vec![rusqlite::types::Null; count];
        let steps = plan.query_map(rusqlite::params_from_iter(nothing), |row| row.get("detail"));
        let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
        let missed = sought_without(sql, &steps);
        if !missed.is_empty() || steps.iter().any(|step| is_whole(step, &steps)) {
            whole.push(format!("{sql}\n  {missed:?}\n    {}", steps.join("\n    ")));
        }
    }

    assert!(statements.len() > 40);
    assert!(whole.is_empty(), "{}", whole.join("\n"));
}

/// Returns the columns of the statement's leading conditions that no step seeks by: an index that
/// lacks one of them makes the list of a customer as slow as everybody's orders are many.
fn sought_without(sql: &str, steps: &[String]) -> Vec<&'static str> {
    let conditions = [
        ("customer = $1 AND", "customer=?"),
        (" AND status = $2 AND", "status=?"),
        (" AND reference = $3 AND", "reference=?"),
    ];
    let is_missed = |(asked, sought): &(&str, &str)| {
        sql.starts_with("SELECT")
            && sql.contains(asked)
            && !steps.iter().any(|step| step.contains(sought))
    };
    conditions.into_iter().filter(is_missed).map(|(_, sought)| sought).collect()
}

/// Tells whether a step reads a table from its beginning to its end; a part of the statement that
/// has come to its few rows before may be read so.
fn is_whole(step: &str, steps: &[String]) -> bool {
    let Some(what) = step.strip_prefix("SCAN ") else { return false };
    let table = what.split(' ').next().unwrap();
    let is_made_before = steps.iter().any(|step| step == &format!("CO-ROUTINE {table}"));
    let is_large = LARGE.contains(&table) || ALIASES.contains(&table);
    !what.contains("USING") && is_large && !is_made_before
}

fn fill(app: &TestService) {
    store_orders(&app.folder, ORDERS);
    let hash =
        if app.folder.is_on_a_server() { "decode(md5(n::text), 'hex')" } else { "randomblob(16)" };
    app.folder.script(&format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ORDERS})
         INSERT INTO palisade_idempotency (key_hash, fingerprint, expires_at, status)
         SELECT {hash}, {hash}, 9999999999999 + n, 201 FROM numbers"
    ));
}

/// Everything, and what callers do most so often that the server has settled on a plan: after five
/// times it may take one that fits no value in particular.
async fn ask_for_everything(app: &TestService) {
    do_everything(app).await;
    let (ada, machine) = (app.signed_in("ada").await, app.machine());
    for round in 0..8 {
        let (key, order) = (format!("r{round}"), order_body("1.00"));
        let placed = ada.keyed(&key, "/orders", Some(order)).await;
        let id = text(&placed.assert_status(201).json(), "id").to_owned();
        machine.pay(&id).await.assert_status(200);
        for caller in [&ada, &machine] {
            look(caller, &id, round).await;
        }
    }
}

async fn look(caller: &Caller, id: &str, round: usize) {
    caller.order(id).await.assert_status(200);
    caller.history(id).await;
    let reference = format!("reference=ref-{}", round * 300);
    for filter in [
        String::new(),
        "status=new".to_owned(),
        "status=shipped".to_owned(),
        reference.clone(),
        format!("status=paid&{reference}"),
        "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z".to_owned(),
        "status=new&from=2026-01-01T00:00:00Z".to_owned(),
    ] {
        caller.page(&format!("/orders?{filter}")).await;
    }
}

/// Returns what the server has logged.
#[expect(
    clippy::disallowed_methods,
    reason = "what the tests are asked is no setting of a service"
)]
fn log() -> String {
    let file =
        std::env::var("ORDERDESK_TEST_POSTGRES_LOG").expect("run this by tests/postgresql.sh");
    String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()
}
