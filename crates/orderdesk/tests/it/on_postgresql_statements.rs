//! One text of SQL for both databases: every statement is known, runs on both, and where the two
//! differ there is a reason.

use std::collections::BTreeSet;

use crate::support::TestService;
use crate::support_statements::{Written, do_everything, sent_by, telling};

/// Statements that one database alone is asked, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() \
         AND table_name = 'palisade_migrations'",
        "what tables there are is asked of the catalogue, of which each has its own",
    ),
    (
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'palisade_migrations'",
        "the same",
    ),
    (
        "SELECT 1 WHERE current_setting('transaction_read_only') = 'off'",
        "a server may be a standby, and a file has none",
    ),
];

#[tokio::test]
#[ignore = "needs a server: run by the section PostgreSQL of test.sh"]
async fn every_statement_runs_on_both_databases_in_the_same_words() {
    let (mut on_a_server, mut in_a_file) =
        tokio::join!(telling().start(), telling().in_a_file().start());
    tokio::join!(do_everything(&on_a_server), do_everything(&in_a_file));
    // The log is written behind the requests: its last line is there at the end.
    tokio::join!(on_a_server.service.terminate(), in_a_file.service.terminate());
    let (server, file) = (sent_by(&on_a_server), sent_by(&in_a_file));
    let sent: BTreeSet<_> = server.union(&file).cloned().collect();
    let written = Written::read();

    // What this test does not have sent is prepared on both.
    let unsent: Vec<_> = written.statements.difference(&sent).collect();
    for sql in &unsent {
        assert_prepared_by(&on_a_server, &in_a_file, sql);
    }
    let is_sent = |part: &String| sent.iter().any(|sql| sql.contains(part));
    let lost: Vec<_> = written.parts.iter().filter(|part| !is_sent(part)).collect();
    assert_eq!(lost, [""; 0], "send a statement with each part in `do_everything`");

    let differ: BTreeSet<_> = server.symmetric_difference(&file).map(String::as_str).collect();
    let all = sent.len() + unsent.len();
    println!(
        "{all} statements, {} differ; {} of them were prepared only",
        differ.len(),
        unsent.len()
    );
    let known: BTreeSet<_> = DIFFERENT.iter().map(|(sql, _)| *sql).collect();
    assert_eq!(differ, known, "one text serves both; if it cannot, say why in `DIFFERENT`");
    assert!(sent.len() > 40 && written.statements.len() > 30 && written.parts.len() > 5);
}

#[track_caller]
fn assert_prepared_by(on_a_server: &TestService, in_a_file: &TestService, sql: &str) {
    let database = in_a_file.folder.open_database();
    assert!(database.prepare(sql).is_ok(), "{sql}: {:?}", database.prepare(sql).err());
    let prepared = format!("PREPARE it AS {sql}");
    let prepared = on_a_server.folder.server_database().try_script(&prepared);
    assert!(prepared.is_ok(), "{sql}: {prepared:?}");
}
