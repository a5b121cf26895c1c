//! Migrations, and the rules of the tables they make.

use super::*;

const FIRST: Migration = Migration {
    version: 1,
    name: "accounts",
    sql: "CREATE TABLE accounts (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, made_at BIGINT \
          CHECK (made_at > 0));",
};
const SECOND: Migration = Migration {
    version: 2,
    name: "orders",
    sql: "CREATE TABLE orders (account TEXT NOT NULL REFERENCES accounts (id), key TEXT);
          CREATE UNIQUE INDEX orders_key ON orders (account, key) WHERE key IS NOT NULL;",
};

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let test = TestDb::open().await;
    let db = &test.db;
    let state = db.schema_state("desk", &[FIRST]).await.unwrap();
    assert_eq!(state, SchemaState::Older { applied: 0, known: 1 });

    assert_eq!(db.migrate("desk", &[FIRST]).await.unwrap(), 1);
    assert_eq!(db.migrate("desk", &[FIRST]).await.unwrap(), 0);
    assert_eq!(db.migrate("desk", &[FIRST, SECOND]).await.unwrap(), 1);
    assert_eq!(db.migrate("other", &[]).await.unwrap(), 0);

    let state = db.schema_state("desk", &[FIRST, SECOND]).await.unwrap();
    assert_eq!(state, SchemaState::UpToDate);
}

#[tokio::test]
async fn two_that_migrate_at_once_apply_each_migration_once() {
    let test = TestDb::open().await;
    let command = DbSettings::new(Purpose::Command);
    let beside = Db::open(&url_in(&test.folder), command).await.unwrap();

    let all = [FIRST, SECOND];
    let (one, other) = tokio::join!(test.db.migrate("desk", &all), beside.migrate("desk", &all));

    assert_eq!(one.unwrap() + other.unwrap(), 2);
}

#[tokio::test]
async fn a_changed_migration_is_refused_by_name() {
    let test = TestDb::open().await;
    test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap();
    let changed = Migration { sql: "CREATE TABLE accounts (id TEXT);", ..FIRST };

    let error = test.db.migrate("desk", &[changed, SECOND]).await.unwrap_err();

    let expected = "schema of desk, migration 1 accounts: its text was changed after it was \
                    applied: add a new migration instead";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let test = TestDb::open().await;
    test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap();

    let state = test.db.schema_state("desk", &[FIRST]).await.unwrap();
    let error = test.db.migrate("desk", &[FIRST]).await.unwrap_err();

    assert_eq!(state, SchemaState::Newer { applied: 2, known: 1 });
    assert!(matches!(error, DbError::TooNew { applied: 2, known: 1, .. }));
}

#[tokio::test]
async fn a_gap_is_refused_in_the_program_and_in_the_database() {
    let test = TestDb::open().await;
    let error = test.db.migrate("desk", &[SECOND]).await.unwrap_err();
    assert!(matches!(error, DbError::Schema { .. }));
    test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap();
    test.run("DELETE FROM palisade_migrations WHERE version = 1").await.unwrap();

    let error = test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap_err();

    assert!(matches!(error, DbError::Schema { .. }));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_and_those_before_it_stay() {
    let test = TestDb::open().await;
    let broken = Migration {
        sql: "CREATE TABLE left_over (id TEXT); CREATE TABLE accounts (id TEXT);",
        ..SECOND
    };

    let error = test.db.migrate("desk", &[FIRST, broken]).await.unwrap_err();

    assert!(matches!(error, DbError::Migration { name: "orders", .. }));
    assert!(test.run("INSERT INTO left_over VALUES ('x')").await.is_err());
    assert_eq!(test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_broken_rule_is_named() {
    let test = TestDb::open().await;
    test.db.migrate("desk", &[FIRST, SECOND]).await.unwrap();
    test.run("INSERT INTO accounts VALUES ('a', 'a@example.org', 1)").await.unwrap();
    test.run("INSERT INTO orders VALUES ('a', 'k')").await.unwrap();

    let unique = [
        ("INSERT INTO accounts VALUES ('a', 'b', 1)", "accounts.id"),
        ("INSERT INTO accounts VALUES ('b', 'a@example.org', 1)", "accounts.email"),
        ("INSERT INTO orders VALUES ('a', 'k')", "orders.account, orders.key"),
    ];
    for (sql, columns) in unique {
        let error = test.run(sql).await.unwrap_err();
        assert!(error.is_unique_violation(columns), "{error:?}");
        assert!(!error.to_string().contains("example"));
    }
    let others = [
        ("INSERT INTO orders VALUES ('b', 'k')", ConstraintKind::ForeignKey, ""),
        ("INSERT INTO accounts VALUES ('b', NULL, 1)", ConstraintKind::NotNull, "accounts.email"),
        ("INSERT INTO accounts VALUES ('b', 'b', 0)", ConstraintKind::Check, "made_at > 0"),
        ("INSERT INTO accounts VALUES ('b', 'b', 'x')", ConstraintKind::Type, "accounts.made_at"),
    ];
    for (sql, expected, called) in others {
        let error = test.run(sql).await.unwrap_err();
        let found = matches!(&error, DbError::Constraint { kind, name }
            if *kind == expected && name == called);
        assert!(found, "{error:?}");
    }
}
