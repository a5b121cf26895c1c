//! A transaction, as features see it: statements with bound values, and rows.
//!
//! The methods are `async` because PostgreSQL answers over a network. SQLite answers at once.

use std::cell::Cell;
use std::time::Instant;

use rusqlite::{CachedStatement, Connection};

use super::error::DbError;
use super::postgres::Session;
use super::row::Row;
use super::value::Args;
use super::watch::Watch;

/// One transaction. It ends with the work that it was handed to: kept if that returns `Ok`.
///
/// SQL is `&'static str`, so that it cannot be put together from input, and must leave
/// transactions alone: no `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`.
///
/// A statement that fails ends the transaction: those behind it are [`DbError::Aborted`], and
/// nothing is kept, whatever the work returns. Ask first, or use `ON CONFLICT DO NOTHING`.
pub struct Tx<'c> {
    connection: Link<'c>,
    /// None where somebody waits for one command to end, however long it takes.
    watch: Option<&'c Watch>,
    lost: Option<DbError>,
    failure: Option<DbError>,
    is_outdating: bool,
    has_written: Cell<bool>,
}

/// The connection that the transaction is on.
#[derive(Clone, Copy)]
enum Link<'c> {
    Sqlite(&'c Connection),
    Postgres(&'c Session),
}

/// Which kind of database a transaction is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl<'c> Tx<'c> {
    /// Wraps a connection whose transaction has begun.
    pub(super) fn new(connection: &'c Connection, watch: Option<&'c Watch>) -> Self {
        Self::over(Link::Sqlite(connection), watch)
    }

    /// Wraps a connection to a server, on which a transaction begins with the first statement.
    pub(super) fn remote(session: &'c Session, watch: &'c Watch) -> Self {
        Self::over(Link::Postgres(session), Some(watch))
    }

    fn over(connection: Link<'c>, watch: Option<&'c Watch>) -> Self {
        let has_written = Cell::new(false);
        Self { connection, watch, lost: None, failure: None, is_outdating: false, has_written }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.connection {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Returns how the first statement failed, if one did: nothing may be kept then.
    pub(super) fn failure(&self) -> Option<&DbError> {
        self.failure.as_ref()
    }

    /// Says that this change takes something away that others may remember: once it is committed,
    /// and before it is answered, [`Db::generation`](super::Db::generation) is another.
    pub(crate) fn outdate(&mut self) {
        self.is_outdating = true;
    }

    pub(super) fn is_outdating(&self) -> bool {
        self.is_outdating
    }

    /// Tells whether a statement ran on SQLite that is not one of those that only read.
    pub(super) fn has_written(&self) -> bool {
        self.has_written.get()
    }

    /// Runs a statement that answers no rows and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// Any [`DbError`]; the statement has then changed nothing.
    pub async fn execute(&mut self, sql: &'static str, args: &Args<'_>) -> Result<u64, DbError> {
        self.demand_sound()?;
        let done = match self.connection {
            Link::Sqlite(connection) => self.guarded(connection, sql, |connection, has_written| {
                let changed = prepared(connection, has_written, (sql, args))?.raw_execute();
                Ok(u64::try_from(changed.map_err(DbError::from_driver)?).unwrap_or(u64::MAX))
            }),
            Link::Postgres(session) => self.watched(sql, session.execute(sql, args)).await,
        };
        self.noted(done)
    }

    /// Returns what `read` makes of each row, in the order of the statement.
    ///
    /// # Errors
    ///
    /// Any [`DbError`], and the first error of `read`.
    pub async fn query<T>(
        &mut self,
        sql: &'static str,
        args: &Args<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        self.rows(sql, args, usize::MAX, read).await
    }

    /// Returns what `read` makes of the only row, or `None` if there is no row.
    ///
    /// # Errors
    ///
    /// [`DbError::RowCount`] if there is more than one row; else as [`Tx::query`].
    pub async fn query_optional<T>(
        &mut self,
        sql: &'static str,
        args: &Args<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Option<T>, DbError> {
        let mut rows = self.rows(sql, args, 2, read).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            found => Err(DbError::RowCount { found }),
        }
    }

    /// Returns what `read` makes of the only row.
    ///
    /// # Errors
    ///
    /// [`DbError::RowCount`] if there is no row or more than one; else as [`Tx::query`].
    pub async fn query_one<T>(
        &mut self,
        sql: &'static str,
        args: &Args<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let row = self.query_optional(sql, args, read).await?;
        row.ok_or(DbError::RowCount { found: 0 })
    }

    /// Asks whether a write would be taken: a server may be a standby, or set to read only.
    pub(super) async fn demand_writable(&mut self) -> Result<(), DbError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "SELECT 1",
            Dialect::Postgres => "SELECT 1 WHERE current_setting('transaction_read_only') = 'off'",
        };
        if self.query_optional(sql, &[], |_| Ok(())).await?.is_some() {
            return Ok(());
        }
        if let Link::Postgres(session) = self.connection {
            session.forsake();
        }
        Err(DbError::WritesRefused)
    }

    /// Runs one statement of a migration, which cannot be `'static` after it was adapted.
    pub(super) async fn apply(&mut self, statement: &str) -> Result<(), DbError> {
        self.demand_sound()?;
        let done = match self.connection {
            Link::Sqlite(connection) => self.whole(connection, |has_written| {
                has_written.set(true);
                connection.execute(statement, []).map(|_| ()).map_err(DbError::from_driver)
            }),
            Link::Postgres(session) => session.apply(statement).await,
        };
        self.noted(done)
    }

    /// Returns why the whole transaction is gone, if it is.
    pub(super) fn take_loss(&mut self) -> Option<DbError> {
        if self.lost.is_none()
            && let Link::Sqlite(connection) = self.connection
            && connection.is_autocommit()
        {
            return Some(DbError::Aborted);
        }
        self.lost.take()
    }

    async fn rows<T>(
        &mut self,
        sql: &'static str,
        args: &Args<'_>,
        most: usize,
        mut read: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        self.demand_sound()?;
        let mut found = Vec::new();
        let done = match self.connection {
            Link::Sqlite(connection) => self.guarded(connection, sql, |connection, has_written| {
                let mut statement = prepared(connection, has_written, (sql, args))?;
                let mut rows = statement.raw_query();
                while found.len() < most {
                    let Some(row) = rows.next().map_err(DbError::from_driver)? else {
                        break;
                    };
                    found.push(read(&Row::local(row))?);
                }
                Ok(())
            }),
            Link::Postgres(session) => {
                let take = |row: &tokio_postgres::Row| {
                    found.push(read(&Row::remote(row))?);
                    Ok(found.len() < most)
                };
                self.watched(sql, session.query(sql, args, take)).await
            }
        };
        self.noted(done)?;
        Ok(found)
    }

    /// PostgreSQL refuses what follows a failure, and so does SQLite here, so that what works on
    /// one works on the other.
    fn demand_sound(&self) -> Result<(), DbError> {
        if self.failure.is_some() { Err(DbError::Aborted) } else { Ok(()) }
    }

    fn noted<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(error) = &done
            && !error.spares_the_transaction()
        {
            self.failure.get_or_insert_with(|| error.clone());
        }
        done
    }

    /// Runs `statement` of a feature, within its time.
    fn guarded<T>(
        &mut self,
        connection: &Connection,
        sql: &'static str,
        statement: impl FnOnce(&Connection, &Cell<bool>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let watch = self.watch;
        self.whole(connection, |has_written| match watch {
            Some(watch) => watch.bounded(sql, || statement(connection, has_written)),
            None => statement(connection, has_written),
        })
    }

    /// Runs `statement`, unless the transaction is gone: then it would commit on its own.
    fn whole<T>(
        &mut self,
        connection: &Connection,
        statement: impl FnOnce(&Cell<bool>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        if connection.is_autocommit() {
            return Err(DbError::Aborted);
        }
        let result = statement(&self.has_written);
        if connection.is_autocommit() {
            self.lost = Some(result.as_ref().err().cloned().unwrap_or(DbError::Aborted));
        }
        result
    }

    /// Runs `statement` on a server, which ends it when its time is over.
    async fn watched<T>(
        &self,
        sql: &'static str,
        statement: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        let begun = Instant::now();
        let done = statement.await;
        if let Some(watch) = self.watch {
            watch.note(sql, begun, &done);
        }
        done
    }
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tx(..)")
    }
}

/// Returns the statement with its values bound.
///
/// SQLite takes `$2` for a name and counts parameters as they first appear, so each is bound
/// by the number in its name.
fn prepared<'c>(
    connection: &'c Connection,
    has_written: &Cell<bool>,
    (sql, args): (&'static str, &Args<'_>),
) -> Result<CachedStatement<'c>, DbError> {
    let mut statement = connection.prepare_cached(sql).map_err(DbError::from_driver)?;
    if !statement.readonly() {
        has_written.set(true);
    }
    let expected = statement.parameter_count();
    let mismatch = DbError::ArgumentCount { expected, given: args.len() };
    if expected != args.len() {
        return Err(mismatch);
    }
    for place in 1..=expected {
        let number = statement.parameter_name(place).and_then(|name| name.strip_prefix('$'));
        let number = number.and_then(|digits| digits.parse::<usize>().ok());
        let Some(value) = number.and_then(|number| args.get(number.checked_sub(1)?)) else {
            return Err(mismatch);
        };
        let bound = rusqlite::types::ToSqlOutput::Borrowed(value.as_driver());
        statement.raw_bind_parameter(place, bound).map_err(DbError::from_driver)?;
    }
    Ok(statement)
}
