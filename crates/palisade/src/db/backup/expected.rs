//! What stands in a file beside what this program would have made.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::error::Fault;
use crate::db::inspect::Schema;
use crate::db::migrate::{self, SchemaState};
use crate::db::tx::Dialect;
use crate::db::{DbError, portable};

/// Kind and name of everything in a schema, with its text. What SQLite makes itself is left out.
type Objects = BTreeMap<(String, String), String>;

/// How the schema of a file differs from the one that the program would have made.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// What keeps the file from being used.
    pub(super) faults: Vec<Fault>,
    /// What is worth a look.
    pub(super) notes: Vec<String>,
}

/// Compares the schema of a file with that of a fresh database, brought to the versions in `states`.
///
/// With a newer one there is nothing to compare it with: only what could run is told.
pub(super) fn compare(
    file: &Connection,
    states: &[(Schema, SchemaState)],
) -> Result<Difference, DbError> {
    let is_newer = states.iter().any(|(_, state)| matches!(state, SchemaState::Newer { .. }));
    let known = expected(states)?;
    let found = objects(file).map_err(DbError::from_driver)?;
    let mut difference = Difference::default();
    for ((kind, name), text) in &found {
        match known.get(&(kind.clone(), name.clone())) {
            Some(expected) if expected == text || is_newer => {}
            Some(_) => difference.notes.push(format!("the {kind} {name} has another form")),
            None if is_active(kind, text) => {
                let fault = Fault::Active { kind: kind.clone(), name: name.clone() };
                difference.faults.push(fault);
            }
            None if is_newer => {}
            None => difference.notes.push(format!("the {kind} {name} is not of this program")),
        }
    }
    if is_newer {
        return Ok(difference);
    }
    for (kind, name) in known.keys().filter(|key| !found.contains_key(*key)) {
        match kind.as_str() {
            "table" => difference.faults.push(Fault::Missing(name.clone())),
            _ => difference.notes.push(format!("the {kind} {name} is missing")),
        }
    }
    Ok(difference)
}

/// Tells whether statements of the program would run what somebody else put there.
fn is_active(kind: &str, text: &str) -> bool {
    kind == "trigger" || kind == "view" || is_virtual(text)
}

/// Tells whether code outside of the file stands for a table.
pub(super) fn is_virtual(text: &str) -> bool {
    text.trim_start().to_ascii_uppercase().starts_with("CREATE VIRTUAL")
}

fn expected(states: &[(Schema, SchemaState)]) -> Result<Objects, DbError> {
    let fresh = Connection::open_in_memory().map_err(DbError::from_driver)?;
    fresh.execute_batch(migrate::SQLITE_TABLE).map_err(DbError::from_driver)?;
    for (schema, state) in states {
        let applied = match *state {
            SchemaState::UpToDate => u32::MAX,
            SchemaState::Older { applied, .. } | SchemaState::Newer { applied, .. } => applied,
        };
        for migration in schema.migrations.iter().filter(|step| step.version <= applied) {
            // `migrate::check` has found them readable before anything was applied.
            for statement in
                portable::statements(migration.sql, Dialect::Sqlite).unwrap_or_default()
            {
                fresh.execute(&statement, []).map_err(DbError::from_driver)?;
            }
        }
    }
    objects(&fresh).map_err(DbError::from_driver)
}

pub(super) fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement = connection.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
         WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY type, name",
    )?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}
