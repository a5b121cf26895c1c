//! A database to place orders in: fresh, with the service's tables, and one account.

use std::path::Path;

use anyhow::{Context as _, ensure};
use palisade::args;
use palisade::clock::{Clock as _, SystemClock};
use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Purpose, Tx};
use palisade::id::Id;
use rustix::fs::statfs;

/// A database that nobody has written to.
#[derive(Debug)]
pub(super) struct Database {
    /// Where it is.
    pub(super) url: String,
    /// The account that orders are for.
    pub(super) customer: String,
}

impl Database {
    /// Makes a file in `folder`.
    ///
    /// # Errors
    /// When the folder is in memory, where nothing is durable.
    pub(super) async fn in_a_file(folder: &Path) -> anyhow::Result<Self> {
        let kind = statfs(folder)?.f_type;
        let is_in_memory = IN_MEMORY.iter().any(|memory| i128::from(kind) == i128::from(*memory));
        ensure!(!is_in_memory, "{} is in memory: set TMPDIR to a disk", folder.display());
        Self::prepare(format!("sqlite://{}/orders.db", folder.display())).await
    }

    /// Makes the tables and the account in the empty database at `url`.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn prepare(url: String) -> anyhow::Result<Self> {
        let settings = DbSettings::new(Purpose::Command);
        let db = Db::open(&DatabaseUrl::parse(&url)?, settings).await?;
        orderdesk::service::migrate(&db).await?;
        let now = SystemClock.now();
        let id = Id::<()>::new_at(now);
        db.write(async move |tx: &mut Tx<'_>| -> Result<u64, DbError> {
            let account = "INSERT INTO accounts
                     (id, username, email, role, password_hash, created_at)
                 VALUES ($1, 'ada', 'ada@example.com', 'customer', 'none', $2)";
            tx.execute(account, args![id, now]).await
        })
        .await?;
        db.close().await?;
        Ok(Self { url, customer: id.to_string() })
    }

    /// Returns the file.
    ///
    /// # Errors
    /// When it is on a server.
    pub(super) fn path(&self) -> anyhow::Result<&str> {
        self.url.strip_prefix("sqlite://").context("the database is no file")
    }
}

/// What tmpfs and ramfs call themselves (statfs(2)).
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
