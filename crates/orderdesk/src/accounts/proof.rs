//! Proving to be an account: by password, and by a second factor where there is one.
//!
//! Every refusal pays for one hash through the same queue and asks the database the same questions,
//! so that neither bytes nor time tell a name that nobody has from a wrong password, a disabled
//! account, or one whose budget of guesses is spent.

use std::time::Duration;

use palisade::auth::{AccountId, Device, Guess, Proof, Reserved, SessionId};
use palisade::clock::Timestamp;
use palisade::crypto::{CorruptHash, GivenPassword, HashError, PasswordHash, SealError, Verdict};
use palisade::db::{DbError, Tx};
use palisade::http::ClientAddress;

use super::actions::Accounts;
use super::second_factor::{Code, Factors};
use super::store::{self, Login};
use super::{Role, Username};

/// Who says to be whom.
#[derive(Debug)]
pub struct Claim {
    /// The account.
    pub who: Claimed,
    /// Its password.
    pub password: GivenPassword,
    /// A code of its second factor.
    pub code: Option<Code>,
    /// Where the request comes from.
    pub client: ClientAddress,
}

/// Which account is claimed, and from where.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// That of a name, by a device that may be known; `None` is a name that no account can have.
    Named(Option<Username>, Option<String>),
    /// The one that is signed in by a session, which is a device of its own.
    SignedIn(AccountId, SessionId),
}

/// Why somebody is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The credentials do not hold. Why is for the log: clients are never told.
    #[error("the credentials do not hold")]
    Refused(Refusal),
    /// Too many wrong guesses came from the address, or from everywhere.
    #[error("too many wrong guesses were made; wait {0:?}")]
    TooManyGuesses(Duration),
    /// What is stored as the account's hash is none.
    #[error(transparent)]
    Corrupt(#[from] CorruptHash),
    /// The hash could not be computed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
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
    /// The code of the second factor is missing, wrong, or was used before.
    WrongCode,
    /// What was to be changed is no longer as it was looked at.
    Overtaken,
}

impl Refusal {
    /// Returns the word for it in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown_name",
            Self::Disabled => "disabled",
            Self::TooManyGuesses => "too_many_guesses",
            Self::WrongPassword => "wrong_password",
            Self::WrongCode => "wrong_code",
            Self::Overtaken => "overtaken",
        }
    }
}

/// A password that was right, before the second factor was asked for and anything was done.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The account.
    pub login: Login,
    outdated: Option<PasswordHash>,
    guess: Guess,
    code: Option<Code>,
    factors: Factors,
    now: Timestamp,
}

/// What looking at the account has found.
struct Looked {
    login: Option<Login>,
    guess: Guess,
    reserved: Reserved,
}

/// Compares the password of a claim.
///
/// [`Proven::settle`] belongs into the transaction that does what the proof is for.
///
/// # Errors
///
/// See [`ProofError`].
pub async fn prove(accounts: &Accounts, claim: Claim) -> Result<Proven, ProofError> {
    let Claim { who, password, code, client } = claim;
    let now = accounts.registry.clock.now();
    let Looked { login, guess, reserved } = look(accounts, who, client, now).await?;
    let is_free = match reserved {
        Reserved::NotNow(wait) => return Err(ProofError::TooManyGuesses(wait)),
        Reserved::Free => true,
        Reserved::Spent => false,
    };
    let refusal = match &login {
        None => Refusal::UnknownName,
        Some(login) if !login.is_enabled => Refusal::Disabled,
        Some(_) if !is_free => Refusal::TooManyGuesses,
        Some(_) => Refusal::WrongPassword,
    };
    let candidate = login.filter(|login| login.is_enabled && is_free);
    let stored = candidate.as_ref().map(|login| PasswordHash::parse(&login.password_hash));
    let verdict = match accounts.registry.hasher.verify(&password, stored.transpose()?).await {
        Ok(verdict) => verdict,
        Err(error) => {
            // Nothing was compared, so nothing was guessed.
            if is_free {
                let give_back = async move |tx: &mut Tx<'_>| guess.give_back(tx).await;
                accounts.registry.db.write(give_back).await?;
            }
            return Err(error.into());
        }
    };
    let outdated = match verdict {
        Verdict::Right => None,
        Verdict::RightButOutdated(hash) => Some(hash),
        Verdict::Wrong => return refused(accounts, code, refusal).await,
    };
    let Some(login) = candidate else { return refused(accounts, code, refusal).await };
    let factors = accounts.factors.clone();
    Ok(Proven { login, outdated, guess, code, factors, now })
}

async fn look(
    accounts: &Accounts,
    who: Claimed,
    client: ClientAddress,
    now: Timestamp,
) -> Result<Looked, DbError> {
    let throttle = accounts.throttle.clone();
    let look = async move |tx: &mut Tx<'_>| -> Result<Looked, DbError> {
        let (login, device) = match &who {
            Claimed::Named(None, _) => (None, Device::Unknown),
            Claimed::Named(Some(name), token) => {
                let login = store::find_login(tx, name).await?;
                let device = login.as_ref().map(|it| throttle.device(it.id, token.as_deref()));
                (login, device.unwrap_or(Device::Unknown))
            }
            Claimed::SignedIn(account, session) => {
                let device = Device::of_session(*session);
                (store::find_login_of(tx, *account).await?, device)
            }
        };
        let name = match (&login, &who) {
            (Some(login), _) => login.username.as_str(),
            (None, Claimed::Named(Some(name), _)) => name.as_str(),
            (None, _) => "",
        };
        let guess = throttle.guess(name, device, client);
        let reserved = guess.reserve(tx, now).await?;
        Ok(Looked { login, guess, reserved })
    };
    accounts.registry.db.write(look).await
}

/// Refuses after asking what is asked of who is right.
async fn refused(
    accounts: &Accounts,
    code: Option<Code>,
    refusal: Refusal,
) -> Result<Proven, ProofError> {
    let (factors, now) = (accounts.factors.clone(), accounts.registry.clock.now());
    let nobody = AccountId::new_at(now);
    let ask = async move |tx: &mut Tx<'_>| -> Result<Proven, ProofError> {
        store::hold_enabled(tx, nobody, Role::Customer).await?;
        factors.take(tx, nobody, code.as_ref(), now).await?;
        Err(ProofError::Refused(refusal))
    };
    accounts.registry.db.write(ask).await
}

impl Proven {
    /// Asks for the second factor and that the account is still as it was, takes what was outdated to
    /// today's form, and gives the guess back. To be called in the transaction that does what the
    /// proof is for, which an error rolls back.
    ///
    /// # Errors
    ///
    /// [`ProofError::Refused`], which counts as a wrong guess, or what the database answers.
    pub async fn settle(&self, tx: &mut Tx<'_>) -> Result<Proof, ProofError> {
        self.hold(tx).await?;
        let Self { login, code, factors, now, .. } = self;
        let taken = factors.take(tx, login.id, code.as_ref(), *now).await?;
        let has_second_factor = taken.ok_or(ProofError::Refused(Refusal::WrongCode))?;
        self.finish(tx).await?;
        Ok(Proof { at: *now, has_second_factor })
    }

    /// As [`Proven::settle`], where the second factor was asked for before.
    ///
    /// # Errors
    ///
    /// As [`Proven::settle`].
    pub async fn settle_password(&self, tx: &mut Tx<'_>) -> Result<(), ProofError> {
        self.hold(tx).await?;
        self.finish(tx).await
    }

    /// The account may have been disabled while the hash was computed, and is not from here on to the
    /// end of the transaction.
    async fn hold(&self, tx: &mut Tx<'_>) -> Result<(), ProofError> {
        match store::hold_enabled(tx, self.login.id, self.login.role).await? {
            true => Ok(()),
            false => Err(ProofError::Refused(Refusal::Disabled)),
        }
    }

    /// The password may have been changed meanwhile, too.
    async fn finish(&self, tx: &mut Tx<'_>) -> Result<(), ProofError> {
        let Self { login, outdated, guess, .. } = self;
        let is_current = match outdated {
            Some(new) => store::upgrade_password(tx, login.id, (&login.password_hash, new)).await?,
            None => store::has_password(tx, login.id, &login.password_hash).await?,
        };
        if !is_current {
            return Err(ProofError::Refused(Refusal::Overtaken));
        }
        Ok(guess.give_back(tx).await?)
    }
}
