//! The accounts' SQL.

use std::num::NonZeroU32;

use palisade::args;
use palisade::auth::AccountId;
use palisade::clock::Timestamp;
use palisade::crypto::{PasswordHash, TokenHash};
use palisade::db::{DbError, Row, Tx};
use palisade::input::FromText;

use super::{Account, EmailAddress, Role, Username};

/// What a sign-in needs to know of an account.
#[derive(Debug, Clone)]
pub struct Login {
    /// Names the account.
    pub id: AccountId,
    /// The name it signs in with.
    pub username: Username,
    /// What it may do.
    pub role: Role,
    /// What its password is checked against, as stored.
    pub password_hash: String,
    /// Whether it may sign in at all.
    pub is_enabled: bool,
}

/// Adds an account; a username that exists is a violation of `accounts.username`.
///
/// # Errors
///
/// What the database answers.
pub async fn insert(
    tx: &mut Tx<'_>,
    account: &Account,
    password: &PasswordHash,
) -> Result<(), DbError> {
    let Account { id, username, email, role, created_at } = account;
    tx.execute(
        "INSERT INTO accounts (id, username, email, role, password_hash, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            *id,
            username.as_str(),
            email.as_str(),
            role.as_str(),
            password.expose(),
            *created_at
        ],
    )
    .await?;
    Ok(())
}

/// Returns the account `id`.
///
/// # Errors
///
/// What the database answers.
pub async fn find(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Account>, DbError> {
    let sql = "SELECT id, username, email, role, created_at FROM accounts WHERE id = $1";
    tx.query_optional(sql, args![id], read).await
}

/// Returns the id of the account that has `username`.
///
/// # Errors
///
/// What the database answers.
pub async fn find_id(tx: &mut Tx<'_>, username: &Username) -> Result<Option<AccountId>, DbError> {
    let sql = "SELECT id FROM accounts WHERE username = $1";
    tx.query_optional(sql, args![username.as_str()], |row| row.get("id")).await
}

/// The columns that [`read_login`] reads.
macro_rules! login {
    ($rest:literal) => {
        concat!("SELECT id, username, role, password_hash, disabled_at FROM accounts ", $rest)
    };
}

/// Returns what a sign-in needs of the account that has `username`.
///
/// # Errors
///
/// What the database answers.
pub async fn find_login(tx: &mut Tx<'_>, username: &Username) -> Result<Option<Login>, DbError> {
    let sql = login!("WHERE username = $1");
    tx.query_optional(sql, args![username.as_str()], read_login).await
}

/// As [`find_login`], by the account's id.
///
/// # Errors
///
/// What the database answers.
pub async fn find_login_of(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Login>, DbError> {
    tx.query_optional(login!("WHERE id = $1"), args![id], read_login).await
}

/// Returns up to `limit` accounts, newest first, starting below `before`.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    tx: &mut Tx<'_>,
    before: Option<AccountId>,
    limit: NonZeroU32,
) -> Result<Vec<Account>, DbError> {
    tx.query(
        "SELECT id, username, email, role, created_at FROM accounts
         WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        args![before, limit.get()],
        read,
    )
    .await
}

/// Replaces the stored hash of `id`, if it is still `old`; false if not.
///
/// # Errors
///
/// What the database answers.
pub async fn upgrade_password(
    tx: &mut Tx<'_>,
    id: AccountId,
    (old, new): (&str, &PasswordHash),
) -> Result<bool, DbError> {
    renew_password(tx, id, (old, &new.expose())).await
}

/// As [`upgrade_password`], for a hash that was not computed anew.
///
/// # Errors
///
/// What the database answers.
pub async fn renew_password(
    tx: &mut Tx<'_>,
    id: AccountId,
    (old, new): (&str, &str),
) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    Ok(tx.execute(sql, args![id, old, new]).await? == 1)
}

/// Returns the stored hashes of up to `most` accounts behind `after`, oldest account first.
///
/// # Errors
///
/// What the database answers.
pub async fn password_hashes(
    tx: &mut Tx<'_>,
    after: Option<AccountId>,
    most: i64,
) -> Result<Vec<(AccountId, String)>, DbError> {
    let sql = "SELECT id, password_hash FROM accounts WHERE $1 IS NULL OR id > $1
                ORDER BY id LIMIT $2";
    let read = |row: &Row<'_>| Ok((row.get("id")?, row.get("password_hash")?));
    tx.query(sql, args![after, most], read).await
}

/// Tells whether the stored hash of `id` is still `hash`.
///
/// # Errors
///
/// What the database answers.
pub async fn has_password(tx: &mut Tx<'_>, id: AccountId, hash: &str) -> Result<bool, DbError> {
    let sql = "SELECT id FROM accounts WHERE id = $1 AND password_hash = $2";
    let found: Option<AccountId> =
        tx.query_optional(sql, args![id, hash], |row| row.get("id")).await?;
    Ok(found.is_some())
}

/// Sets the stored hash of `id`.
///
/// # Errors
///
/// What the database answers.
pub async fn set_password(
    tx: &mut Tx<'_>,
    id: AccountId,
    hash: &PasswordHash,
) -> Result<(), DbError> {
    let sql = "UPDATE accounts SET password_hash = $2 WHERE id = $1";
    tx.execute(sql, args![id, hash.expose()]).await?;
    Ok(())
}

/// Tells whether `id` may sign in with `role`, and keeps that so until the transaction ends: read again
/// in the one that opens something for it.
///
/// # Errors
///
/// What the database answers.
pub async fn hold_enabled(tx: &mut Tx<'_>, id: AccountId, role: Role) -> Result<bool, DbError> {
    // A change that changes nothing: whoever disables the account waits for its end.
    let sql = "UPDATE accounts SET role = role WHERE id = $1 AND role = $2 AND disabled_at IS NULL";
    Ok(tx.execute(sql, args![id, role.as_str()]).await? == 1)
}

/// Disables `id`; false if there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn disable(tx: &mut Tx<'_>, id: AccountId, now: Timestamp) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET disabled_at = coalesce(disabled_at, $2) WHERE id = $1";
    Ok(tx.execute(sql, args![id, now]).await? == 1)
}

/// Enables `id`; false if there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn enable(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET disabled_at = NULL WHERE id = $1";
    Ok(tx.execute(sql, args![id]).await? == 1)
}

/// Gives `id` another role; false if it has that role, or there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn set_role(tx: &mut Tx<'_>, id: AccountId, role: Role) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET role = $2 WHERE id = $1 AND role <> $2";
    Ok(tx.execute(sql, args![id, role.as_str()]).await? == 1)
}

/// Keeps the token by which a new password for `id` is chosen, in the place of an earlier one.
///
/// # Errors
///
/// What the database answers.
pub async fn put_reset(
    tx: &mut Tx<'_>,
    id: AccountId,
    token: TokenHash,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO password_resets (account, token_hash, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (account) DO UPDATE SET token_hash = $2, expires_at = $3",
        args![id, token.0, expires_at],
    )
    .await?;
    Ok(())
}

/// Returns whose password the token chooses.
///
/// # Errors
///
/// What the database answers.
pub async fn find_reset(
    tx: &mut Tx<'_>,
    token: TokenHash,
    now: Timestamp,
) -> Result<Option<AccountId>, DbError> {
    let sql = "SELECT account FROM password_resets WHERE token_hash = $1 AND expires_at > $2";
    tx.query_optional(sql, args![token.0, now], |row| row.get("account")).await
}

/// Takes the token, which is gone then; false if it was.
///
/// # Errors
///
/// What the database answers.
pub async fn take_reset(
    tx: &mut Tx<'_>,
    token: TokenHash,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "DELETE FROM password_resets WHERE token_hash = $1 AND expires_at > $2";
    Ok(tx.execute(sql, args![token.0, now]).await? == 1)
}

/// Forgets the token of `id`, if there is one.
///
/// # Errors
///
/// What the database answers.
pub async fn forget_reset(tx: &mut Tx<'_>, id: AccountId) -> Result<(), DbError> {
    tx.execute("DELETE FROM password_resets WHERE account = $1", args![id]).await?;
    Ok(())
}

/// Removes at most `most` tokens whose time is over, and returns how many.
///
/// # Errors
///
/// What the database answers.
pub async fn remove_resets(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    tx.execute(
        "DELETE FROM password_resets WHERE account IN (
             SELECT account FROM password_resets WHERE expires_at <= $1
             ORDER BY expires_at LIMIT $2)",
        args![now, most],
    )
    .await
}

fn read_login(row: &Row<'_>) -> Result<Login, DbError> {
    Ok(Login {
        id: row.get("id")?,
        username: read_username(row)?,
        role: read_role(row)?,
        password_hash: row.get("password_hash")?,
        is_enabled: row.get::<Option<i64>>("disabled_at")?.is_none(),
    })
}

fn read(row: &Row<'_>) -> Result<Account, DbError> {
    Ok(Account {
        id: row.get("id")?,
        username: read_username(row)?,
        email: row.parse("email", |text: String| EmailAddress::from_text(&text).ok())?,
        role: read_role(row)?,
        created_at: row.get("created_at")?,
    })
}

fn read_username(row: &Row<'_>) -> Result<Username, DbError> {
    row.parse("username", |text: String| Username::from_text(&text).ok())
}

fn read_role(row: &Row<'_>) -> Result<Role, DbError> {
    row.parse("role", |text: String| Role::parse(&text))
}
