//! The audit log: who did what to which thing, when, from where, and what came of it.
//!
//! 1. A record is written in the transaction of what it tells: one is never there without the other.
//! 2. Records are numbered without gaps and chained: each holds a SHA-256 over itself and the hash of
//!    the one before, so that none can be edited, removed, put in or moved without breaking the chain.
//! 3. Who can write to the database can make a new chain, but not sign it: [checkpoints](Checkpoints) of
//!    number and hash are signed with a key that is not in the database, from time to time and at the
//!    end, and written to the log, where they are out of reach even for who can delete their table.
//! 4. No record holds a secret, a name or an address of mail: things are named by their ids.
//! 5. Nothing is ever removed.
//!
//! What it cannot show: what was cut off at the end, if the checkpoints behind the cut were removed as
//! well and nobody kept the log; and what somebody with the key signed.

mod chain;
mod checkpoints;
mod store;
mod verify;

use crate::clock::Timestamp;
use crate::db::{DbError, Migration, Tx};

pub use checkpoints::{AuditSection, Checkpoints, Signing};
pub use store::{Checkpoint, Entry, Page, page};
pub use verify::{Fault, Known, Verified, verify};

/// What these tables are called among the [schemas](crate::db::Schema) of a service.
pub const COMPONENT: &str = "palisade_audit";

/// The tables of this module, for [`Db::migrate`](crate::db::Db::migrate).
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "audit log",
    sql: include_str!("../../migrations/audit_0001.sql"),
}];

/// Most bytes of a text of a record; what is longer is cut.
const MOST: usize = 200;

/// What is to be written down. Texts are ids and fixed words, never what a client sent.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Who did it: the id of an account, or a fixed word such as `api_key`, `command` or `system`.
    pub actor: &'a str,
    /// What was done, such as `account.disabled`.
    pub action: &'static str,
    /// To which thing, by its id; empty where there is none.
    pub subject: &'a str,
    /// From where: the address of the client, or a fixed word such as `command`.
    pub origin: &'a str,
    /// What came of it, such as `done`.
    pub outcome: &'a str,
}

/// Writes `record` down, in the transaction of what it tells. Call it at the transaction's end: from
/// here on others who append wait for that.
///
/// # Errors
///
/// What the database answers.
pub async fn append(tx: &mut Tx<'_>, record: Record<'_>, at: Timestamp) -> Result<(), DbError> {
    let before = store::advance(tx).await?;
    let cut = |text: &str| text.chars().take(MOST).collect::<String>();
    let mut entry = Entry {
        number: before.number,
        at,
        actor: cut(record.actor),
        action: record.action.to_owned(),
        subject: cut(record.subject),
        origin: cut(record.origin),
        outcome: cut(record.outcome),
        hash: String::new(),
    };
    entry.hash = chain::hash(&before.hash, &entry);
    store::insert(tx, &entry).await
}
