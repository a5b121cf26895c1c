//! Changing the schema: numbered texts, each applied once, in order, and never changed after.

use super::error::DbError;
use super::portable;
use super::row::Row;
use super::tx::{Dialect, Tx};
use crate::args;
use crate::clock::Timestamp;

/// Where what was applied is written down.
pub(super) const SQLITE_TABLE: &str = "CREATE TABLE IF NOT EXISTS palisade_migrations (
    component TEXT NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (component, version)
) STRICT, WITHOUT ROWID";

const POSTGRES_TABLE: &str = "CREATE TABLE IF NOT EXISTS palisade_migrations (
    component TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (component, version)
)";

/// One step of a component's schema.
///
/// The text is one for both databases: statements ended by `;`, of the kinds `CREATE TABLE`,
/// `CREATE [UNIQUE] INDEX`, `ALTER TABLE`, `DROP`, `INSERT INTO`, `UPDATE` and `DELETE FROM`,
/// with the column types `INTEGER`, `BIGINT`, `TEXT` and `BLOB`. Moments are milliseconds in a
/// `BIGINT`. On SQLite every table becomes `STRICT`. A step must leave the previous release
/// working, and is never changed once it was released.
///
/// ```
/// use palisade::db::Migration;
///
/// const MIGRATIONS: &[Migration] = &[Migration {
///     version: 1,
///     name: "notes",
///     sql: "CREATE TABLE notes (id TEXT PRIMARY KEY, made_at BIGINT NOT NULL);",
/// }];
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place: 1 for the first, and then without a gap.
    pub version: u32,
    /// What it brings, in a word or two.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

impl Migration {
    fn checksum(&self) -> String {
        data_encoding::HEXLOWER.encode(&crate::crypto::digest(self.sql.as_bytes()))
    }

    fn error(&self, component: &'static str, problem: &'static str) -> DbError {
        let migration = format!("{} {}", self.version, self.name);
        DbError::Schema { component, migration, problem }
    }
}

/// How the schema in the database compares with what the program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// It is what the program knows.
    UpToDate,
    /// Migrations wait to be applied.
    Older {
        /// The version in the database; 0 if nothing was applied.
        applied: u32,
        /// The newest version that the program knows.
        known: u32,
    },
    /// A newer program was here.
    Newer {
        /// The version in the database.
        applied: u32,
        /// The newest version that the program knows.
        known: u32,
    },
}

/// Refuses a list that does not count 1, 2, 3, … or holds a text that cannot be applied.
pub(super) fn check(component: &'static str, migrations: &[Migration]) -> Result<(), DbError> {
    for (migration, expected) in migrations.iter().zip(1_u32..) {
        if migration.version != expected {
            let problem = "versions count from 1 in order, without a gap";
            return Err(migration.error(component, problem));
        }
        portable::statements(migration.sql, Dialect::Sqlite)
            .map_err(|why| migration.error(component, why))?;
    }
    Ok(())
}

/// Compares what was applied with what is known.
pub(super) async fn state(
    tx: &mut Tx<'_>,
    component: &'static str,
    migrations: &[Migration],
) -> Result<SchemaState, DbError> {
    let exists = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'palisade_migrations'"
        }
        Dialect::Postgres => {
            "SELECT 1 FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_name = 'palisade_migrations'"
        }
    };
    if tx.query_optional(exists, args![], |_| Ok(())).await?.is_none() {
        return Ok(compared(0, migrations));
    }
    let applied = tx
        .query(
            "SELECT version, name, checksum FROM palisade_migrations \
             WHERE component = $1 ORDER BY version",
            args![component],
            Applied::read,
        )
        .await?;
    for (row, expected) in applied.iter().zip(1_u32..) {
        row.check(component, expected, migrations)?;
    }
    Ok(compared(u32::try_from(applied.len()).unwrap_or(u32::MAX), migrations))
}

/// Applies the next migration, or returns `None` if there is nothing to do.
pub(super) async fn apply_next(
    tx: &mut Tx<'_>,
    component: &'static str,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<Option<Step>, DbError> {
    let applied = match state(tx, component, migrations).await? {
        SchemaState::UpToDate => return Ok(None),
        SchemaState::Newer { applied, known } => {
            return Err(DbError::TooNew { component, applied, known });
        }
        SchemaState::Older { applied, .. } => applied,
    };
    let Some(next) = migrations.iter().find(|migration| migration.version > applied) else {
        return Ok(None);
    };
    let statements = portable::statements(next.sql, tx.dialect())
        .map_err(|problem| next.error(component, problem))?;
    // First the row: another process that is about to do the same waits for it, and finds it done.
    let changed = tx
        .execute(
            "INSERT INTO palisade_migrations (component, version, name, checksum, applied_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            args![component, next.version, next.name, next.checksum(), now],
        )
        .await?;
    if changed == 0 {
        return Ok(Some(Step::DoneByAnother));
    }
    for statement in statements {
        tx.apply(&statement).await.map_err(|error| DbError::Migration {
            component,
            name: next.name,
            source: Box::new(error),
        })?;
    }
    Ok(Some(Step::Applied(*next)))
}

/// Makes the table of what was applied, if it is missing.
///
/// # Errors
///
/// On PostgreSQL, two processes that do this at once may hinder each other: it is tried again.
pub(super) async fn prepare(tx: &mut Tx<'_>) -> Result<(), DbError> {
    match tx.dialect() {
        Dialect::Sqlite => tx.apply(SQLITE_TABLE).await,
        Dialect::Postgres => tx.apply(POSTGRES_TABLE).await,
    }
}

/// What one step of a migration came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// This migration was applied.
    Applied(Migration),
    /// Another process was faster.
    DoneByAnother,
}

fn compared(applied: u32, migrations: &[Migration]) -> SchemaState {
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    match applied.cmp(&known) {
        std::cmp::Ordering::Less => SchemaState::Older { applied, known },
        std::cmp::Ordering::Equal => SchemaState::UpToDate,
        std::cmp::Ordering::Greater => SchemaState::Newer { applied, known },
    }
}

struct Applied {
    version: u32,
    name: String,
    checksum: String,
}

impl Applied {
    fn read(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            version: row.get("version")?,
            name: row.get("name")?,
            checksum: row.get("checksum")?,
        })
    }

    fn check(
        &self,
        component: &'static str,
        expected: u32,
        migrations: &[Migration],
    ) -> Result<(), DbError> {
        let problem = if self.version != expected {
            "it was applied, and one before it was not"
        } else {
            // One that is not known yet is for `compared` to judge.
            match migrations.iter().find(|migration| migration.version == self.version) {
                Some(known) if known.checksum() != self.checksum => {
                    "its text was changed after it was applied: add a new migration instead"
                }
                _ => return Ok(()),
            }
        };
        let migration = format!("{} {}", self.version, self.name);
        Err(DbError::Schema { component, migration, problem })
    }
}
