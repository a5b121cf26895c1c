//! Identifiers that know what they identify: an order's id cannot be passed as an account's.
//!
//! An id is 48 bits of time, 16 bits of a count and 64 random bits, written as 26 characters of
//! lower-case Crockford base 32, so that text order is the order of making: strictly within a
//! process, to the millisecond between two. It is opaque to clients, names a thing and is no
//! secret: whoever knows one has no right to anything by it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;

const LENGTH: usize = 26;
const ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";
const RANDOM_BITS: u32 = 64;
const COUNT_BITS: u32 = 16;

/// The time and count of the id made last. One for the process, because two things made in the
/// same millisecond still have an order that lists promise.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A clock that steps back by less does not put new things behind older ones.
const MOST_MILLIS_BACK: u64 = 1000;

/// The last moment that fits, in the year 10889.
const LAST_MILLI: u64 = (1 << 48) - 1;

/// Names one `T`.
///
/// ```
/// use palisade::clock::Timestamp;
/// use palisade::id::Id;
///
/// struct Order;
/// let id = Id::<Order>::new_at(Timestamp::from_millis(0));
/// assert_eq!(id.to_string().len(), 26);
/// assert_eq!(Id::<Order>::parse(&id.to_string()), Some(id));
/// assert_eq!(Id::<Order>::parse("no such id"), None);
/// ```
pub struct Id<T> {
    bits: u128,
    names: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// Makes an id for something that comes into being `now`.
    ///
    /// # Panics
    ///
    /// Never in practice: only if the operating system has no random source.
    pub fn new_at(now: Timestamp) -> Self {
        let mut random = [0_u8; 8];
        #[expect(clippy::expect_used, reason = "without randomness nothing here is safe to go on")]
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        let order = u128::from(next_after(&LAST, now)) << RANDOM_BITS;
        Self::from_bits(order | u128::from(u64::from_be_bytes(random)))
    }

    /// Returns the id below all those made at `from` or later: what they are sought by.
    pub fn floor(from: Timestamp) -> Self {
        let millis = u64::try_from(from.as_millis()).unwrap_or_default().min(LAST_MILLI);
        Self::from_bits(u128::from(millis) << (COUNT_BITS + RANDOM_BITS))
    }

    /// Returns the id above all those made before `to`. A clock that stepped back has left ids
    /// that are a second ahead of it, so there are some above `to` among those below this one.
    pub fn ceiling(to: Timestamp) -> Self {
        Self::floor(to.after(Duration::from_millis(MOST_MILLIS_BACK + 1)))
    }

    /// Reads an id exactly as [`fmt::Display`] writes it; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut bits = 0_u128;
        for (place, symbol) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|known| *known == symbol)?;
            if place == 0 && digit > 7 {
                return None;
            }
            bits = (bits << 5) | u128::try_from(digit).ok()?;
        }
        Some(Self::from_bits(bits))
    }

    /// Returns the id as a number: for tables that count by it.
    pub(crate) fn as_u128(self) -> u128 {
        self.bits
    }

    fn from_bits(bits: u128) -> Self {
        Self { bits, names: PhantomData }
    }
}

/// Returns 48 bits of time and 16 of a count, more than `last`, which it moves on.
fn next_after(last: &AtomicU64, now: Timestamp) -> u64 {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let next = |last: u64| {
        let is_near = (last >> COUNT_BITS).wrapping_sub(millis) < MOST_MILLIS_BACK;
        if is_near { last.wrapping_add(1) } else { millis << COUNT_BITS }
    };
    let mut seen = last.load(Memory::Relaxed);
    loop {
        let wanted = next(seen);
        match last.compare_exchange_weak(seen, wanted, Memory::Relaxed, Memory::Relaxed) {
            Ok(_) => return wanted,
            Err(moved_on) => seen = moved_on,
        }
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; LENGTH];
        let mut rest = self.bits;
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(rest & 31).unwrap_or_default();
            *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        out.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Thing;

    proptest! {
        #[test]
        fn every_id_is_read_back_and_sorts_like_its_text(left: u128, right: u128) {
            let (left, right) = (Id::<Thing>::from_bits(left), Id::<Thing>::from_bits(right));
            prop_assert_eq!(Id::parse(&left.to_string()), Some(left));
            prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
        }

        #[test]
        fn only_the_canonical_text_is_an_id(text in "[0-9a-zA-Z_-]{0,40}") {
            if let Some(id) = Id::<Thing>::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn what_was_made_in_a_span_is_between_its_floor_and_its_ceiling() {
        let last = AtomicU64::new(0);
        let id = |bits: u64| Id::<Thing>::from_bits(u128::from(bits) << RANDOM_BITS);

        // The clock steps back by up to a second, and each millisecond is used up.
        for millis in [5_000, 4_001, 4_002, 5_000] {
            let (floor, ceiling) = (Id::floor(at(millis)), Id::ceiling(at(millis + 1)));
            for _ in 0..100 {
                let made = id(next_after(&last, at(millis)));
                assert!(floor <= made && made < ceiling, "{millis}");
            }
        }
        assert!(Id::<Thing>::floor(at(2)) > id(next_after(&AtomicU64::new(0), at(1))));
        let (before, after) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        assert!(Id::<Thing>::floor(before) < Id::floor(after));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = Id::<Thing>::new_at(Timestamp::from_millis(1));
        let late = Id::<Thing>::new_at(Timestamp::from_millis(2));
        assert!(early < late);
    }

    #[test]
    fn what_is_made_in_one_millisecond_keeps_its_order_whoever_makes_it() {
        let last = AtomicU64::new(0);
        let make = || (0..70_000).map(|_| next_after(&last, at(0))).collect::<Vec<_>>();

        let (mut ours, theirs) = std::thread::scope(|scope| {
            let theirs = scope.spawn(make);
            (make(), theirs.join().unwrap())
        });

        assert!(ours.is_sorted() && theirs.is_sorted());
        ours.extend(theirs);
        ours.sort_unstable();
        ours.dedup();
        assert_eq!(ours.len(), 140_000);
    }

    #[test]
    fn a_clock_that_steps_back_a_little_does_not_turn_the_order_around() {
        let last = AtomicU64::new(0);

        let times = [500, 0, 501, 5_000].map(|millis| next_after(&last, at(millis)));

        assert!(times.is_sorted(), "{times:?}");
        let far_back = next_after(&last, at(-86_400_000));
        assert_eq!(far_back >> COUNT_BITS, 1_699_913_600_000);
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }
}
