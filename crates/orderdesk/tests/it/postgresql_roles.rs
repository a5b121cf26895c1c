//! Least rights, to the letter of docs/operate/postgresql.md.

use crate::support::{Setup, TestService};
use crate::support_cluster::Cluster;

const MANUAL: &str = include_str!("../../../../docs/operate/postgresql.md");

#[tokio::test]
#[ignore = "slow: run by tests/slow/65-postgresql-faults.sh"]
async fn the_user_that_serves_changes_rows_and_no_tables() {
    let cluster = Cluster::start();
    let (_, rest) = MANUAL.split_once("```sql\n").unwrap();
    let (sql, _) = rest.split_once("```").unwrap();
    cluster.script(sql);
    let address = |user: &str| format!("postgres://{user}@127.0.0.1:{}/orderdesk", cluster.port());
    let folder = Setup::default()
        .setting("database.migrate", "false")
        .variable("DATABASE_URL", &address("orderdesk"))
        .folder();

    let refused = folder.serve().try_start().await.unwrap_err().to_string();
    assert!(refused.contains("run `orderdesk migrate` first"), "{refused}");
    let migrate = folder.command(["migrate"]);
    migrate.env("DATABASE_URL", address("orderdesk_owner")).run().await.assert_code(0);

    let app = TestService { service: folder.serve().start().await, folder };
    let ada = app.customer("ada").await;
    let id = ada.keyed("k", "/orders", Some(crate::support::order_body("1.00"))).await.json();
    app.machine().pay(crate::support::text(&id, "id")).await.assert_status(200);

    for (statement, why) in [
        ("CREATE TABLE notes (id int)", "permission denied for schema public"),
        ("CREATE SCHEMA own", "permission denied for database orderdesk"),
        ("CREATE TEMP TABLE notes (id int)", "permission denied to create temporary tables"),
        ("DROP TABLE order_events", "must be owner of table order_events"),
        ("TRUNCATE order_events", "permission denied for table order_events"),
        ("ALTER TABLE orders DROP COLUMN total", "must be owner of table orders"),
        ("CREATE INDEX ON orders (total)", "must be owner of table orders"),
        ("ALTER TABLE orders DISABLE TRIGGER ALL", "must be owner of table orders"),
        ("CREATE ROLE another LOGIN", "permission denied to create role"),
        ("COPY orders TO PROGRAM 'cat'", "must be superuser"),
    ] {
        let said = cluster.refusal(&address("orderdesk"), statement);
        assert!(said.contains(why), "{statement}: {said}");
    }
    cluster.ask("CREATE ROLE stranger LOGIN");
    let said = cluster.refusal(&address("stranger"), "SELECT 1");
    assert!(said.contains("permission denied for database"), "{said}");
}
