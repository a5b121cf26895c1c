//! The SQL of idempotency keys.

use super::kept::Kept;
use super::key::Mark;
use crate::args;
use crate::clock::Timestamp;
use crate::db::{DbError, Row, Tx};

/// What stands under a key: which request it was used for, and the answer to that.
pub(super) struct Stored {
    pub(super) request: Vec<u8>,
    pub(super) kept: Kept,
}

/// Takes the key for this transaction, if nobody has it or its time is over; tells whether it did.
/// If another transaction is about to take it, PostgreSQL waits for what becomes of that.
pub(super) async fn claim(
    tx: &mut Tx<'_>,
    mark: &Mark,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    let claimed = tx
        .execute(
            "INSERT INTO palisade_idempotency (key_hash, fingerprint, expires_at)
             VALUES ($1, $2, $3)
             ON CONFLICT (key_hash) DO UPDATE
             SET fingerprint = $2, expires_at = $3, status = NULL, content_type = NULL,
                 location = NULL, entity_tag = NULL, body = NULL
             WHERE palisade_idempotency.expires_at <= $4",
            args![mark.key_hash, mark.request, expires_at, now],
        )
        .await?;
    Ok(claimed == 1)
}

/// Writes the answer under the key that this transaction took.
pub(super) async fn keep(tx: &mut Tx<'_>, key_hash: [u8; 32], kept: &Kept) -> Result<(), DbError> {
    tx.execute(
        "UPDATE palisade_idempotency
         SET status = $2, content_type = $3, location = $4, entity_tag = $5, body = $6
         WHERE key_hash = $1",
        args![key_hash, kept.status, kept.content_type, kept.location, kept.entity_tag, kept.body],
    )
    .await?;
    Ok(())
}

/// Returns what stands under the key, if its time is not over.
pub(super) async fn find(
    tx: &mut Tx<'_>,
    key_hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Stored>, DbError> {
    tx.query_optional(
        "SELECT fingerprint, status, content_type, location, entity_tag, body
         FROM palisade_idempotency WHERE key_hash = $1 AND expires_at > $2",
        args![key_hash, now],
        read,
    )
    .await
}

/// Removes up to `most` rows whose time is over, and returns how many.
pub(super) async fn forget(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM palisade_idempotency WHERE key_hash IN (
             SELECT key_hash FROM palisade_idempotency
             WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        args![now, most],
    )
    .await
}

fn read(row: &Row<'_>) -> Result<Stored, DbError> {
    let kept = Kept {
        status: row.parse("status", |status: i64| u16::try_from(status).ok())?,
        content_type: row.get("content_type")?,
        location: row.get("location")?,
        entity_tag: row.get("entity_tag")?,
        body: row.get("body")?,
    };
    Ok(Stored { request: row.get("fingerprint")?, kept })
}
