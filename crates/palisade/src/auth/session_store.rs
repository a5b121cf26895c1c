//! The sessions' SQL.

use std::time::Duration;

use super::{AccountId, Proof, Role, Session, SessionId};
use crate::args;
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::db::{DbError, Row, Tx};

pub(super) async fn insert(
    tx: &mut Tx<'_>,
    session: &Session,
    token: TokenHash,
) -> Result<(), DbError> {
    let Session { id, account, role, created_at, seen_at, expires_at, proof } = session;
    tx.execute(
        "INSERT INTO palisade_sessions (id, account, role, token_hash, created_at, seen_at,
             expires_at, proved_at, second_factor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            *id,
            *account,
            role.as_str(),
            token.0,
            *created_at,
            *seen_at,
            *expires_at,
            proof.at,
            i64::from(proof.has_second_factor)
        ],
    )
    .await?;
    Ok(())
}

/// Removes what `account` has that is over, and its oldest sessions beyond `most`; returns how many.
pub(super) async fn make_room(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM palisade_sessions WHERE account = $1 AND (expires_at <= $2 OR id IN (
             SELECT id FROM palisade_sessions WHERE account = $1
             ORDER BY id DESC LIMIT 1000 OFFSET $3))",
        args![account, now, most],
    )
    .await
}

pub(super) async fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    (now, idle): (Timestamp, Duration),
    most: i64,
) -> Result<Vec<Session>, DbError> {
    tx.query(
        "SELECT id, account, role, created_at, seen_at, expires_at, proved_at, second_factor
         FROM palisade_sessions WHERE account = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY id DESC LIMIT $4",
        args![account, now, now.before(idle), most],
        read,
    )
    .await
}

pub(super) async fn find(
    tx: &mut Tx<'_>,
    token: TokenHash,
    (now, idle): (Timestamp, Duration),
) -> Result<Option<Session>, DbError> {
    tx.query_optional(
        "SELECT id, account, role, created_at, seen_at, expires_at, proved_at, second_factor
         FROM palisade_sessions WHERE token_hash = $1 AND expires_at > $2 AND seen_at > $3",
        args![token.0, now, now.before(idle)],
        read,
    )
    .await
}

pub(super) async fn note_use(
    tx: &mut Tx<'_>,
    id: SessionId,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE palisade_sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2";
    tx.execute(sql, args![id, now]).await?;
    Ok(())
}

pub(super) async fn delete(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: SessionId,
) -> Result<u64, DbError> {
    let sql = "DELETE FROM palisade_sessions WHERE account = $1 AND id = $2";
    tx.execute(sql, args![account, id]).await
}

pub(super) async fn note_proof(
    tx: &mut Tx<'_>,
    id: SessionId,
    proof: Proof,
) -> Result<u64, DbError> {
    let sql = "UPDATE palisade_sessions SET proved_at = $2, second_factor = $3 WHERE id = $1";
    tx.execute(sql, args![id, proof.at, i64::from(proof.has_second_factor)]).await
}

/// Removes the sessions of `account` but the one that is kept.
pub(super) async fn delete_others(
    tx: &mut Tx<'_>,
    account: AccountId,
    kept: SessionId,
) -> Result<u64, DbError> {
    let sql = "DELETE FROM palisade_sessions WHERE account = $1 AND id <> $2";
    tx.execute(sql, args![account, kept]).await
}

pub(super) async fn delete_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    tx.execute("DELETE FROM palisade_sessions WHERE account = $1", args![account]).await
}

pub(super) async fn delete_everybody(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    tx.execute("DELETE FROM palisade_sessions", args![]).await
}

pub(super) async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM palisade_sessions WHERE id IN (
             SELECT id FROM palisade_sessions WHERE expires_at <= $1
             ORDER BY expires_at LIMIT $2)",
        args![now, most],
    )
    .await
}

fn read(row: &Row<'_>) -> Result<Session, DbError> {
    Ok(Session {
        id: row.get("id")?,
        account: row.get("account")?,
        role: Role::stored(row.get("role")?),
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        expires_at: row.get("expires_at")?,
        proof: Proof {
            at: row.get("proved_at")?,
            has_second_factor: row.get::<i64>("second_factor")? != 0,
        },
    })
}
