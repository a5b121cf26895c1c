//! API keys of accounts: made in a session, used by programs.

use std::time::Duration;

use palisade::auth::{AccountId, ApiKey, KeyId, Scopes, SessionCaller, keys};
use palisade::crypto::Token;
use palisade::db::{DbError, Tx};
use palisade::input::Line;

use super::actions::Accounts;
use super::store;
use crate::audit::{By, Deed};

palisade::words! {
    /// What an API key may be used for, as long as its account may do that.
    pub enum Scope {
        /// Reading accounts.
        ReadAccounts = "accounts:read",
        /// Making and changing accounts.
        WriteAccounts = "accounts:write",
        /// Reading orders.
        ReadOrders = "orders:read",
        /// Placing orders and moving them on.
        WriteOrders = "orders:write",
        /// Files of orders.
        WriteImports = "imports:write",
        /// Telling others of orders.
        WriteWebhooks = "webhooks:write",
        /// Reading what is done in the background.
        ReadJobs = "jobs:read",
        /// Changing what is done in the background.
        WriteJobs = "jobs:write",
    }
}

/// What a key is called: 1 to 100 characters.
pub type KeyName = Line<1, 100>;

/// A key that is to be.
#[derive(Debug)]
pub struct NewApiKey {
    /// What its owner calls it.
    pub name: KeyName,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// How long it is good for.
    pub lasts: Duration,
}

/// Why a key is not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeKeyError {
    /// The account has as many as it may have.
    #[error("the account has as many API keys as it may have")]
    TooMany,
    /// The session or the account ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes a key of the caller's account.
///
/// # Errors
///
/// See [`MakeKeyError`].
pub async fn make(
    accounts: &Accounts,
    caller: SessionCaller,
    new: NewApiKey,
    by: By,
) -> Result<(ApiKey, Token), MakeKeyError> {
    let NewApiKey { name, scopes, lasts } = new;
    let (kind, now) = (accounts.auth.settings().api_keys, accounts.registry.clock.now());
    let account = caller.account;
    let make = async move |tx: &mut Tx<'_>| -> Result<Result<_, MakeKeyError>, DbError> {
        let login = store::find_login_of(tx, account).await?;
        let Some(login) = login.filter(|login| login.is_enabled) else {
            return Ok(Err(MakeKeyError::Ended));
        };
        if !store::hold_enabled(tx, account, login.role).await? {
            return Ok(Err(MakeKeyError::Ended));
        }
        let new = keys::NewKey {
            account,
            role: login.role.for_callers(),
            name: name.as_str().to_owned(),
            scopes: Scopes::of(scopes.iter().map(|scope| scope.as_str())),
            lasts,
        };
        let Some(made) = keys::make(tx, kind, new, now).await? else {
            return Ok(Err(MakeKeyError::TooMany));
        };
        by.did(tx, Deed::KeyMade, &made.0.id.to_string(), now).await?;
        Ok(Ok(made))
    };
    accounts.registry.db.write(make).await?
}

/// Returns the keys of `account` that can be used, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(accounts: &Accounts, account: AccountId) -> Result<Vec<ApiKey>, DbError> {
    let now = accounts.registry.clock.now();
    let list = async move |tx: &mut Tx<'_>| keys::list(tx, account, now).await;
    accounts.registry.db.read(list).await
}

/// Deletes the key `id` of `account`; false if the account has none of that id.
///
/// # Errors
///
/// What the database answers.
pub async fn delete(
    accounts: &Accounts,
    account: AccountId,
    id: KeyId,
    by: By,
) -> Result<bool, DbError> {
    let now = accounts.registry.clock.now();
    let delete = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        let is_deleted = keys::remove(tx, account, id).await?;
        if is_deleted {
            by.did(tx, Deed::KeyDeleted, &id.to_string(), now).await?;
        }
        Ok(is_deleted)
    };
    accounts.registry.db.write(delete).await
}
