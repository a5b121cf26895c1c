//! One connection: its prepared statements, and the transaction that it is in.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio_postgres::{Client, Error, Statement};

use super::super::error::DbError;
use super::super::value::Args;
use super::address::Address;
use super::fault::{Keys, Remedy, remedy, sorted};
use super::values::kind_of;

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection, used by one task.
pub(in super::super) struct Session {
    client: Client,
    statements: RefCell<HashMap<&'static str, Statement>>,
    keys: RefCell<Keys>,
    /// What begins the transaction, until it has begun.
    begin: Cell<Option<&'static str>>,
    has_begun: Cell<bool>,
    remedy: Cell<Option<Remedy>>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

impl Mode {
    /// A read sees one snapshot; a write guards its updates by what they expect to find.
    fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }
}

impl Session {
    /// Connects, and learns what the unique keys are called.
    pub(super) async fn connect(address: &Address) -> Result<Self, DbError> {
        let connecting = tokio::time::timeout(CONNECT, address.connect());
        let client = connecting.await.map_err(DbError::unreachable)??;
        let session = Self {
            client,
            statements: RefCell::default(),
            keys: RefCell::default(),
            begin: Cell::new(None),
            has_begun: Cell::new(false),
            remedy: Cell::new(None),
        };
        session.learn_keys().await?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Says that a transaction begins with the next statement.
    pub(super) fn arm(&self, mode: Mode) {
        self.begin.set(Some(mode.begin()));
        self.has_begun.set(false);
        self.remedy.set(None);
    }

    /// Returns what can be done about the failure of a statement, if there was one.
    pub(super) fn failure(&self) -> Option<Remedy> {
        self.remedy.get()
    }

    /// Commits what was begun.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.end("COMMIT").await
    }

    /// Tells what a commit that failed means: undone for the sake of others (`Ok`), or something
    /// that trying again does not mend (`Err`).
    pub(super) fn judge_commit(&self, error: Error) -> Result<DbError, DbError> {
        let keys = self.keys.borrow();
        match (remedy(&error, &keys), error.as_db_error().is_some()) {
            (Remedy::Again, _) => Ok(DbError::Contended),
            (Remedy::Reconnect, false) => Err(DbError::Unknown),
            _ => Err(sorted(error, &keys)),
        }
    }

    /// Undoes what was begun.
    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        self.end("ROLLBACK").await
    }

    async fn end(&self, how: &str) -> Result<(), Error> {
        self.begin.set(None);
        if self.has_begun.replace(false) { self.client.batch_execute(how).await } else { Ok(()) }
    }

    pub(in super::super) async fn execute(
        &self,
        sql: &'static str,
        args: &Args<'_>,
    ) -> Result<u64, DbError> {
        let statement = self.prepared(sql, args).await?;
        let run = async { self.client.execute_raw(&statement, args.iter()).await };
        self.begun(run).await
    }

    /// Hands every row to `take` until that says that it has enough.
    pub(in super::super) async fn query(
        &self,
        sql: &'static str,
        args: &Args<'_>,
        mut take: impl FnMut(&tokio_postgres::Row) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        let statement = self.prepared(sql, args).await?;
        let ask = async { self.client.query_raw(&statement, args.iter()).await };
        let mut rows = std::pin::pin!(self.begun(ask).await?);
        while let Some(row) = rows.try_next().await.map_err(|error| self.noted(error))? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    /// Runs a statement without values, such as one of a migration.
    pub(in super::super) async fn apply(&self, statement: &str) -> Result<(), DbError> {
        self.begun(self.client.batch_execute(statement)).await
    }

    /// Sends what begins the transaction, if it has not begun, and the statement right behind it:
    /// both are on their way before the first is answered.
    async fn begun<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DbError> {
        let Some(begin) = self.begin.take() else {
            return statement.await.map_err(|error| self.noted(error));
        };
        self.has_begun.set(true);
        let (begun, done) = tokio::join!(self.client.batch_execute(begin), statement);
        begun.and(done).map_err(|error| self.noted(error))
    }

    fn noted(&self, error: Error) -> DbError {
        let keys = self.keys.borrow();
        self.remedy.set(Some(remedy(&error, &keys)));
        sorted(error, &keys)
    }

    async fn prepared(&self, sql: &'static str, args: &Args<'_>) -> Result<Statement, DbError> {
        let known = self.statements.borrow().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                // Named by us, because `$1 IS NULL` does not tell what `$1` is.
                let kinds: Vec<_> = args.iter().map(kind_of).collect();
                let made = self.client.prepare_typed(sql, &kinds).await;
                let made = made.map_err(|error| self.noted(error))?;
                self.statements.borrow_mut().insert(sql, made.clone());
                made
            }
        };
        let (expected, given) = (statement.params().len(), args.len());
        if expected != given {
            return Err(DbError::ArgumentCount { expected, given });
        }
        Ok(statement)
    }

    /// Reads what each unique key of the schema is made of: a violation tells the key's name only.
    pub(super) async fn learn_keys(&self) -> Result<(), DbError> {
        let rows = self.client.query(UNIQUE_KEYS, &[]).await;
        let rows = rows.map_err(|error| sorted(error, &Keys::new()))?;
        let read = |row: &tokio_postgres::Row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?));
        *self.keys.borrow_mut() = rows.iter().filter_map(read).collect();
        Ok(())
    }
}

const UNIQUE_KEYS: &str = "SELECT key.relname::text,
       string_agg(t.relname || '.' || field.attname, ', ' ORDER BY part.place)
  FROM pg_index
  JOIN pg_class key ON key.oid = pg_index.indexrelid
  JOIN pg_class t ON t.oid = pg_index.indrelid
  JOIN pg_namespace space ON space.oid = t.relnamespace
 CROSS JOIN LATERAL unnest(pg_index.indkey) WITH ORDINALITY AS part (number, place)
  JOIN pg_attribute field ON field.attrelid = t.oid AND field.attnum = part.number
 WHERE pg_index.indisunique AND space.nspname = current_schema()
 GROUP BY key.relname";
