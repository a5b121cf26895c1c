//! Time as a parameter: what reads the time is handed a [`Clock`], so tests turn it by hand.
//!
//! This is the only module that reads the wall clock (`clippy.toml` holds that).
//! It leaves out deadlines and sleeps: those are tokio's, which tests pause on their own.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// Milliseconds from 1970-01-01 to the last instant of the year 9999, what RFC 3339 can write.
const LATEST: i64 = 253_402_300_799_999;

/// A point in time in UTC, with the precision that the service promises: one millisecond.
///
/// Shown and serialised as RFC 3339 with exactly three decimals and `Z`.
///
/// ```
/// use palisade::clock::Timestamp;
///
/// let moment = Timestamp::from_millis(1_767_225_600_123);
/// assert_eq!(moment.to_string(), "2026-01-01T00:00:00.123Z");
/// assert_eq!(Timestamp::parse("2026-01-01T01:00:00.123+01:00"), Some(moment));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// Values before 1970 or after 9999 are moved to that bound: neither can be written in
    /// every place a timestamp goes.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, LATEST))
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z, as the database stores them.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z, for what counts in floats.
    pub fn as_secs_f64(self) -> f64 {
        Duration::from_millis(u64::try_from(self.0).unwrap_or_default()).as_secs_f64()
    }

    /// Writes the moment as HTTP does (RFC 9110, section 5.6.7).
    pub(crate) fn to_http_date(self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000)).ok();
        let written = moment.and_then(|moment| moment.format(&Rfc2822).ok()).unwrap_or_default();
        written.replace("+0000", "GMT")
    }

    /// Reads a moment as HTTP writes it (RFC 9110, section 5.6.7).
    pub(crate) fn from_http_date(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Some(Self::from_millis(parsed.unix_timestamp().checked_mul(1000)?))
    }

    /// Reads an RFC 3339 date and time with an offset; digits past the millisecond are dropped,
    /// and a moment outside the bounds is moved to them as in [`Timestamp::from_millis`].
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).ok()?;
        Some(Self::from_millis(millis))
    }

    /// Returns the moment `span` later, or the last one that can be written.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Returns the moment `span` earlier, or 1970-01-01.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.div_euclid(1000), self.0.rem_euclid(1000));
        let moment = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let (date, time) = (moment.date(), moment.time());
        write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(LATEST))
    }
}

/// A clock that stands still until a test moves it.
///
/// ```
/// use std::time::Duration;
/// use palisade::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::starting_at(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), Timestamp::from_millis(3_000));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Makes a clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().after(span));
    }

    /// Shows `moment` from now on, which may lie in the past.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(millis in 0..=LATEST) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        }
    }

    #[test]
    fn the_date_of_http_is_read_as_it_is_written() {
        let moment = Timestamp::from_millis(1_767_225_600_000);
        assert_eq!(moment.to_http_date(), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(Timestamp::from_http_date(&moment.to_http_date()), Some(moment));
        assert_eq!(Timestamp::from_http_date("soon"), None);
    }

    #[test]
    fn a_moment_that_cannot_be_written_is_moved_to_the_bound() {
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1970-01-01T00:00:00.000Z");
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(last.after(Duration::MAX), last);
        let early = Timestamp::parse("0244-04-21T23:03:09.8784+01:00").unwrap();
        assert_eq!(early, Timestamp::from_millis(0));
    }
}
