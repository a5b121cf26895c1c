//! The accounts' SQL.

use std::num::NonZeroU32;

use palisade::args;
use palisade::auth::AccountId;
use palisade::crypto::PasswordHash;
use palisade::db::{DbError, Row, Tx};
use palisade::input::FromText;

use super::{Account, EmailAddress, Role, Username};

/// What a sign-in needs to know of an account.
#[derive(Debug)]
pub struct Login {
    /// Names the account.
    pub id: AccountId,
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

/// Returns what a sign-in needs of the account that has `username`.
///
/// # Errors
///
/// What the database answers.
pub async fn find_login(tx: &mut Tx<'_>, username: &Username) -> Result<Option<Login>, DbError> {
    tx.query_optional(
        "SELECT id, role, password_hash, disabled_at FROM accounts WHERE username = $1",
        args![username.as_str()],
        |row| {
            Ok(Login {
                id: row.get("id")?,
                role: read_role(row)?,
                password_hash: row.get("password_hash")?,
                is_enabled: row.get::<Option<i64>>("disabled_at")?.is_none(),
            })
        },
    )
    .await
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

/// Replaces the stored hash of `id`, if it is still `old`.
///
/// # Errors
///
/// What the database answers.
pub async fn upgrade_password(
    tx: &mut Tx<'_>,
    id: AccountId,
    (old, new): (&str, &PasswordHash),
) -> Result<(), DbError> {
    let sql = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    tx.execute(sql, args![id, old, new.expose()]).await?;
    Ok(())
}

/// Tells whether `id` may still sign in: read again in the transaction that opens a session.
///
/// # Errors
///
/// What the database answers.
pub async fn is_enabled(tx: &mut Tx<'_>, id: AccountId, role: Role) -> Result<bool, DbError> {
    let sql = "SELECT id FROM accounts WHERE id = $1 AND role = $2 AND disabled_at IS NULL";
    let found: Option<AccountId> =
        tx.query_optional(sql, args![id, role.as_str()], |row| row.get("id")).await?;
    Ok(found.is_some())
}

fn read(row: &Row<'_>) -> Result<Account, DbError> {
    Ok(Account {
        id: row.get("id")?,
        username: row.parse("username", |text: String| Username::from_text(&text).ok())?,
        email: row.parse("email", |text: String| EmailAddress::from_text(&text).ok())?,
        role: read_role(row)?,
        created_at: row.get("created_at")?,
    })
}

fn read_role(row: &Row<'_>) -> Result<Role, DbError> {
    row.parse("role", |text: String| Role::parse(&text))
}
