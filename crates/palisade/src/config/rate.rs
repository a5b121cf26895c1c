//! How often something may happen: `"500/s"`, `"60/m burst 30"`, `"10/h"`, or `"off"`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::FromSetting;

/// The spans that a rate can be measured in.
const SPANS: [(&str, Duration); 4] = [
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(60 * 60)),
    ("d", Duration::from_secs(24 * 60 * 60)),
];

const EXPECTED: &str = "a rate such as \"500/s\", \"60/m burst 30\" or \"10/h\"";

/// So many events in a span of time, of which some may come at once.
///
/// ```
/// use palisade::config::{FromSetting, Rate};
///
/// let login = Rate::from_text("60/m burst 30").unwrap();
/// assert_eq!(login, Rate::per_minute(60).with_burst(30));
/// assert_eq!(Rate::per_second(500).to_string(), "500/s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    events: u32,
    span: usize,
    burst: u32,
}

impl Rate {
    /// Returns the rate of `events` a second, all of which may come at once; zero counts as one.
    pub const fn per_second(events: u32) -> Self {
        Self::new(events, 0)
    }

    /// Returns the rate of `events` a minute, all of which may come at once; zero counts as one.
    pub const fn per_minute(events: u32) -> Self {
        Self::new(events, 1)
    }

    /// Returns the rate of `events` an hour, all of which may come at once; zero counts as one.
    pub const fn per_hour(events: u32) -> Self {
        Self::new(events, 2)
    }

    /// Returns the rate of `events` a day, all of which may come at once; zero counts as one.
    pub const fn per_day(events: u32) -> Self {
        Self::new(events, 3)
    }

    /// Lets `burst` events come at once instead; zero counts as one.
    #[must_use]
    pub const fn with_burst(self, burst: u32) -> Self {
        Self { burst: at_least_one(burst), ..self }
    }

    /// Returns how many events may happen in [`per`](Self::per), at least one.
    pub const fn events(self) -> u32 {
        self.events
    }

    /// Returns the span in which that many events may happen.
    pub fn per(self) -> Duration {
        SPANS.get(self.span).map_or(Duration::from_secs(1), |(_, span)| *span)
    }

    /// Returns how many events may come at once, at least one.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    const fn new(events: u32, span: usize) -> Self {
        let events = at_least_one(events);
        Self { events, span, burst: events }
    }
}

const fn at_least_one(count: u32) -> u32 {
    if count == 0 { 1 } else { count }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SPANS.get(self.span).map_or("s", |(unit, _)| *unit);
        write!(out, "{}/{unit}", self.events)?;
        if self.burst != self.events {
            write!(out, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

impl FromSetting for Rate {
    fn expected() -> Cow<'static, str> {
        EXPECTED.into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (events, unit) = words.next()?.split_once('/')?;
        let span = SPANS.iter().position(|(known, _)| *known == unit)?;
        let rate = Self::new(positive(events)?, span);
        match (words.next(), words.next(), words.next()) {
            (None, None, None) => Some(rate),
            (Some("burst"), Some(burst), None) => Some(rate.with_burst(positive(burst)?)),
            _ => None,
        }
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

fn positive(digits: &str) -> Option<u32> {
    let only_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|count| only_digits && *count > 0)
}

/// A rate that can be switched off.
///
/// ```
/// use palisade::config::{FromSetting, Rate, Throttle};
///
/// assert_eq!(Throttle::from_text("off"), Some(Throttle::Off));
/// assert_eq!(Throttle::At(Rate::per_hour(10)).to_string(), "10/h");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// Nothing is counted.
    Off,
    /// More than this is refused.
    At(Rate),
}

impl Throttle {
    /// Returns the rate, or `None` when it is switched off.
    pub const fn rate(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::At(rate) => Some(rate),
        }
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => out.write_str("off"),
            Self::At(rate) => rate.fmt(out),
        }
    }
}

impl FromSetting for Throttle {
    fn expected() -> Cow<'static, str> {
        format!("{EXPECTED}, or \"off\"").into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text == "off" { Some(Self::Off) } else { Rate::from_text(text).map(Self::At) }
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_rate_is_read_back(events: u32, burst: u32, span in 0..SPANS.len()) {
            let throttle = Throttle::At(Rate::new(events, span).with_burst(burst));
            prop_assert_eq!(Throttle::from_text(&throttle.to_string()), Some(throttle));
        }

        #[test]
        fn whatever_is_accepted_can_be_written_and_read_back(text in "[0-9]{0,12}/?[smhd]? ?(burst)? ?.*") {
            if let Some(value) = Throttle::from_text(&text) {
                prop_assert_eq!(Throttle::from_text(&value.written()), Some(value));
            }
        }
    }

    #[test]
    fn the_burst_is_the_number_of_events_unless_given() {
        let rate = Rate::from_text("60/m").expect("a rate");
        assert_eq!((rate.events(), rate.per(), rate.burst()), (60, Duration::from_secs(60), 60));
        assert_eq!(Rate::from_text("60/m burst 60"), Some(rate));
    }

    #[test]
    fn a_rate_that_lets_nothing_through_or_is_half_written_is_refused() {
        for text in ["", "off ", "0/s", "5", "5/", "5/w", "/s", "5/s burst", "5/s burst 0", "+5/s"]
        {
            assert_eq!(Throttle::from_text(text), None, "{text}");
        }
    }
}
