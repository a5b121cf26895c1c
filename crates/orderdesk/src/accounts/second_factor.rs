//! The second factor: codes of an authenticator app, and recovery codes for when it is lost.
//!
//! 1. A factor counts from the first right code on. Until then one that was there before counts.
//! 2. Of each code at most one use is made: a step of time, and a recovery code, are taken in the
//!    transaction of what they prove.
//! 3. Whoever changes the factor ends every other session of the account.

use std::fmt;

use palisade::auth::{AccountId, Proof, SessionCaller, sessions};
use palisade::clock::Timestamp;
use palisade::crypto::{Purpose, SealError, Sealer, TotpSecret, digest, random_bytes};
use palisade::db::{DbError, Tx};
use palisade::input::{FromText, Invalid, Schema, string_schema};
use palisade::secret::{Secret, register};

use super::actions::Accounts;
use super::{factor_store as store, proof::ProofError, proof::Refusal};
use crate::audit::{By, Deed};

/// What the sealer of [`Factors`] is for.
pub const PURPOSE: Purpose = Purpose::new("totp secrets");
/// What authenticator apps call the service.
const ISSUER: &str = "Orderdesk";
/// Recovery codes that somebody gets.
const RECOVERY_CODES: usize = 10;
/// Random bytes of one: out of reach for guesses, and for a list of hashes that was stolen.
const RECOVERY_BYTES: usize = 10;

/// A code of a second factor as somebody sends it.
#[derive(Debug, Clone)]
pub struct Code(Secret<String>);

impl FromText for Code {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -".contains(&byte);
        if (1..=40).contains(&raw.len()) && raw.bytes().all(is_plain) {
            // People group what they type.
            let kept = raw.chars().filter(char::is_ascii_alphanumeric);
            return Ok(Self(Secret::new(kept.collect::<String>().to_ascii_lowercase())));
        }
        Err(Invalid::new("pattern", "Must be the code of an app or a recovery code."))
    }
}

impl Schema for Code {
    fn schema() -> serde_json::Value {
        string_schema(1..=40, "^[A-Za-z0-9 -]+$")
    }
}

/// What opens and checks factors; a clone is the same.
#[derive(Clone)]
pub struct Factors(Sealer);

impl fmt::Debug for Factors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Factors")
    }
}

/// A factor that waits for its first code.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret in base 32, for who types it.
    pub secret: Secret<String>,
    /// The address that an app reads from a QR code.
    pub uri: Secret<String>,
}

impl Factors {
    /// Opens and seals with a sealer for [`PURPOSE`].
    pub fn new(sealer: Sealer) -> Self {
        Self(sealer)
    }

    /// Takes `code` of the account's factor: `Some(true)` if it was right, `Some(false)` if the
    /// account has no factor, `None` if it has one and the code is missing, wrong or was used.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn take(
        &self,
        tx: &mut Tx<'_>,
        account: AccountId,
        code: Option<&Code>,
        now: Timestamp,
    ) -> Result<Option<bool>, DbError> {
        let Some(sealed) = store::find(tx, account).await?.and_then(|factor| factor.secret) else {
            return Ok(Some(false));
        };
        let Some(code) = code else { return Ok(None) };
        let step = self.open(account, &sealed).and_then(|it| it.step_of(code.0.expose(), now));
        let is_taken = match step {
            Some(step) => store::take_step(tx, account, step).await?,
            None => store::take_recovery_code(tx, account, hash(code.0.expose())).await?,
        };
        Ok(is_taken.then_some(true))
    }

    fn open(&self, account: AccountId, sealed: &str) -> Option<TotpSecret> {
        TotpSecret::from_bytes(self.0.open(&account.to_string(), sealed)?)
    }

    fn seal(&self, account: AccountId, secret: &TotpSecret) -> Result<String, SealError> {
        self.0.seal(&account.to_string(), secret.expose())
    }
}

/// Makes a factor for the caller that counts once [`confirm`] has seen a code of it.
///
/// # Errors
///
/// What the database answers.
pub async fn enrol(accounts: &Accounts, caller: SessionCaller) -> Result<Enrolment, ProofError> {
    let secret = TotpSecret::generate();
    let sealed = accounts.factors.seal(caller.account, &secret)?;
    let enrol = async move |tx: &mut Tx<'_>| -> Result<String, DbError> {
        store::put_pending(tx, caller.account, &sealed).await?;
        let account = super::store::find(tx, caller.account).await?;
        Ok(account.map(|account| account.username.as_str().to_owned()).unwrap_or_default())
    };
    let name = accounts.registry.db.write(enrol).await?;
    let (typed, uri) = (secret.to_base32(), Secret::new(secret.uri(ISSUER, &name)));
    // Whatever handles them next must not log them.
    register(&typed).ok();
    Ok(Enrolment { secret: typed, uri })
}

/// Has the factor that waits count from now on, if `code` is one of it. Returns the recovery codes,
/// which replace all earlier ones; every other session of the account ends.
///
/// # Errors
///
/// [`Refusal::WrongCode`], also if no factor waits.
pub async fn confirm(
    accounts: &Accounts,
    caller: SessionCaller,
    code: Code,
    by: By,
) -> Result<Vec<Secret<String>>, ProofError> {
    let (factors, now) = (accounts.factors.clone(), accounts.registry.clock.now());
    let codes: Vec<_> = [(); RECOVERY_CODES].map(|()| new_recovery_code()).into();
    let hashes: Vec<_> = codes.iter().map(|code| hash(&plain(code.expose()))).collect();
    let confirm = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        let account = caller.account;
        let pending = store::find(tx, account).await?.and_then(|factor| factor.pending);
        let secret = pending.as_ref().and_then(|sealed| factors.open(account, sealed));
        let Some((sealed, step)) =
            pending.zip(secret.and_then(|secret| secret.step_of(code.0.expose(), now)))
        else {
            return Ok(false);
        };
        if !store::confirm(tx, account, (&sealed, step)).await? {
            return Ok(false);
        }
        store::replace_recovery_codes(tx, account, &hashes).await?;
        sessions::end_others(tx, account, caller.session).await?;
        let proof = Proof { at: now, has_second_factor: true };
        sessions::note_proof(tx, caller.session, proof).await?;
        by.did(tx, Deed::FactorSet, &account.to_string(), now).await?;
        Ok(true)
    };
    match accounts.registry.db.write(confirm).await? {
        true => Ok(codes),
        false => Err(ProofError::Refused(Refusal::WrongCode)),
    }
}

/// Removes the caller's factor, one that waits included, and its recovery codes; every other session of
/// the account ends. False if there was none.
///
/// # Errors
///
/// What the database answers.
pub async fn remove(accounts: &Accounts, caller: SessionCaller, by: By) -> Result<bool, DbError> {
    let now = accounts.registry.clock.now();
    let remove = async move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        if !store::remove(tx, caller.account).await? {
            return Ok(false);
        }
        sessions::end_others(tx, caller.account, caller.session).await?;
        let proof = Proof { at: now, has_second_factor: false };
        sessions::note_proof(tx, caller.session, proof).await?;
        by.did(tx, Deed::FactorRemoved, &caller.account.to_string(), now).await?;
        Ok(true)
    };
    accounts.registry.db.write(remove).await
}

/// Returns a code of 80 random bits as people copy it: `abcd-efgh-jkmn-pqrs`.
fn new_recovery_code() -> Secret<String> {
    let text = data_of(&random_bytes::<RECOVERY_BYTES>());
    let groups: Vec<&str> = (0..4).filter_map(|group| text.get(group * 4..group * 4 + 4)).collect();
    Secret::new(groups.join("-"))
}

/// Writes bytes with 32 letters and digits that nobody takes for one another.
fn data_of(bytes: &[u8; RECOVERY_BYTES]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let digit = |place: u32| {
        let index = usize::try_from(number >> (place * 5) & 31).unwrap_or_default();
        ALPHABET.get(index).copied().map_or('0', char::from)
    };
    (0..16).rev().map(digit).collect()
}

fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn hash(code: &str) -> [u8; 32] {
    digest(code.as_bytes())
}
