//! What changes an account's credentials, and what its operator may do with it. Each ends, in its own
//! transaction, what was opened by what is changed.

use std::time::Duration;

use palisade::auth::{AccountId, Session, SessionCaller, keys, sessions};
use palisade::clock::Timestamp;
use palisade::crypto::{GivenPassword, HashError, Password, Token, TokenKind};
use palisade::db::{Db, DbError, Tx};
use palisade::http::ClientAddress;
use palisade::input::Invalid;

use super::actions::{Accounts, check_password};
use super::proof::{Claim, Claimed, ProofError, Refusal, prove};
use super::second_factor::Code;
use super::{Role, Username, store};
use crate::audit::{By, Deed};

/// The tokens that choose a new password.
pub const RESET: TokenKind = TokenKind::new("odr_");
/// How long such a token is good for: long enough to be handed over, short enough to be forgotten.
const RESET_LASTS: Duration = Duration::from_secs(60 * 60);

/// Why a password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Who asks is not believed.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The new password is not allowed for this account.
    #[error("the password is not allowed: {0}")]
    Password(Invalid),
}

impl From<DbError> for ChangeError {
    fn from(error: DbError) -> Self {
        Self::Proof(error.into())
    }
}

impl From<HashError> for ChangeError {
    fn from(error: HashError) -> Self {
        Self::Proof(error.into())
    }
}

/// A token that chooses a new password, once.
#[derive(Debug)]
pub struct Reset {
    /// The token, shown once.
    pub token: Token,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Notes that the caller has proved itself again.
///
/// # Errors
///
/// See [`ProofError`].
pub async fn step_up(
    accounts: &Accounts,
    caller: SessionCaller,
    (password, code): (GivenPassword, Option<Code>),
    client: ClientAddress,
) -> Result<(), ProofError> {
    let who = Claimed::SignedIn(caller.account, caller.session);
    let proven = prove(accounts, Claim { who, password, code, client }).await?;
    let by = By::account(caller.account, client);
    let note = async move |tx: &mut Tx<'_>| -> Result<(), ProofError> {
        let proof = proven.settle(tx).await?;
        if !sessions::note_proof(tx, caller.session, proof).await? {
            return Err(ProofError::Refused(Refusal::Overtaken));
        }
        let subject = caller.session.to_string();
        Ok(by.did(tx, Deed::SessionProved, &subject, proof.at).await?)
    };
    accounts.registry.db.write(note).await
}

/// Changes the caller's password; every other session of the account ends, and no token that was made
/// to reset it is good any more. API keys stay: their owner can list and delete them.
///
/// # Errors
///
/// See [`ChangeError`].
pub async fn change_password(
    accounts: &Accounts,
    caller: SessionCaller,
    (current, new): (GivenPassword, Password),
    client: ClientAddress,
) -> Result<(), ChangeError> {
    judge(&accounts.registry.db, caller.account, &new).await?;
    let who = Claimed::SignedIn(caller.account, caller.session);
    let claim = Claim { who, password: current, code: None, client };
    let proven = prove(accounts, claim).await?;
    let hash = accounts.registry.hasher.hash(&new).await?;
    let (by, now) = (By::account(caller.account, client), accounts.registry.clock.now());
    let change = async move |tx: &mut Tx<'_>| -> Result<(), ProofError> {
        // The second factor was asked for when the session was last proved.
        proven.settle_password(tx).await?;
        store::set_password(tx, caller.account, &hash).await?;
        store::forget_reset(tx, caller.account).await?;
        sessions::end_others(tx, caller.account, caller.session).await?;
        let subject = caller.account.to_string();
        Ok(by.did(tx, Deed::PasswordChanged, &subject, now).await?)
    };
    Ok(accounts.registry.db.write(change).await?)
}

/// Makes a token by which whoever has it chooses a new password for `account`, once, within an hour.
/// One that was made before is good no more. `None` if there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn make_reset(
    db: &Db,
    account: AccountId,
    now: Timestamp,
    by: By,
) -> Result<Option<Reset>, DbError> {
    let (token, expires_at) = (Token::generate(RESET), now.after(RESET_LASTS));
    let hash = token.hash();
    let make = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if store::find(tx, account).await?.is_none() {
            return Ok(false);
        }
        store::put_reset(tx, account, hash, expires_at).await?;
        by.did(tx, Deed::ResetMade, &account.to_string(), now).await?;
        Ok(true)
    };
    let is_made = db.write(make).await?;
    Ok(is_made.then_some(Reset { token, expires_at }))
}

/// Sets a new password by a token that was made for that. Every session and API key of the account
/// ends: somebody else may have known the old password. A second factor stays.
///
/// # Errors
///
/// See [`ChangeError`].
pub async fn reset_password(
    accounts: &Accounts,
    token: Option<Token>,
    new: Password,
    by: By,
) -> Result<AccountId, ChangeError> {
    let refused = || ProofError::Refused(Refusal::WrongCode);
    let hash = token.ok_or_else(refused)?.hash();
    let (db, now) = (&accounts.registry.db, accounts.registry.clock.now());
    let find = async move |tx: &mut Tx<'_>| store::find_reset(tx, hash, now).await;
    let account = db.look_up(find).await?.ok_or_else(refused)?;
    judge(db, account, &new).await?;
    let password = accounts.registry.hasher.hash(&new).await?;
    let reset = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if !store::take_reset(tx, hash, now).await? {
            return Ok(false);
        }
        store::set_password(tx, account, &password).await?;
        end_everything(tx, account).await?;
        by.did(tx, Deed::PasswordReset, &account.to_string(), now).await?;
        Ok(true)
    };
    match db.write(reset).await? {
        true => Ok(account),
        false => Err(refused().into()),
    }
}

async fn judge(db: &Db, account: AccountId, new: &Password) -> Result<(), ChangeError> {
    let found = db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, account).await).await?;
    let names = found.map(|account| (account.username, account.email));
    let (username, email) =
        names.as_ref().map_or(("", ""), |(username, email)| (username.as_str(), email.as_str()));
    check_password(new, username, email).map_err(ChangeError::Password)
}

async fn end_everything(tx: &mut Tx<'_>, account: AccountId) -> Result<(), DbError> {
    sessions::end_all(tx, account).await?;
    keys::remove_all(tx, account).await?;
    store::forget_reset(tx, account).await
}

/// Keeps `account` from being used until it is enabled again: its sessions and API keys end, and it
/// cannot sign in. False if there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn disable(db: &Db, account: AccountId, now: Timestamp, by: By) -> Result<bool, DbError> {
    let disable = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if !store::disable(tx, account, now).await? {
            return Ok(false);
        }
        end_everything(tx, account).await?;
        by.did(tx, Deed::AccountDisabled, &account.to_string(), now).await?;
        Ok(true)
    };
    db.write(disable).await
}

/// Lets `account` sign in again; what ended when it was disabled stays so. False if there is no such
/// account.
///
/// # Errors
///
/// What the database answers.
pub async fn enable(db: &Db, account: AccountId, now: Timestamp, by: By) -> Result<bool, DbError> {
    let enable = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        let is_known = store::enable(tx, account).await?;
        if is_known {
            by.did(tx, Deed::AccountEnabled, &account.to_string(), now).await?;
        }
        Ok(is_known)
    };
    db.write(enable).await
}

/// Gives `account` another role: its sessions and API keys, which have the old one, end. Giving it the
/// role that it has changes nothing. False if there is no such account.
///
/// # Errors
///
/// What the database answers.
pub async fn change_role(
    db: &Db,
    account: AccountId,
    role: Role,
    (now, by): (Timestamp, By),
) -> Result<bool, DbError> {
    let change = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if store::set_role(tx, account, role).await? {
            end_everything(tx, account).await?;
            let deed = (Deed::RoleGiven, role.as_str());
            by.did_with(tx, deed, &account.to_string(), now).await?;
            return Ok(true);
        }
        Ok(store::find(tx, account).await?.is_some())
    };
    db.write(change).await
}

/// Returns the id of the account that is called so.
///
/// # Errors
///
/// What the database answers.
pub async fn find_by_name(db: &Db, username: Username) -> Result<Option<AccountId>, DbError> {
    db.look_up(async move |tx: &mut Tx<'_>| store::find_id(tx, &username).await).await
}

/// Opens a session for whoever is proved by a claim.
///
/// # Errors
///
/// See [`ProofError`].
pub async fn sign_in(accounts: &Accounts, claim: Claim) -> Result<(Session, Token), ProofError> {
    let client = claim.client;
    let proven = prove(accounts, claim).await?;
    let by = By::account(proven.login.id, client);
    let settings = accounts.auth.settings();
    let (kind, absolute) = (settings.session_tokens, settings.absolute);
    let open = async move |tx: &mut Tx<'_>| -> Result<(Session, Token), ProofError> {
        let proof = proven.settle(tx).await?;
        let role = proven.login.role.for_callers();
        let opened = sessions::open(tx, kind, (proven.login.id, &role), proof, absolute).await?;
        by.did(tx, Deed::SessionOpened, &opened.0.id.to_string(), proof.at).await?;
        Ok(opened)
    };
    accounts.registry.db.write(open).await
}
