//! The second factors' SQL.

use palisade::args;
use palisade::auth::AccountId;
use palisade::db::{DbError, Tx};

/// An account's factor.
#[derive(Debug)]
pub(super) struct Factor {
    /// Its sealed secret, once it counts.
    pub(super) secret: Option<String>,
    /// The sealed secret that waits for its first code.
    pub(super) pending: Option<String>,
}

pub(super) async fn find(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<Factor>, DbError> {
    let sql = "SELECT secret, pending FROM second_factors WHERE account = $1";
    tx.query_optional(sql, args![account], |row| {
        Ok(Factor { secret: row.get("secret")?, pending: row.get("pending")? })
    })
    .await
}

pub(super) async fn put_pending(
    tx: &mut Tx<'_>,
    account: AccountId,
    sealed: &str,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO second_factors (account, pending, last_step) VALUES ($1, $2, 0)
         ON CONFLICT (account) DO UPDATE SET pending = $2",
        args![account, sealed],
    )
    .await?;
    Ok(())
}

/// Returns the factors of up to `most` accounts behind `after`.
pub(super) async fn page(
    tx: &mut Tx<'_>,
    after: Option<AccountId>,
    most: i64,
) -> Result<Vec<(AccountId, Factor)>, DbError> {
    let sql = "SELECT account, secret, pending FROM second_factors
                WHERE $1 IS NULL OR account > $1 ORDER BY account LIMIT $2";
    tx.query(sql, args![after, most], |row| {
        let factor = Factor { secret: row.get("secret")?, pending: row.get("pending")? };
        Ok((row.get("account")?, factor))
    })
    .await
}

/// Replaces a sealed secret by the same one sealed anew, if it is still there; false if not.
pub(super) async fn reseal(
    tx: &mut Tx<'_>,
    account: AccountId,
    (old, new): (&str, &str),
) -> Result<bool, DbError> {
    let sql = "UPDATE second_factors
                  SET secret = CASE WHEN secret = $2 THEN $3 ELSE secret END,
                      pending = CASE WHEN pending = $2 THEN $3 ELSE pending END
                WHERE account = $1 AND (secret = $2 OR pending = $2)";
    Ok(tx.execute(sql, args![account, old, new]).await? == 1)
}

/// Has the secret that waits count, if it is still that one.
pub(super) async fn confirm(
    tx: &mut Tx<'_>,
    account: AccountId,
    (sealed, step): (&str, i64),
) -> Result<bool, DbError> {
    let sql = "UPDATE second_factors SET secret = pending, pending = NULL, last_step = $3
                WHERE account = $1 AND pending = $2";
    Ok(tx.execute(sql, args![account, sealed, step]).await? == 1)
}

/// Takes a step of time, unless it or a later one was taken.
pub(super) async fn take_step(
    tx: &mut Tx<'_>,
    account: AccountId,
    step: i64,
) -> Result<bool, DbError> {
    let sql = "UPDATE second_factors SET last_step = $2 WHERE account = $1 AND last_step < $2";
    Ok(tx.execute(sql, args![account, step]).await? == 1)
}

/// Takes a recovery code, which is gone then.
pub(super) async fn take_recovery_code(
    tx: &mut Tx<'_>,
    account: AccountId,
    hash: [u8; 32],
) -> Result<bool, DbError> {
    let sql = "DELETE FROM recovery_codes WHERE account = $1 AND code_hash = $2";
    Ok(tx.execute(sql, args![account, hash]).await? == 1)
}

pub(super) async fn replace_recovery_codes(
    tx: &mut Tx<'_>,
    account: AccountId,
    hashes: &[[u8; 32]],
) -> Result<(), DbError> {
    remove_recovery_codes(tx, account).await?;
    for hash in hashes {
        let sql = "INSERT INTO recovery_codes (account, code_hash) VALUES ($1, $2)";
        tx.execute(sql, args![account, *hash]).await?;
    }
    Ok(())
}

/// Removes the factor and its recovery codes; false if there was none.
pub(super) async fn remove(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, DbError> {
    remove_recovery_codes(tx, account).await?;
    Ok(tx.execute("DELETE FROM second_factors WHERE account = $1", args![account]).await? == 1)
}

async fn remove_recovery_codes(tx: &mut Tx<'_>, account: AccountId) -> Result<(), DbError> {
    tx.execute("DELETE FROM recovery_codes WHERE account = $1", args![account]).await?;
    Ok(())
}
