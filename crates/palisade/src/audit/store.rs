//! The audit log's SQL.

use crate::args;
use crate::clock::Timestamp;
use crate::db::{DbError, Row, Tx};

/// A record as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1 without gaps.
    pub number: i64,
    /// When it was written down.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To which thing.
    pub subject: String,
    /// From where.
    pub origin: String,
    /// What came of it.
    pub outcome: String,
    /// The hash over all of this and the hash of the record before, in hexadecimal digits.
    pub hash: String,
}

/// A signed place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The record.
    pub number: i64,
    /// Its hash.
    pub hash: String,
    /// When it was signed.
    pub at: Timestamp,
    /// Number and hash, signed.
    pub signature: String,
}

/// Records and checkpoints in the order of their numbers.
#[derive(Debug)]
pub struct Page {
    /// The records.
    pub entries: Vec<Entry>,
    /// The checkpoints of those records.
    pub checkpoints: Vec<Checkpoint>,
}

/// The newest record.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) number: i64,
    pub(super) hash: String,
}

/// Takes the next number, and returns it with the hash of the record before. Others wait from here on.
pub(super) async fn advance(tx: &mut Tx<'_>) -> Result<Head, DbError> {
    tx.execute("UPDATE palisade_audit_head SET number = number + 1 WHERE id = 1", args![]).await?;
    head(tx).await
}

pub(super) async fn head(tx: &mut Tx<'_>) -> Result<Head, DbError> {
    let sql = "SELECT number, hash FROM palisade_audit_head WHERE id = 1";
    tx.query_one(sql, args![], |row| {
        Ok(Head { number: row.get("number")?, hash: row.get("hash")? })
    })
    .await
}

pub(super) async fn insert(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), DbError> {
    let Entry { number, at, actor, action, subject, origin, outcome, hash } = entry;
    tx.execute(
        "INSERT INTO palisade_audit (number, at, actor, action, subject, origin, outcome, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            *number,
            *at,
            actor.as_str(),
            action.as_str(),
            subject.as_str(),
            origin.as_str(),
            outcome.as_str(),
            hash.as_str()
        ],
    )
    .await?;
    let sql = "UPDATE palisade_audit_head SET hash = $1 WHERE id = 1";
    tx.execute(sql, args![hash.as_str()]).await?;
    Ok(())
}

/// Returns up to `most` records behind `after`, with the checkpoints among them.
///
/// # Errors
///
/// What the database answers.
pub async fn page(tx: &mut Tx<'_>, after: i64, most: i64) -> Result<Page, DbError> {
    let sql = "SELECT number, at, actor, action, subject, origin, outcome, hash FROM palisade_audit
                WHERE number > $1 ORDER BY number LIMIT $2";
    let entries = tx.query(sql, args![after, most], read).await?;
    let last = entries.last().map_or(after, |entry| entry.number);
    let sql = "SELECT number, hash, at, signature FROM palisade_audit_checkpoints
                WHERE number > $1 AND number <= $2 ORDER BY number";
    let checkpoints = tx.query(sql, args![after, last], read_checkpoint).await?;
    Ok(Page { entries, checkpoints })
}

/// Returns the checkpoint with the highest number.
pub(super) async fn last_checkpoint(tx: &mut Tx<'_>) -> Result<Option<Checkpoint>, DbError> {
    let sql = "SELECT number, hash, at, signature FROM palisade_audit_checkpoints
                ORDER BY number DESC LIMIT 1";
    tx.query_optional(sql, args![], read_checkpoint).await
}

/// Writes a checkpoint, in the place of one that was signed with another key.
pub(super) async fn put_checkpoint(
    tx: &mut Tx<'_>,
    checkpoint: &Checkpoint,
) -> Result<(), DbError> {
    let Checkpoint { number, hash, at, signature } = checkpoint;
    tx.execute(
        "INSERT INTO palisade_audit_checkpoints (number, hash, at, signature)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (number) DO UPDATE SET hash = $2, at = $3, signature = $4",
        args![*number, hash.as_str(), *at, signature.as_str()],
    )
    .await?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Entry, DbError> {
    Ok(Entry {
        number: row.get("number")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        origin: row.get("origin")?,
        outcome: row.get("outcome")?,
        hash: row.get("hash")?,
    })
}

fn read_checkpoint(row: &Row<'_>) -> Result<Checkpoint, DbError> {
    Ok(Checkpoint {
        number: row.get("number")?,
        hash: row.get("hash")?,
        at: row.get("at")?,
        signature: row.get("signature")?,
    })
}
