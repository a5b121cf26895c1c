//! What can be done with accounts. Each function owns its transaction.

use std::num::NonZeroU32;
use std::sync::Arc;

use palisade::auth::{self, AccountId, Auth, Session, SessionId, Throttle};
use palisade::clock::{Clock, Timestamp};
use palisade::crypto::{HashError, Hasher, Password, Pseudonyms};
use palisade::db::{Db, DbError, Tx};
use palisade::http::FromRef;
use palisade::id::Id;
use palisade::input::Invalid;

use super::second_factor::Factors;
use super::{Account, EmailAddress, Role, Username, store};
use crate::audit::{By, Deed, Refusals};
use crate::state::AppState;

/// What it takes to make an account.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Where accounts are kept.
    pub db: Db,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// What computes password hashes.
    pub hasher: Arc<Hasher>,
}

/// What the actions on accounts need.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// What it takes to make one.
    pub registry: Registry,
    /// What keeps sessions.
    pub auth: Auth,
    /// What counts wrong guesses.
    pub throttle: Throttle,
    /// What checks second factors.
    pub factors: Factors,
    /// What counts refused sign-ins.
    pub refusals: Refusals,
    /// What names people in the log.
    pub pseudonyms: Pseudonyms,
}

impl FromRef<AppState> for Registry {
    fn from_ref(state: &AppState) -> Self {
        let AppState { db, clock, hasher, .. } = state.clone();
        Self { db, clock, hasher }
    }
}

impl FromRef<AppState> for Accounts {
    fn from_ref(state: &AppState) -> Self {
        let AppState { auth, throttle, factor_sealer, refusals, pseudonyms, .. } = state.clone();
        let factors = Factors::new(factor_sealer);
        let registry = Registry::from_ref(state);
        Self { registry, auth, throttle, factors, refusals, pseudonyms }
    }
}

/// An account that is to be.
#[derive(Debug)]
pub struct NewAccount {
    /// The name to sign in with.
    pub username: Username,
    /// Where mail goes.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// What the account may do.
    pub role: Role,
}

/// Why an account is not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Somebody else has the username.
    #[error("the username is taken")]
    UsernameTaken,
    /// The password is not allowed for this account.
    #[error("the password is not allowed: {0}")]
    Password(Invalid),
    /// The hash could not be computed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes an account.
///
/// # Errors
///
/// See [`CreateError`].
pub async fn create(registry: &Registry, new: NewAccount, by: By) -> Result<Account, CreateError> {
    let NewAccount { username, email, password, role } = new;
    check_password(&password, username.as_str(), email.as_str()).map_err(CreateError::Password)?;
    let wanted = username.clone();
    let taken =
        registry.db.look_up(async move |tx: &mut Tx<'_>| store::find_id(tx, &wanted).await).await?;
    if taken.is_some() {
        return Err(CreateError::UsernameTaken);
    }
    let hash = registry.hasher.hash(&password).await?;
    let now = registry.clock.now();
    let account = Account { id: Id::new_at(now), username, email, role, created_at: now };
    let stored = account.clone();
    let inserted = registry
        .db
        .write(async move |tx: &mut Tx<'_>| -> Result<(), DbError> {
            store::insert(tx, &stored, &hash).await?;
            by.did(tx, Deed::AccountMade, &stored.id.to_string(), now).await
        })
        .await;
    match inserted {
        Ok(()) => Ok(account),
        Err(error) if error.is_unique_violation("accounts.username") => {
            Err(CreateError::UsernameTaken)
        }
        Err(error) => Err(error.into()),
    }
}

/// Refuses a password that is what an attacker knows of the account, or the service's name; the
/// case of the names and the white space around them do not count.
///
/// # Errors
///
/// `context`.
pub fn check_password(password: &Password, username: &str, email: &str) -> Result<(), Invalid> {
    if password.is_any_of(&[username, email, "orderdesk"]) {
        let expected = "Must not be the username, the e-mail address or the service's name.";
        return Err(Invalid::new("context", expected));
    }
    Ok(())
}

/// Returns the account `id`.
///
/// # Errors
///
/// What the database answers.
pub async fn find(db: &Db, id: AccountId) -> Result<Option<Account>, DbError> {
    db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, id).await).await
}

/// Returns up to `limit` accounts, newest first, starting below `before`.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    db: &Db,
    before: Option<AccountId>,
    limit: NonZeroU32,
) -> Result<Vec<Account>, DbError> {
    db.read(async move |tx: &mut Tx<'_>| store::list(tx, before, limit).await).await
}

/// Returns the open sessions of `account`, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn sessions(accounts: &Accounts, account: AccountId) -> Result<Vec<Session>, DbError> {
    let (now, idle): (Timestamp, _) =
        (accounts.registry.clock.now(), accounts.auth.settings().idle);
    accounts
        .registry
        .db
        .read(async move |tx: &mut Tx<'_>| auth::sessions::list(tx, account, now, idle).await)
        .await
}

/// Ends the session `id` of `account`; false if the account has none of that id.
///
/// # Errors
///
/// What the database answers.
pub async fn sign_out(
    registry: &Registry,
    account: AccountId,
    id: SessionId,
    by: By,
) -> Result<bool, DbError> {
    let now = registry.clock.now();
    let end = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        let is_ended = auth::sessions::end(tx, account, id).await?;
        if is_ended {
            by.did(tx, Deed::SessionEnded, &id.to_string(), now).await?;
        }
        Ok(is_ended)
    };
    registry.db.write(end).await
}
