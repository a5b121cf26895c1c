//! Sessions: what a sign-in opens and a sign-out, a password change or time ends.

use std::sync::Arc;
use std::time::Duration;

use super::{AccountId, Role, store};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{Token, TokenHash, TokenKind};
use crate::db::{Db, DbError, Migration, Tx};
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
    store::make_room(tx, account, now, MOST_SESSIONS - 1).await?;
    store::insert(tx, &session, token.hash()).await?;
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
    store::list(tx, account, (now, idle), MOST_SESSIONS).await
}

/// Ends one session of `account`; false if it has no such session.
///
/// # Errors
///
/// What the database answers.
pub async fn end(tx: &mut Tx<'_>, account: AccountId, id: SessionId) -> Result<bool, DbError> {
    Ok(store::delete(tx, account, id).await? == 1)
}

/// Ends every session of `account`: for a change of role, of password, or the end of the account.
///
/// # Errors
///
/// What the database answers.
pub async fn end_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    store::delete_all(tx, account).await
}

/// Returns the open session of the token with `hash`, and notes that it was used.
pub(super) async fn find(
    db: &Db,
    clock: &Arc<dyn Clock>,
    hash: TokenHash,
    idle: Duration,
) -> Result<Option<Session>, DbError> {
    let now = clock.now();
    let found =
        db.read(async move |tx: &mut Tx<'_>| store::find(tx, hash, (now, idle)).await).await?;
    if let Some(session) = &found
        && session.seen_at.after(SEEN_PRECISION.min(idle / 2)) <= now
    {
        note_use(db, session.id, now).await;
    }
    Ok(found)
}

/// Writes down that the session was used. A failure costs the session time, not the request.
async fn note_use(db: &Db, id: SessionId, now: Timestamp) {
    let noted = db.write(async move |tx: &mut Tx<'_>| store::note_use(tx, id, now).await).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot note that a session was used");
    }
}
