//! Rate limits in bounded memory: one number per client, by the generic cell rate algorithm.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{Live, LiveSection, Rate, Throttle};

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

impl AddressPrefix {
    /// Returns the prefix as bytes that no other has.
    pub(crate) fn to_bytes(self) -> [u8; 9] {
        let Self(bits, is_ipv6) = self;
        let mut bytes = [u8::from(is_ipv6); 9];
        bytes.iter_mut().zip(bits.to_be_bytes()).for_each(|(to, from)| *to = from);
        bytes
    }
}

fn network_half(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d].iter().fold(0, |bits, part| (bits << 16) | u64::from(*part))
}

/// Allows each client so many events in a time, and bursts up to a size. Clients are told apart
/// by `K`: an address prefix, an account. The rate can be changed, switched off and on again while
/// others ask.
pub struct RateLimiter<K = AddressPrefix> {
    /// Asked first, because a limit that is off must cost nothing.
    is_off: AtomicBool,
    started: Instant,
    clients: Mutex<Clients<K>>,
}

/// Until when each client is busy, after the limiter's start.
struct Clients<K> {
    throttle: Throttle,
    pace: Pace,
    busy_until: HashMap<K, Duration>,
    /// Until when those are busy for whom there was no place.
    others: Duration,
    next_sweep: Duration,
}

/// A rate as what one event costs and what may be spent at once.
#[derive(Debug, Clone, Copy)]
struct Pace {
    interval: Duration,
    burst: Duration,
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        let interval = rate.per() / rate.events();
        Self { interval, burst: interval.saturating_mul(rate.burst()) }
    }
}

impl From<Throttle> for Pace {
    fn from(throttle: Throttle) -> Self {
        let nothing = Self { interval: Duration::ZERO, burst: Duration::ZERO };
        throttle.rate().map_or(nothing, Self::from)
    }
}

impl<K: Hash + Eq> Clients<K> {
    /// Returns the place of `client`, or that of all others if the table is full.
    fn place_of(&mut self, client: K, now: Duration) -> &mut Duration {
        if self.busy_until.len() >= MOST_CLIENTS && !self.busy_until.contains_key(&client) {
            if now >= self.next_sweep {
                self.busy_until.retain(|_, busy_until| *busy_until > now);
                self.next_sweep = now + SWEEP_EVERY;
            }
            if self.busy_until.len() >= MOST_CLIENTS {
                return &mut self.others;
            }
        }
        self.busy_until.entry(client).or_default()
    }

    /// Changes the rate. Who had spent everything has spent everything of the new one too, so that
    /// nobody waits longer than it says, and nobody gets a burst for the change.
    fn change(&mut self, throttle: Throttle, now: Duration) {
        (self.throttle, self.pace) = (throttle, throttle.into());
        if throttle == Throttle::Off {
            (self.busy_until, self.others) = (HashMap::new(), Duration::ZERO);
        }
        let latest = now + self.pace.burst;
        for busy_until in self.busy_until.values_mut().chain([&mut self.others]) {
            *busy_until = latest.min(*busy_until);
        }
    }
}

impl<K: Hash + Eq> RateLimiter<K> {
    /// Makes the limiter for a rate of the settings.
    pub fn of(throttle: Throttle) -> Self {
        let clients = Clients {
            throttle,
            pace: throttle.into(),
            busy_until: HashMap::new(),
            others: Duration::ZERO,
            next_sweep: Duration::ZERO,
        };
        Self {
            is_off: AtomicBool::new(throttle == Throttle::Off),
            started: Instant::now(),
            clients: Mutex::new(clients),
        }
    }

    /// Makes the limiter for the rate that `of` finds in a section, whenever the section changes.
    ///
    /// ```
    /// use palisade::config::{Live, Throttle};
    /// use palisade::http::RateLimiter;
    /// use palisade::service::RateSection;
    ///
    /// let rates = Live::new(RateSection { per_ip: Throttle::Off, ..RateSection::default() });
    /// let limiter = RateLimiter::<u32>::following(&rates, |rates| rates.per_ip);
    /// assert!(limiter.is_off());
    /// ```
    pub fn following<T: LiveSection>(
        section: &Live<T>,
        of: impl Fn(&T) -> Throttle + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        K: Send + 'static,
    {
        let limiter = Arc::new(Self::of(of(&section.now())));
        let followed = Arc::downgrade(&limiter);
        section.on_change(move |section| {
            if let Some(limiter) = followed.upgrade() {
                limiter.change(of(section));
            }
        });
        limiter
    }

    /// Counts by another rate from now on, if it is another one.
    pub fn change(&self, throttle: Throttle) {
        self.change_at(throttle, self.started.elapsed());
    }

    /// Tells whether nothing is counted.
    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    /// Returns the rate in force.
    pub fn throttle(&self) -> Throttle {
        self.clients().throttle
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
        if self.is_off() {
            return Ok(());
        }
        self.check_at(client, now.saturating_duration_since(self.started))
    }

    fn check_at(&self, client: K, now: Duration) -> Result<(), Duration> {
        let mut clients = self.clients();
        let Pace { interval, burst } = clients.pace;
        let busy_until = clients.place_of(client, now);
        let next = (*busy_until).max(now) + interval;
        match next.checked_sub(now + burst) {
            Some(excess) if !excess.is_zero() => Err(excess),
            _ => {
                *busy_until = next;
                Ok(())
            }
        }
    }

    fn change_at(&self, throttle: Throttle, now: Duration) {
        let mut clients = self.clients();
        if clients.throttle != throttle {
            clients.change(throttle, now);
            self.is_off.store(throttle == Throttle::Off, Ordering::Relaxed);
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients<K>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> fmt::Debug for RateLimiter<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RateLimiter({})", self.throttle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> AddressPrefix {
        AddressPrefix::of(text.parse().unwrap())
    }

    fn limiter(rate: Rate) -> RateLimiter {
        RateLimiter::of(Throttle::At(rate))
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let limiter = limiter(Rate::per_minute(60).with_burst(3));
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
        let limiter = limiter(Rate::per_minute(1));
        let check = |text| limiter.check_at(client(text), Duration::ZERO).is_ok();

        assert!(check("192.0.2.1") && check("192.0.2.2") && check("2001:db8::1"));
        assert!(!check("::ffff:192.0.2.1"), "the mapped form is the same client");
        assert!(!check("2001:db8::ffff:1"), "the same /64 is the same client");
        assert!(check("2001:db8:0:1::1"));
    }

    #[test]
    fn memory_is_bounded_however_many_clients_come() {
        let limiter = limiter(Rate::per_minute(1));
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

    #[test]
    fn a_changed_rate_holds_at_once_and_gives_nobody_a_burst() {
        let limiter = limiter(Rate::per_hour(1));
        let (one, at) = (client("192.0.2.1"), Duration::from_secs);
        assert!(limiter.check_at(one, at(0)).is_ok() && limiter.check_at(one, at(0)).is_err());

        limiter.change_at(Throttle::At(Rate::per_minute(60).with_burst(5)), at(10));

        assert_eq!(limiter.check_at(one, at(10)), Err(Duration::from_secs(1)), "all is spent");
        assert!(limiter.check_at(one, at(11)).is_ok(), "and comes back at the new rate");
        assert!(limiter.check_at(one, at(11)).is_err());
        assert!((0..5).all(|_| limiter.check_at(client("192.0.2.2"), at(11)).is_ok()));

        limiter.change_at(Throttle::At(Rate::per_hour(1)), at(11));
        assert!(limiter.check_at(one, at(60)).is_ok());
        assert_eq!(limiter.check_at(one, at(60)), Err(at(3600)), "a slower rate holds as well");
    }

    #[test]
    fn a_limit_is_switched_off_and_on_again_and_forgets_who_came_before() {
        let limiter = limiter(Rate::per_hour(1));
        let one = client("192.0.2.1");
        assert!(limiter.check(one).is_ok() && limiter.check(one).is_err());

        limiter.change(Throttle::Off);
        assert!(limiter.is_off());
        assert!((0..100).all(|_| limiter.check(one).is_ok()));
        assert_eq!(limiter.clients().busy_until.capacity(), 0, "no memory is kept");

        limiter.change(Throttle::At(Rate::per_hour(1)));
        assert!(limiter.check(one).is_ok() && limiter.check(one).is_err());
    }

    #[test]
    fn a_change_to_the_same_rate_changes_nothing() {
        let limiter = limiter(Rate::per_hour(1));
        let one = client("192.0.2.1");
        assert!(limiter.check(one).is_ok());

        limiter.change(Throttle::At(Rate::per_hour(1)));

        assert!(limiter.check(one).is_err());
    }
}
