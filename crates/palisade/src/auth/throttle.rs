//! Counts wrong guesses at passwords, so that nobody can go through a list of them.
//!
//! 1. A guess is taken from its budgets before the password is looked at, and given back if it was
//!    right: N guesses at once count N.
//! 2. Each account has a budget for every device that has signed in to it, and one for all others:
//!    strangers can spend only the last, so they cannot lock the owner out. Names that no account has
//!    have one, too, so that a budget tells nothing.
//! 3. Devices that are not known also spend from a budget of their address, which no list of accounts
//!    gets around, and from one of all.
//! 4. The budgets are in the database: a restart does not fill them up, and all processes share them.
//!    What they are of stands there as a keyed hash.

use std::fmt;
use std::time::Duration;

use super::guess_store::{self as store, Budget};
use super::{AccountId, SessionId};
use crate::clock::Timestamp;
use crate::config::Rate;
use crate::crypto::{Fingerprints, KeyRing, Purpose, Signer, random_bytes};
use crate::db::{DbError, Tx};
use crate::http::{AddressPrefix, ClientAddress};

const DEVICES: Purpose = Purpose::new("known device");
const GUESSES: Purpose = Purpose::new("budgets of guesses");
/// Random bytes that tell one device from another.
const DEVICE: usize = 16;

crate::settings! {
    /// Wrong passwords that may be tried. A right one costs nothing.
    pub struct GuessesSection in "guesses" {
        /// At one account, by each device that has signed in to it, and by all others together. NIST SP
        /// 800-63B-4, section 3.2.2, allows no more than 100 in a row. What is over it is answered like
        /// a wrong password.
        pub per_account: Rate = Rate::per_hour(100);
        /// From one IPv4 address or one IPv6 /64, by devices that are not known. What is over it is
        /// answered 429, before a hash is computed.
        pub per_address: Rate = Rate::per_hour(600).with_burst(300);
        /// By all devices that are not known. What is over it is answered 429.
        pub total: Rate = Rate::per_minute(600).with_burst(10_000);
    }
}

/// Who guesses, as the account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// One that the account knows, told from others by these bytes.
    Known([u8; DEVICE]),
    /// Any other.
    Unknown,
}

impl Device {
    /// Returns the device that uses a session: who has signed in is no stranger.
    pub fn of_session(session: SessionId) -> Self {
        Self::Known(session.as_u128().to_be_bytes())
    }
}

/// The budgets of wrong guesses; a clone is the same.
#[derive(Clone)]
pub struct Throttle {
    devices: Signer,
    subjects: Fingerprints,
    budgets: GuessesSection,
}

/// One guess and the budgets that it is taken from.
#[derive(Debug, Clone)]
pub struct Guess {
    /// Those that are asked before anything costs time.
    shared: Vec<Budget>,
    /// That of the account and its device.
    own: Budget,
}

/// Whether a guess may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// It may. If it was right, or nothing was looked at, [give it back](Guess::give_back).
    Free,
    /// The account's budget is spent: do as if it was wrong, and take as long.
    Spent,
    /// The budget of the address, or of all, is spent; there is one more guess after so long.
    NotNow(Duration),
}

impl Throttle {
    /// Makes budgets of these sizes; keys of their own from `ring` sign the tokens of known devices,
    /// and hide what a budget is of.
    pub fn new(ring: &KeyRing, budgets: GuessesSection) -> Self {
        Self { devices: ring.signer(DEVICES), subjects: ring.fingerprints(GUESSES), budgets }
    }

    /// Returns a token by which `account` knows the device again.
    pub fn device_token(&self, account: AccountId) -> String {
        let mut payload = random_bytes::<DEVICE>().to_vec();
        payload.extend_from_slice(account.to_string().as_bytes());
        self.devices.sign(&payload)
    }

    /// Tells which device of `account` was given `token`.
    pub fn device(&self, account: AccountId, token: Option<&str>) -> Device {
        let payload = token.and_then(|token| self.devices.verify(token));
        let parts = payload.as_deref().and_then(|payload| payload.split_first_chunk());
        match parts {
            Some((device, of)) if of == account.to_string().as_bytes() => Device::Known(*device),
            _ => Device::Unknown,
        }
    }

    /// Returns the guess that `device` at `client` makes at the account called `name`, which may be
    /// one that there is not.
    pub fn guess(&self, name: &str, device: Device, client: ClientAddress) -> Guess {
        let GuessesSection { per_account, per_address, total } = self.budgets;
        let name = name.as_bytes();
        match device {
            Device::Known(device) => {
                let own = self.budget(&[b"device", name, &device], per_account);
                Guess { shared: Vec::new(), own }
            }
            Device::Unknown => {
                let address = AddressPrefix::of(client.0).to_bytes();
                let address = self.budget(&[b"address", &address], per_address);
                let shared = vec![address, self.budget(&[b"total"], total)];
                Guess { shared, own: self.budget(&[b"account", name], per_account) }
            }
        }
    }

    fn budget(&self, of: &[&[u8]], rate: Rate) -> Budget {
        let interval = (rate.per() / rate.events()).as_millis();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX).max(1);
        let burst = interval.saturating_mul(rate.burst().into());
        Budget { subject: self.subjects.of(of), interval, burst }
    }
}

impl Guess {
    /// Takes the guess from its budgets, those first that are asked before anything costs time.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn reserve(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Reserved, DbError> {
        for budget in &self.shared {
            if !store::take(tx, budget, now).await? {
                let wait = u64::try_from(budget.interval).unwrap_or_default();
                return Ok(Reserved::NotNow(Duration::from_millis(wait)));
            }
        }
        let is_taken = store::take(tx, &self.own, now).await?;
        Ok(if is_taken { Reserved::Free } else { Reserved::Spent })
    }

    /// Does not count the guess, which was [free](Reserved::Free): it was right, or nobody looked.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn give_back(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        for budget in self.shared.iter().chain([&self.own]) {
            store::give_back(tx, budget).await?;
        }
        Ok(())
    }
}

/// Removes at most `most` budgets that are full, and returns how many; for
/// [`Retention`](crate::db::Retention).
///
/// # Errors
///
/// What the database answers.
pub async fn remove_full(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    store::delete_full(tx, now, most).await
}

impl fmt::Debug for Throttle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Throttle").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
