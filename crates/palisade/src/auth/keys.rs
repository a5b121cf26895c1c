//! API keys: what a program shows in the name of an account, for some scopes and some time.

use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use super::{AccountId, Role, Scopes, key_store as store};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{Token, TokenHash, TokenKind};
use crate::db::{Db, DbError, Tx};
use crate::id::Id;

/// The id of an API key.
pub type KeyId = Id<ApiKey>;

/// Most keys that one account may have: each is a way in that somebody has to keep in mind.
pub const MOST_KEYS: i64 = 50;
/// How stale the time of the last use may be on disk, so that not every request writes.
const USED_PRECISION: Duration = Duration::from_secs(60);

/// An API key that can be used.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key's own id, which is not what is shown.
    pub id: KeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The account's role when the key was made; a change of role removes the key.
    pub role: Role,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for, within what its account may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute; `None` is never.
    pub used_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A key that is to be.
#[derive(Debug)]
pub struct NewKey {
    /// Whose it is.
    pub account: AccountId,
    /// What the account may do.
    pub role: Role,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// How long it is good for.
    pub lasts: Duration,
}

/// Makes a key and returns it with its token, which is not stored; `None` if the account has
/// [`MOST_KEYS`] already. Keys that have ended do not count.
///
/// # Errors
///
/// What the database answers.
pub async fn make(
    tx: &mut Tx<'_>,
    kind: TokenKind,
    new: NewKey,
    now: Timestamp,
) -> Result<Option<(ApiKey, Token)>, DbError> {
    let NewKey { account, role, name, scopes, lasts } = new;
    if store::count(tx, account, now, MOST_KEYS).await? >= MOST_KEYS {
        return Ok(None);
    }
    let token = Token::generate(kind);
    let (id, expires_at) = (Id::new_at(now), now.after(lasts));
    let key =
        ApiKey { id, account, role, name, scopes, created_at: now, used_at: None, expires_at };
    store::insert(tx, &key, token.hash()).await?;
    Ok(Some((key, token)))
}

/// Returns the keys of `account` that can be used, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<ApiKey>, DbError> {
    store::list(tx, account, now, MOST_KEYS).await
}

/// Removes one key of `account`; false if it has no such key.
///
/// # Errors
///
/// What the database answers.
pub async fn remove(tx: &mut Tx<'_>, account: AccountId, id: KeyId) -> Result<bool, DbError> {
    tx.outdate();
    Ok(store::delete(tx, account, id).await? == 1)
}

/// Removes every key of `account`: for a change of role, a reset, or the end of the account.
///
/// # Errors
///
/// What the database answers.
pub async fn remove_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    tx.outdate();
    store::delete_all(tx, account).await
}

/// Removes at most `most` keys that have ended, and returns how many; for
/// [`Retention`](crate::db::Retention).
///
/// # Errors
///
/// What the database answers.
pub async fn remove_expired(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    store::delete_expired(tx, now, most).await
}

/// Returns the key whose token has `hash`, and notes that it was used.
pub(super) async fn find(
    db: &Db,
    (clock, recent): (&Arc<dyn Clock>, &Recent<ApiKey>),
    hash: TokenHash,
) -> Result<Option<ApiKey>, DbError> {
    let now = clock.now();
    let is_noted = |key: &ApiKey| key.used_at.is_some_and(|used| now < used.after(USED_PRECISION));
    let is_open = |key: &ApiKey| now < key.expires_at;
    let known = recent.find(db, &hash, now, is_open).filter(|_| !db.is_shared());
    if let Some(key) = known.filter(is_noted) {
        return Ok(Some(key));
    }
    // Asked for before the key is read, so that an end in between is not missed.
    let generation = db.generation();
    let found = db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, hash, now).await).await?;
    let Some(mut key) = found else { return Ok(None) };
    if !is_noted(&key) {
        note_use(db, key.id, now).await;
        key.used_at = Some(now);
    }
    recent.remember(hash, &key, (now, generation));
    Ok(Some(key))
}

/// Writes down that the key was used. A failure costs that, and not the request.
async fn note_use(db: &Db, id: KeyId, now: Timestamp) {
    let noted = db.write(async move |tx: &mut Tx<'_>| store::note_use(tx, id, now).await).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot note that an API key was used");
    }
}
