//! Rate limits in bounded memory: one number per client, by the generic cell rate algorithm.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many clients one limiter remembers; further ones share a single budget until others lapse.
const MOST_CLIENTS: usize = 65_536;
/// How often a full table is looked through for clients that lapsed. A flood of new ones must not
/// have every request look.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The part of an address that counts as one client: all of an IPv4 address, and the first 64
/// bits of an IPv6 address, because that is what one subscriber is given (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressPrefix(u64, bool);

impl AddressPrefix {
    /// Returns the prefix of `address`; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self(u64::from(four.to_bits()), false),
            IpAddr::V6(six) => Self(network_half(six), true),
        }
    }
}

fn network_half(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d].iter().fold(0, |bits, part| (bits << 16) | u64::from(*part))
}

/// Allows each client so many events in a time, and bursts up to a size. Clients are told apart
/// by `K`: an address prefix, an account.
pub struct RateLimiter<K = AddressPrefix> {
    interval: Duration,
    burst: Duration,
    text: String,
    started: Instant,
    clients: Mutex<Clients<K>>,
    others: Mutex<Duration>,
}

/// Until when each client is busy, after the limiter's start.
struct Clients<K> {
    busy_until: HashMap<K, Duration>,
    next_sweep: Duration,
}

impl<K: Hash + Eq> Clients<K> {
    /// Returns the place of `client`; `None` if the table is full of others.
    fn place_of(&mut self, client: K, now: Duration) -> Option<&mut Duration> {
        if self.busy_until.len() >= MOST_CLIENTS && !self.busy_until.contains_key(&client) {
            if now >= self.next_sweep {
                self.busy_until.retain(|_, busy_until| *busy_until > now);
                self.next_sweep = now + SWEEP_EVERY;
            }
            if self.busy_until.len() >= MOST_CLIENTS {
                return None;
            }
        }
        Some(self.busy_until.entry(client).or_default())
    }
}

impl<K: Hash + Eq> RateLimiter<K> {
    /// Makes a limiter for `events` in each `per`, of which `burst` may come at once. `None` if
    /// any of them is zero.
    pub fn new(events: u32, per: Duration, burst: u32) -> Option<Self> {
        if events == 0 || burst == 0 || per.is_zero() {
            return None;
        }
        let interval = per / events;
        Some(Self {
            interval,
            burst: interval.saturating_mul(burst),
            text: format!("{events} in {}s, burst {burst}", per.as_secs_f64()),
            started: Instant::now(),
            clients: Mutex::new(Clients { busy_until: HashMap::new(), next_sweep: Duration::ZERO }),
            others: Mutex::default(),
        })
    }

    /// Gives the limit the words in which the settings say it.
    #[must_use]
    pub fn described(mut self, text: String) -> Self {
        self.text = text;
        self
    }

    /// Returns the limit in words.
    pub fn describe(&self) -> &str {
        &self.text
    }

    /// Counts one event of `client`.
    ///
    /// # Errors
    ///
    /// How long to wait until the next one is allowed.
    pub fn check(&self, client: K) -> Result<(), Duration> {
        self.check_when(client, Instant::now())
    }

    /// Counts one event of `client` that was seen at `now`.
    pub(crate) fn check_when(&self, client: K, now: Instant) -> Result<(), Duration> {
        self.check_at(client, now.saturating_duration_since(self.started))
    }

    fn check_at(&self, client: K, now: Duration) -> Result<(), Duration> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy_until) = clients.place_of(client, now) {
            return self.count(busy_until, now);
        }
        drop(clients);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(&mut others, now)
    }

    fn count(&self, busy_until: &mut Duration, now: Duration) -> Result<(), Duration> {
        let next = (*busy_until).max(now) + self.interval;
        match next.checked_sub(now + self.burst) {
            Some(excess) if !excess.is_zero() => Err(excess),
            _ => {
                *busy_until = next;
                Ok(())
            }
        }
    }
}

impl<K> fmt::Debug for RateLimiter<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RateLimiter({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> AddressPrefix {
        AddressPrefix::of(text.parse().unwrap())
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let limiter = RateLimiter::<AddressPrefix>::new(60, Duration::from_secs(60), 3).unwrap();
        let one = client("192.0.2.1");
        let at = |millis| limiter.check_at(one, Duration::from_millis(millis));

        assert!(at(0).is_ok() && at(0).is_ok() && at(0).is_ok());
        assert_eq!(at(0), Err(Duration::from_secs(1)));
        assert_eq!(at(400), Err(Duration::from_millis(600)));
        assert!(at(1_000).is_ok());
        assert!(at(1_000).is_err());
    }

    #[test]
    fn clients_do_not_share_a_budget_unless_they_share_a_prefix() {
        let limiter = RateLimiter::<AddressPrefix>::new(1, Duration::from_secs(60), 1).unwrap();
        let check = |text| limiter.check_at(client(text), Duration::ZERO).is_ok();

        assert!(check("192.0.2.1") && check("192.0.2.2") && check("2001:db8::1"));
        assert!(!check("::ffff:192.0.2.1"), "the mapped form is the same client");
        assert!(!check("2001:db8::ffff:1"), "the same /64 is the same client");
        assert!(check("2001:db8:0:1::1"));
    }

    #[test]
    fn memory_is_bounded_however_many_clients_come() {
        let limiter = RateLimiter::<AddressPrefix>::new(1, Duration::from_secs(60), 1).unwrap();
        let flood = u32::try_from(MOST_CLIENTS).unwrap() + 10;
        for number in 0..flood {
            let address = IpAddr::from(number.to_be_bytes());
            limiter.check_at(AddressPrefix::of(address), Duration::ZERO).ok();
        }
        assert_eq!(limiter.clients.lock().unwrap().busy_until.len(), MOST_CLIENTS);

        let newcomer = client("2001:db8::1");
        let later = Duration::from_secs(120);
        assert!(limiter.check_at(newcomer, later).is_ok(), "those that lapsed make room");
        assert_eq!(limiter.clients.lock().unwrap().busy_until.len(), 1);
    }
}
