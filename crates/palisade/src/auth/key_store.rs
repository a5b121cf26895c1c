//! The API keys' SQL.

use super::keys::{ApiKey, KeyId};
use super::{AccountId, Role, Scopes};
use crate::args;
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::db::{DbError, Row, Tx};

/// The columns that [`read`] reads.
macro_rules! keys {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, role, name, scopes, created_at, used_at, expires_at
             FROM palisade_api_keys ",
            $rest
        )
    };
}

pub(super) async fn insert(tx: &mut Tx<'_>, key: &ApiKey, token: TokenHash) -> Result<(), DbError> {
    let ApiKey { id, account, role, name, scopes, created_at, expires_at, .. } = key;
    let scopes = scopes.to_string();
    tx.execute(
        "INSERT INTO palisade_api_keys
             (id, account, role, name, scopes, token_hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            *id,
            *account,
            role.as_str(),
            name.as_str(),
            scopes.as_str(),
            token.0,
            *created_at,
            *expires_at
        ],
    )
    .await?;
    Ok(())
}

/// Counts the keys that can be used, up to `most`.
pub(super) async fn count(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<i64, DbError> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM palisade_api_keys
                WHERE account = $1 AND expires_at > $2 LIMIT $3) AS usable";
    tx.query_one(sql, args![account, now, most], |row| row.get(0)).await
}

pub(super) async fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<ApiKey>, DbError> {
    let sql = keys!("WHERE account = $1 AND expires_at > $2 ORDER BY id DESC LIMIT $3");
    tx.query(sql, args![account, now, most], read).await
}

pub(super) async fn find(
    tx: &mut Tx<'_>,
    token: TokenHash,
    now: Timestamp,
) -> Result<Option<ApiKey>, DbError> {
    let sql = keys!("WHERE token_hash = $1 AND expires_at > $2");
    tx.query_optional(sql, args![token.0, now], read).await
}

pub(super) async fn note_use(tx: &mut Tx<'_>, id: KeyId, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE palisade_api_keys SET used_at = $2
                WHERE id = $1 AND (used_at IS NULL OR used_at < $2)";
    tx.execute(sql, args![id, now]).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx<'_>, account: AccountId, id: KeyId) -> Result<u64, DbError> {
    let sql = "DELETE FROM palisade_api_keys WHERE account = $1 AND id = $2";
    tx.execute(sql, args![account, id]).await
}

pub(super) async fn delete_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    tx.execute("DELETE FROM palisade_api_keys WHERE account = $1", args![account]).await
}

pub(super) async fn delete_expired(
    tx: &mut Tx<'_>,
    now: Timestamp,
    most: i64,
) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM palisade_api_keys WHERE id IN (
             SELECT id FROM palisade_api_keys WHERE expires_at <= $1
             ORDER BY expires_at LIMIT $2)",
        args![now, most],
    )
    .await
}

fn read(row: &Row<'_>) -> Result<ApiKey, DbError> {
    Ok(ApiKey {
        id: row.get("id")?,
        account: row.get("account")?,
        role: Role::stored(row.get("role")?),
        name: row.get("name")?,
        scopes: row.parse("scopes", |text: String| Some(Scopes::parse(&text)))?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
        expires_at: row.get("expires_at")?,
    })
}
