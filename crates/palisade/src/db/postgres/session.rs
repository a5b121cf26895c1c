//! One connection: its prepared statements, and the transaction that it is in.
//!
//! Nothing here waits for ever: a server that says nothing any more, because packets vanish on the
//! way, is given up like one that has closed the connection.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, Statement};

use super::super::error::DbError;
use super::super::value::Args;
use super::address::Address;
use super::driver::Driver;
use super::fault::{Commit, Keys, Remedy, refuses_writes, remedy, sorted};
use super::values::kind_of;

/// How long what needs no work may take: to connect, to begin, to undo.
const PROMPT: Duration = Duration::from_secs(5);
/// How much longer than a statement may take its answer is waited for: the server ends it first.
const ON_THE_WAY: Duration = Duration::from_secs(5);

/// A connection, used by one task.
pub(in super::super) struct Session {
    client: Client,
    driver: Driver,
    /// How long the answer to a statement or a commit is waited for.
    patience: Duration,
    mode: Cell<Mode>,
    /// Counted by those that share it, as long as the connection is there.
    _presence: Arc<()>,
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
    /// A read sees one snapshot; a write guards its updates by what they expect to find, and does
    /// not overrule an administrator who has set the server to read only.
    fn begin(self) -> &'static str {
        match self {
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }
}

impl Session {
    /// Connects, and learns what the unique keys are called. A statement may take `longest`.
    pub(super) async fn connect(
        address: &Address,
        longest: Duration,
        presence: Arc<()>,
    ) -> Result<Self, DbError> {
        let connecting = async {
            let (client, driver) = address.connect().await?;
            let session = Self {
                client,
                driver,
                patience: longest.saturating_add(ON_THE_WAY),
                mode: Cell::new(Mode::Read),
                _presence: presence,
                statements: RefCell::default(),
                keys: RefCell::default(),
                begin: Cell::new(None),
                has_begun: Cell::new(false),
                remedy: Cell::new(None),
            };
            session.learn_keys().await?;
            Ok(session)
        };
        timeout(PROMPT, connecting).await.unwrap_or_else(|_| Err(silent()))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Says goodbye to the server.
    pub(super) async fn close(self) {
        let Self { client, driver, .. } = self;
        drop(client);
        driver.end_within(PROMPT).await;
    }

    /// Says that a transaction begins with the next statement.
    pub(super) fn arm(&self, mode: Mode) {
        self.mode.set(mode);
        self.begin.set(Some(mode.begin()));
        self.has_begun.set(false);
        self.remedy.set(None);
    }

    /// Returns what can be done about the failure of a statement, if there was one.
    pub(super) fn failure(&self) -> Option<Remedy> {
        self.remedy.get()
    }

    /// Has the connection closed after this transaction: the next one may lead to another server.
    pub(in super::super) fn forsake(&self) {
        self.remedy.set(Some(Remedy::Forsake));
    }

    /// Commits what was begun.
    pub(super) async fn commit(&self) -> Commit {
        self.begin.set(None);
        if !self.has_begun.replace(false) {
            return Commit::Done;
        }
        if self.client.is_closed() {
            return Commit::Undone(Remedy::Reconnect);
        }
        match timeout(self.patience, self.client.batch_execute("COMMIT")).await {
            Ok(Ok(())) => Commit::Done,
            Ok(Err(error)) => Commit::judge(error, &self.keys.borrow()),
            Err(_) => Commit::Failed(DbError::Unknown),
        }
    }

    /// Undoes what was begun, and tells whether the connection can be used again.
    pub(super) async fn roll_back(&self) -> bool {
        self.begin.set(None);
        if !self.has_begun.replace(false) {
            return true;
        }
        matches!(timeout(PROMPT, self.client.batch_execute("ROLLBACK")).await, Ok(Ok(())))
    }

    pub(in super::super) async fn execute(
        &self,
        sql: &'static str,
        args: &Args<'_>,
    ) -> Result<u64, DbError> {
        let statement = self.prepared(sql, args).await?;
        self.begun(self.client.execute_raw(&statement, args.iter())).await
    }

    /// Hands every row to `take` until that says that it has enough.
    pub(in super::super) async fn query(
        &self,
        sql: &'static str,
        args: &Args<'_>,
        mut take: impl FnMut(&tokio_postgres::Row) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        let statement = self.prepared(sql, args).await?;
        let rows = self.begun(self.client.query_raw(&statement, args.iter())).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = self.in_time(rows.try_next()).await? {
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
    ///
    /// The first takes no time. If there is no answer to it, there is no connection any more.
    async fn begun<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DbError> {
        let Some(begin) = self.begin.take() else {
            return self.in_time(statement).await;
        };
        self.has_begun.set(true);
        let begin = async {
            match timeout(PROMPT, self.client.batch_execute(begin)).await {
                Ok(begun) => begun.map_err(|error| self.noted(error)),
                Err(_) => Err(self.given_up(Remedy::Reconnect)),
            }
        };
        let ((), done) = tokio::try_join!(begin, self.in_time(statement))?;
        Ok(done)
    }

    /// Waits for an answer of the server, which ends what takes too long by itself.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DbError> {
        match timeout(self.patience, answer).await {
            Ok(answered) => answered.map_err(|error| self.noted(error)),
            Err(_) => Err(self.given_up(Remedy::Forsake)),
        }
    }

    fn given_up(&self, remedy: Remedy) -> DbError {
        self.remedy.set(Some(remedy));
        silent()
    }

    fn noted(&self, error: Error) -> DbError {
        if self.mode.get() == Mode::Write && refuses_writes(&error) {
            self.forsake();
            return DbError::WritesRefused;
        }
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
                let made = self.begun(self.client.prepare_typed(sql, &kinds)).await?;
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
        let rows = timeout(PROMPT, self.client.query(UNIQUE_KEYS, &[])).await;
        let rows = rows.map_err(|_| silent())?.map_err(|error| sorted(error, &Keys::new()))?;
        let read = |row: &tokio_postgres::Row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?));
        *self.keys.borrow_mut() = rows.iter().filter_map(read).collect();
        Ok(())
    }
}

/// Says that the server has said nothing for too long.
fn silent() -> DbError {
    DbError::unreachable(std::io::Error::new(ErrorKind::TimedOut, "it does not answer"))
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
