//! Sessions: what a sign-in opens and a sign-out, a password change or time ends.

use std::sync::Arc;
use std::time::Duration;

use super::{AccountId, Role};
use crate::args;
use crate::clock::{Clock, Timestamp};
use crate::crypto::{Token, TokenHash, TokenKind};
use crate::db::{Db, DbError, Migration, Row, Tx};
use crate::id::Id;

/// The id of a session.
pub type SessionId = Id<Session>;

/// The tables of this module, for [`Db::migrate`].
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "sessions",
    sql: include_str!("../../migrations/0001_sessions.sql"),
}];

/// Most sessions that one account may have open; a further sign-in ends the oldest.
const MOST_SESSIONS: i64 = 100;
/// How stale the time of the last request may be on disk, so that not every request writes.
const SEEN_PRECISION: Duration = Duration::from_secs(60);

/// An open session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session's own id, which is not its token.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The account's role when it signed in; a change of role ends the session.
    pub role: Role,
    /// When the account signed in.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// Opens a session for `account` and returns it with its token, which is not stored.
///
/// # Errors
///
/// What the database answers.
pub async fn open(
    tx: &mut Tx<'_>,
    kind: TokenKind,
    (account, role): (AccountId, &Role),
    now: Timestamp,
    absolute: Duration,
) -> Result<(Session, Token), DbError> {
    let token = Token::generate(kind);
    let session = Session {
        id: Id::new_at(now),
        account,
        role: role.clone(),
        created_at: now,
        seen_at: now,
        expires_at: now.after(absolute),
    };
    tx.execute(
        "DELETE FROM palisade_sessions WHERE account = $1 AND (expires_at <= $2 OR id IN (
             SELECT id FROM palisade_sessions WHERE account = $1
             ORDER BY id DESC LIMIT 1000 OFFSET $3))",
        args![account, now, MOST_SESSIONS - 1],
    )
    .await?;
    tx.execute(
        "INSERT INTO palisade_sessions
             (id, account, role, token_hash, created_at, seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6)",
        args![session.id, account, role.as_str(), token.hash().0, now, session.expires_at],
    )
    .await?;
    Ok((session, token))
}

/// Returns the open sessions of `account`, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    idle: Duration,
) -> Result<Vec<Session>, DbError> {
    tx.query(
        "SELECT id, account, role, created_at, seen_at, expires_at FROM palisade_sessions
         WHERE account = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY id DESC LIMIT $4",
        args![account, now, now.before(idle), MOST_SESSIONS],
        read,
    )
    .await
}

/// Ends one session of `account`; false if it has no such session.
///
/// # Errors
///
/// What the database answers.
pub async fn end(tx: &mut Tx<'_>, account: AccountId, id: SessionId) -> Result<bool, DbError> {
    let sql = "DELETE FROM palisade_sessions WHERE account = $1 AND id = $2";
    Ok(tx.execute(sql, args![account, id]).await? == 1)
}

/// Ends every session of `account`: for a change of role, of password, or the end of the account.
///
/// # Errors
///
/// What the database answers.
pub async fn end_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    tx.execute("DELETE FROM palisade_sessions WHERE account = $1", args![account]).await
}

/// Returns the open session of the token with `hash`, and notes that it was used.
pub(super) async fn find(
    db: &Db,
    clock: &Arc<dyn Clock>,
    hash: TokenHash,
    idle: Duration,
) -> Result<Option<Session>, DbError> {
    let now = clock.now();
    let found = db
        .read(async move |tx: &mut Tx<'_>| -> Result<Option<Session>, DbError> {
            tx.query_optional(
                "SELECT id, account, role, created_at, seen_at, expires_at FROM palisade_sessions
                 WHERE token_hash = $1 AND expires_at > $2 AND seen_at > $3",
                args![hash.0, now, now.before(idle)],
                read,
            )
            .await
        })
        .await?;
    if let Some(session) = &found
        && session.seen_at.after(SEEN_PRECISION.min(idle / 2)) <= now
    {
        note_use(db, session.id, now).await;
    }
    Ok(found)
}

/// Writes down that the session was used. A failure costs the session time, not the request.
async fn note_use(db: &Db, id: SessionId, now: Timestamp) {
    let noted = db
        .write(async move |tx: &mut Tx<'_>| -> Result<u64, DbError> {
            let sql = "UPDATE palisade_sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2";
            tx.execute(sql, args![id, now]).await
        })
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot note that a session was used");
    }
}

fn read(row: &Row<'_>) -> Result<Session, DbError> {
    Ok(Session {
        id: row.get("id")?,
        account: row.get("account")?,
        role: Role::stored(row.get("role")?),
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        expires_at: row.get("expires_at")?,
    })
}
