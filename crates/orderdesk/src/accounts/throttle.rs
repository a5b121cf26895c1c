//! Counts wrong guesses at passwords, so that nobody can go through a list of them.
//!
//! Each account has a budget for devices it knows and another for all the others: strangers can
//! spend only the second, so they cannot lock the owner out. A guess is reserved before the
//! password is checked and given back when it was right; N guesses at once count N.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use palisade::auth::AccountId;
use palisade::crypto::{Signer, random_bytes};

/// Wrong guesses that one class of devices may make at once, the number that NIST SP 800-63B-4,
/// section 3.2.2, allows in all.
const BURST: u32 = 100;
/// How often one further guess is allowed.
const INTERVAL: Duration = Duration::from_secs(36);
/// How many accounts are remembered; the one with the fewest guesses is forgotten first.
const MOST_ACCOUNTS: usize = 65_536;

/// Whether a sign-in comes from a device that has signed in to the account before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Device {
    /// It sent the token that an earlier sign-in gave it.
    Known,
    /// Any other.
    Unknown,
}

/// The budgets of wrong guesses.
#[derive(Debug)]
pub struct Throttle {
    devices: Signer,
    budgets: Mutex<HashMap<(AccountId, Device), Budget>>,
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    spent: u32,
    since: Instant,
}

/// A guess that counts until it is given back.
#[derive(Debug)]
pub struct Guess<'a>(&'a Throttle, (AccountId, Device));

impl Throttle {
    /// Starts with full budgets; `devices` signs the tokens of known devices.
    pub fn new(devices: Signer) -> Self {
        Self { devices, budgets: Mutex::default() }
    }

    /// Returns a token by which `account` knows the device again.
    pub fn device_token(&self, account: AccountId) -> String {
        let mut payload = random_bytes::<16>().to_vec();
        payload.extend_from_slice(account.to_string().as_bytes());
        self.devices.sign(&payload)
    }

    /// Tells whether `token` was given to a device that signed in to `account`.
    pub fn device(&self, account: AccountId, token: Option<&str>) -> Device {
        let payload = token.and_then(|token| self.devices.verify(token));
        let known = payload.as_deref().and_then(|payload| payload.get(16..));
        if known == Some(account.to_string().as_bytes()) { Device::Known } else { Device::Unknown }
    }

    /// Counts one guess; `None` if the budget is spent.
    pub fn reserve(&self, account: AccountId, device: Device) -> Option<Guess<'_>> {
        let now = Instant::now();
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= MOST_ACCOUNTS {
            make_room(&mut budgets, now);
        }
        let key = (account, device);
        let budget = budgets.entry(key).or_insert(Budget { spent: 0, since: now });
        budget.recover(now);
        if budget.spent >= BURST {
            return None;
        }
        budget.spent += 1;
        Some(Guess(self, key))
    }
}

impl Guess<'_> {
    /// Does not count the guess: it was right.
    pub fn give_back(self) {
        let mut budgets = self.0.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get_mut(&self.1) {
            budget.spent = budget.spent.saturating_sub(1);
        }
    }
}

impl Budget {
    fn recover(&mut self, now: Instant) {
        let intervals = now.saturating_duration_since(self.since).as_secs() / INTERVAL.as_secs();
        let recovered = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.spent = self.spent.saturating_sub(recovered);
        self.since += INTERVAL.saturating_mul(recovered);
    }
}

fn make_room(budgets: &mut HashMap<(AccountId, Device), Budget>, now: Instant) {
    budgets.retain(|_, budget| {
        budget.recover(now);
        budget.spent > 0
    });
    if budgets.len() >= MOST_ACCOUNTS {
        let least = budgets.iter().min_by_key(|(_, budget)| budget.spent).map(|(key, _)| *key);
        if let Some(key) = least {
            budgets.remove(&key);
        }
    }
}
