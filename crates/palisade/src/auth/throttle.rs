//! Counts wrong guesses at passwords, so that nobody can go through a list of them.
//!
//! Each account has a budget for devices it knows and another for all the others: strangers can
//! spend only the second, so they cannot lock the owner out. A guess is reserved before the
//! password is checked and given back when it was right; N guesses at once count N. The budgets
//! are this process's own and in memory: a restart fills them up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::AccountId;
use crate::crypto::{KeyRing, Purpose, Signer, random_bytes};

const DEVICES: Purpose = Purpose::new("known device");
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
    /// Starts with full budgets; a key of its own from `ring` signs the tokens of known devices.
    pub fn new(ring: &KeyRing) -> Self {
        Self { devices: ring.signer(DEVICES), budgets: Mutex::default() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::secret::Secret;

    fn throttle() -> Throttle {
        Throttle::new(&KeyRing::new(&Secret::new((0..32).collect()), None).unwrap())
    }

    fn account(number: i64) -> AccountId {
        AccountId::new_at(Timestamp::from_millis(number))
    }

    #[test]
    fn guesses_at_once_count_exactly_the_budget() {
        let (throttle, ada) = (throttle(), account(1));
        let allowed = std::sync::atomic::AtomicU32::new(0);

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..125 {
                        if throttle.reserve(ada, Device::Unknown).is_some() {
                            allowed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });

        assert_eq!(allowed.into_inner(), BURST);
    }

    #[test]
    fn strangers_cannot_spend_the_budget_of_a_known_device() {
        let (throttle, ada) = (throttle(), account(1));
        while throttle.reserve(ada, Device::Unknown).is_some() {}

        assert!(throttle.reserve(ada, Device::Known).is_some());
        assert!(throttle.reserve(account(2), Device::Unknown).is_some());
    }

    #[test]
    fn a_right_guess_costs_nothing() {
        let (throttle, ada) = (throttle(), account(1));
        for _ in 0..BURST * 2 {
            throttle.reserve(ada, Device::Unknown).unwrap().give_back();
        }
    }

    #[test]
    fn a_budget_recovers_one_guess_an_interval() {
        let start = Instant::now();
        let mut budget = Budget { spent: BURST, since: start };

        budget.recover(start + INTERVAL * 3 + INTERVAL / 2);
        assert_eq!(budget.spent, BURST - 3);
        budget.recover(start + INTERVAL * 4);
        assert_eq!(budget.spent, BURST - 4, "the half interval before is not lost");
    }

    #[test]
    fn a_device_is_known_to_the_account_that_gave_it_a_token_and_to_no_other() {
        let (throttle, ada, bob) = (throttle(), account(1), account(2));
        let token = throttle.device_token(ada);

        assert_eq!(throttle.device(ada, Some(&token)), Device::Known);
        assert_eq!(throttle.device(bob, Some(&token)), Device::Unknown);
        assert_eq!(throttle.device(ada, Some("made-up")), Device::Unknown);
        assert_eq!(throttle.device(ada, None), Device::Unknown);
    }

    #[test]
    fn memory_is_bounded_however_many_accounts_are_attacked() {
        let throttle = throttle();
        let most = i64::try_from(MOST_ACCOUNTS).unwrap();
        for number in 0..most + 3 {
            throttle.reserve(account(number), Device::Unknown);
        }
        assert_eq!(throttle.budgets.lock().unwrap().len(), MOST_ACCOUNTS);
    }
}
