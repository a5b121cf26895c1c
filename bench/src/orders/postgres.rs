//! PostgreSQL: the service against pgbench, which sends the same statements and does nothing else.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::CALLERS;
use super::callers::Turn;
use super::cluster::Cluster;
use super::database::Database;
use super::rows::Rows;
use super::sample::{CURRENCY, LINES, Sample, TOTAL};
use super::sql;
use super::way::Way;
use crate::effort::Effort;
use crate::figures::Figures;

/// Measures both in turn; nothing without PostgreSQL.
///
/// # Errors
/// When the server fails.
pub(super) async fn measure(effort: Effort) -> anyhow::Result<Vec<Figures>> {
    let Some(cluster) = Cluster::start().await? else {
        crate::complain("orders: nothing of PostgreSQL; `apt-get install postgresql`");
        return Ok(Vec::new());
    };
    let turn = Turn { callers: CALLERS, warm_up: effort.before(), measured: effort.measured() };
    let mut rows = Rows::new(&ROWS);
    for number in 1..=effort.rounds {
        crate::complain(&format!("orders: PostgreSQL, round {number} of {}", effort.rounds));
        let service = Way::Service.take(&cluster.database().await?, turn).await?;
        let pgbench = pgbench(&cluster, effort).await?;
        rows.add(&[
            ("postgres_ratio_pgbench", service.per_second / pgbench),
            ("postgres_orders_per_s", service.per_second),
            ("pgbench_orders_per_s", pgbench),
            ("postgres_p50_us", service.p50_us),
            ("postgres_p99_us", service.p99_us),
        ])?;
    }
    cluster.stop().await?;
    Ok(rows.into_figures())
}

/// Has pgbench place orders from as many clients, and returns how many in a second.
async fn pgbench(cluster: &Cluster, effort: Effort) -> anyhow::Result<f64> {
    let database = cluster.database().await?;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("order.sql");
    std::fs::write(&script, script_for(&database)?)?;
    let run = async |seconds: u32, first: &str| {
        let arguments = [
            format!("-c{CALLERS}"),
            "-j2".to_owned(),
            format!("-T{seconds}"),
            "--no-vacuum".to_owned(),
            "--protocol=prepared".to_owned(),
            format!("--define=n={first}"),
            format!("--file={}", script.display()),
            database.url.clone(),
        ];
        cluster.pgbench(arguments.to_vec()).await
    };
    run(effort.warm_up, "0").await?;
    let said = run(effort.seconds, "1000000").await?.stdout;
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next()).context("pgbench told no rate")?;
    Ok(rate.parse()?)
}

/// Writes the transaction for pgbench. Its ids ascend for each client, as those of a service do.
fn script_for(database: &Database) -> anyhow::Result<String> {
    let order = Sample::new(1, &database.customer, 0);
    let body = String::from_utf8(order.body)?;
    let customer = format!("'{}'", database.customer);
    let mut script = String::from(
        "\\set n :n + 1\n\
         \\set id 10000000000000000 * (:client_id + 1) + :n\n\
         \\set key random(1, 9000000000000000000)\n\
         \\set fingerprint random(1, 9000000000000000000)\n\
         BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n",
    );
    let mut add = |statement: &str, values: &[&str]| {
        writeln!(script, "{};", filled(statement, values)).context("memory took no more")
    };
    let (now, end) = ("1795000000000", "1795086400000");
    let total = TOTAL.to_string();
    add(sql::CLAIM, &[":key", ":fingerprint", end, now])?;
    let currency = format!("'{CURRENCY}'");
    add(sql::ORDER, &[":id", &customer, &currency, ":id", &total, now, "1"])?;
    for (position, (sku, quantity, price)) in (1..).zip(LINES) {
        let [position, quantity, price] = [position, quantity, price].map(|n| n.to_string());
        add(sql::LINE, &[":id", &position, &format!("'{sku}'"), &quantity, &price])?;
    }
    add(sql::EVENT, &[":id", "1", now, &customer, "'place'", "NULL", "'new'"])?;
    let body = format!("'{body}'");
    add(sql::KEEP, &[":key", "201", "'application/json'", ":id", "'\"1\"'", &body])?;
    Ok(format!("{script}COMMIT;\n"))
}

/// Puts `values` where the statement has `$1`, `$2`, ..., in one line.
fn filled(statement: &str, values: &[&str]) -> String {
    let mut filled = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    // From the last one on, so that `$1` does not take the beginning of `$10`.
    for (number, value) in (1..).zip(values).collect::<Vec<_>>().into_iter().rev() {
        filled = filled.replace(&format!("${number}"), value);
    }
    filled
}

const ROWS: [(&str, &str); 5] = [
    ("postgres_ratio_pgbench", "PostgreSQL: orders/s, service / pgbench"),
    ("postgres_orders_per_s", "PostgreSQL, service: orders/s"),
    ("pgbench_orders_per_s", "PostgreSQL, pgbench: orders/s"),
    ("postgres_p50_us", "PostgreSQL, service: p50, us"),
    ("postgres_p99_us", "PostgreSQL, service: p99, us"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_value() {
        let statement = "UPDATE a\n   SET b = $2, c = $10 WHERE d = $1";
        let values = ["'x'", ":b", "", "", "", "", "", "", "", "10"];

        assert_eq!(filled(statement, &values), "UPDATE a SET b = :b, c = 10 WHERE d = 'x'");
    }

    #[test]
    fn the_script_has_one_transaction_and_no_parameter_left() {
        let database = Database { url: String::new(), customer: "ada".to_owned() };

        let script = script_for(&database).unwrap();

        assert_eq!(script.lines().filter(|line| line.ends_with(';')).count(), 9, "{script}");
        assert!(!script.contains('$'), "{script}");
    }
}
