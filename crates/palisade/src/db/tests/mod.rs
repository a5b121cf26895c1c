//! What the database promises, tried on real files.

mod backing_up;
mod batches;
mod inspecting;
mod opening;
mod reads;
mod retaining;
mod schema;
mod watching;
mod writes;

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::Poll;

use super::*;
use crate::args;

const INSERT: &str = "INSERT INTO notes (id) VALUES ($1)";

/// A database in a folder of its own, with a table `notes (id, body)`.
struct TestDb {
    db: Db,
    folder: tempfile::TempDir,
}

impl TestDb {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut DbSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = DbSettings::new(Purpose::Serve);
        change(&mut settings);
        let db = Db::open(&url_in(&folder), settings).await.unwrap();
        let test = Self { db, folder };
        test.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB) STRICT").await.unwrap();
        test
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, sql: &'static str) -> Result<u64, DbError> {
        self.db.write(async move |tx| tx.execute(sql, args![]).await).await
    }

    async fn insert(&self, id: i64) -> Result<u64, DbError> {
        self.db.write(async move |tx| tx.execute(INSERT, args![id]).await).await
    }

    /// Returns the ids of the notes, as a read sees them.
    async fn ids(&self) -> Vec<i64> {
        self.db.read(ids).await.unwrap()
    }

    /// Keeps the writer busy until the pause is over; the request then writes note 0.
    async fn hold_writer(
        &self,
    ) -> (Pause, Pin<Box<dyn Future<Output = Result<u64, DbError>> + '_>>) {
        let (pause, gate) = pause();
        let request = started(self.db.write(async move |tx: &mut Tx<'_>| {
            let changed = tx.execute(INSERT, args![0_i64]).await?;
            gate.pass();
            Ok::<_, DbError>(changed)
        }));
        let request = request.await;
        pause.reached();
        (pause, request)
    }
}

async fn ids(tx: &mut Tx<'_>) -> Result<Vec<i64>, DbError> {
    tx.query("SELECT id FROM notes ORDER BY id", args![], |row| row.get("id")).await
}

fn url_in(folder: &tempfile::TempDir) -> DatabaseUrl {
    let file = folder.path().join("test.db");
    DatabaseUrl::parse(&format!("sqlite://{}", file.display())).unwrap()
}

/// Polls `future` once, so that its request is queued when this returns.
async fn started<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    future
}

/// The test's side of a place where work stops until the test lets it go on.
struct Pause {
    arrived: Receiver<()>,
    go_on: SyncSender<()>,
}

/// The work's side of it.
struct Gate {
    arrived: SyncSender<()>,
    go_on: Receiver<()>,
}

fn pause() -> (Pause, Gate) {
    let (arrive, arrived) = sync_channel(1);
    let (release, released) = sync_channel(1);
    (Pause { arrived, go_on: release }, Gate { arrived: arrive, go_on: released })
}

impl Pause {
    fn reached(&self) {
        self.arrived.recv().unwrap();
    }

    fn end(self) {
        self.go_on.send(()).unwrap();
    }
}

impl Gate {
    fn pass(&self) {
        self.arrived.send(()).unwrap();
        self.go_on.recv().unwrap();
    }
}
