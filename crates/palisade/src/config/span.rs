//! Lengths of time as people write them: `"30s"`, `"5m"`, `"12h"`, `"7d"`, `"500ms"`.

use std::borrow::Cow;
use std::time::Duration;

use super::FromSetting;

const NANOS_IN_SECOND: u128 = 1_000_000_000;

/// The units and their nanoseconds, largest first, so that the largest that fits is written.
const UNITS: [(&str, u128); 7] = [
    ("d", 24 * 60 * 60 * NANOS_IN_SECOND),
    ("h", 60 * 60 * NANOS_IN_SECOND),
    ("m", 60 * NANOS_IN_SECOND),
    ("s", NANOS_IN_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromSetting for Duration {
    fn expected() -> Cow<'static, str> {
        "a duration such as \"500ms\", \"30s\", \"5m\", \"12h\" or \"7d\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let unit_starts = text.find(|symbol: char| !symbol.is_ascii_digit())?;
        let (digits, unit) = text.split_at_checked(unit_starts)?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let total = digits.parse::<u128>().ok()?.checked_mul(*nanos)?;
        let seconds = u64::try_from(total / NANOS_IN_SECOND).ok()?;
        Some(Self::new(seconds, u32::try_from(total % NANOS_IN_SECOND).ok()?))
    }

    fn written(&self) -> String {
        let total = self.as_nanos();
        if total == 0 {
            return "0s".to_owned();
        }
        let whole = UNITS.iter().find(|(_, nanos)| total.is_multiple_of(*nanos));
        let (unit, nanos) = whole.unwrap_or(&("ns", 1));
        format!("{}{unit}", total / nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_duration_is_read_back(seconds: u64, nanos in 0..1_000_000_000_u32) {
            let span = Duration::new(seconds, nanos);
            prop_assert_eq!(Duration::from_text(&span.written()), Some(span));
        }

        #[test]
        fn whatever_is_accepted_can_be_written_and_read_back(text in "[0-9]{0,22}([smhdnu]{1,2}|.*)") {
            if let Some(value) = Duration::from_text(&text) {
                prop_assert_eq!(Duration::from_text(&value.written()), Some(value));
            }
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        for text in ["500ms", "30s", "5m", "12h", "7d", "0s", "90s"] {
            assert_eq!(Duration::from_text(text).map(|span| span.written()), Some(text.to_owned()));
        }
        assert_eq!(Duration::from_text("60s").map(|span| span.written()), Some("1m".to_owned()));
    }

    #[test]
    fn a_number_without_a_unit_and_other_oddities_are_no_duration() {
        for text in ["", "30", "s", "-3s", "+3s", "1.5h", "3 s", "3S", "3w", "9999999999999999999d"]
        {
            assert_eq!(Duration::from_text(text), None, "{text}");
        }
    }
}
