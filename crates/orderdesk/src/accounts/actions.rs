//! What can be done with accounts. Each function owns its transaction.

use std::num::NonZeroU32;
use std::sync::Arc;

use palisade::auth::{self, AccountId, Auth, Device, Guess, Proof, Session, SessionId, Throttle};
use palisade::clock::{Clock, Timestamp};
use palisade::crypto::Token;
use palisade::crypto::{
    CorruptHash, GivenPassword, HashError, Hasher, Password, PasswordHash, Pseudonyms, Verdict,
};
use palisade::db::{Db, DbError, Tx};
use palisade::http::FromRef;
use palisade::id::Id;
use palisade::input::Invalid;
use palisade::secret::Secret;

use super::{Account, EmailAddress, Role, Username, store};
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
    pub throttle: Arc<Throttle>,
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
        let AppState { auth, throttle, pseudonyms, .. } = state.clone();
        Self { registry: Registry::from_ref(state), auth, throttle, pseudonyms }
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

/// Why a sign-in fails.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The credentials do not hold. Why is for the log: clients are never told.
    #[error("the credentials do not hold")]
    Refused(Refusal),
    /// What is stored as the account's hash is none.
    #[error(transparent)]
    Corrupt(#[from] CorruptHash),
    /// The hash could not be computed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why credentials do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No account has the name.
    UnknownName,
    /// The account is disabled.
    Disabled,
    /// There were too many wrong guesses, so this one was not looked at.
    TooManyGuesses,
    /// The password is wrong.
    WrongPassword,
}

impl Refusal {
    /// Returns the word for it in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown_name",
            Self::Disabled => "disabled",
            Self::TooManyGuesses => "too_many_guesses",
            Self::WrongPassword => "wrong_password",
        }
    }
}

/// A fresh sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Its token, shown once.
    pub token: Token,
    /// What the device may send with its next sign-in.
    pub device_token: Secret<String>,
}

/// Makes an account.
///
/// # Errors
///
/// See [`CreateError`].
pub async fn create(registry: &Registry, new: NewAccount) -> Result<Account, CreateError> {
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
        .write(async move |tx: &mut Tx<'_>| store::insert(tx, &stored, &hash).await)
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

/// Opens a session for whoever proves to be `username`.
///
/// `None` is a name that no account can have. Every refusal pays for one hash through the same
/// queue, so that the time tells nothing.
///
/// # Errors
///
/// See [`SignInError`].
pub async fn sign_in(
    accounts: &Accounts,
    username: Option<Username>,
    password: GivenPassword,
    device_token: Option<&str>,
) -> Result<SignedIn, SignInError> {
    let login = accounts
        .registry
        .db
        .look_up(async move |tx: &mut Tx<'_>| -> Result<Option<store::Login>, DbError> {
            match &username {
                Some(username) => store::find_login(tx, username).await,
                None => Ok(None),
            }
        })
        .await?;
    let device = match &login {
        Some(login) => accounts.throttle.device(login.id, device_token),
        None => Device::Unknown,
    };
    let guess = login.as_ref().and_then(|login| accounts.throttle.reserve(login.id, device));
    let refusal = match &login {
        None => Refusal::UnknownName,
        Some(login) if !login.is_enabled => Refusal::Disabled,
        Some(_) if guess.is_none() => Refusal::TooManyGuesses,
        Some(_) => Refusal::WrongPassword,
    };
    let candidate = login.filter(|login| login.is_enabled && guess.is_some());
    let stored = match &candidate {
        Some(login) => Some(PasswordHash::parse(&login.password_hash)?),
        None => None,
    };
    let verdict = match accounts.registry.hasher.verify(&password, stored).await {
        Ok(verdict) => verdict,
        Err(error) => {
            // Nothing was compared, so nothing was guessed.
            guess.into_iter().for_each(Guess::give_back);
            return Err(error.into());
        }
    };
    let (Some(login), Verdict::Right | Verdict::RightButOutdated(_)) = (candidate, &verdict) else {
        return Err(SignInError::Refused(refusal));
    };
    if let Some(guess) = guess {
        guess.give_back();
    }
    let device_token = Secret::new(accounts.throttle.device_token(login.id));
    let (session, token) = open_session(accounts, login, verdict).await?;
    Ok(SignedIn { session, token, device_token })
}

async fn open_session(
    accounts: &Accounts,
    login: store::Login,
    verdict: Verdict,
) -> Result<(Session, Token), SignInError> {
    let now = accounts.registry.clock.now();
    let (kind, absolute) =
        (accounts.auth.settings().session_tokens, accounts.auth.settings().absolute);
    let opened = accounts
        .registry
        .db
        .write(async move |tx: &mut Tx<'_>| -> Result<_, DbError> {
            // The account may have been disabled while the hash was computed.
            if !store::is_enabled(tx, login.id, login.role).await? {
                return Ok(None);
            }
            if let Verdict::RightButOutdated(new) = &verdict {
                store::upgrade_password(tx, login.id, (&login.password_hash, new)).await?;
            }
            let who = (login.id, &login.role.for_callers());
            let proof = Proof { at: now, has_second_factor: false };
            auth::sessions::open(tx, kind, who, proof, absolute).await.map(Some)
        })
        .await?;
    opened.ok_or(SignInError::Refused(Refusal::Disabled))
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
pub async fn sign_out(db: &Db, account: AccountId, id: SessionId) -> Result<bool, DbError> {
    db.write(async move |tx: &mut Tx<'_>| auth::sessions::end(tx, account, id).await).await
}
