//! For how many days something is good.

use std::time::Duration;

use palisade::input::{Errors, FromJson, Invalid, Json, Pointer, Schema};
use serde_json::{Value, json};

/// Most days: a key that nobody renews once a year is one that nobody remembers.
const MOST: i64 = 365;

/// A number of days: 1 to 365, always whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days(u32);

impl Days {
    /// Returns that time.
    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 24 * 60 * 60)
    }
}

impl FromJson for Days {
    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        let Json::Number(number) = value else {
            errors.malformed(at, "expected a number");
            return None;
        };
        let whole = number.as_integer().filter(|days| (1..=MOST).contains(days));
        let days = whole.and_then(|days| u32::try_from(days).ok());
        if days.is_none() {
            errors.invalid(at, Invalid::new("range", "Must be a whole number from 1 to 365."));
        }
        days.map(Self)
    }
}

impl Schema for Days {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": MOST, "examples": [90] })
    }
}

#[cfg(test)]
mod tests {
    use palisade::input::{Rejection, read_json};

    use super::*;

    #[test]
    fn the_bounds_are_inclusive_and_nothing_is_rounded() {
        for (json, days) in [("1", 1), ("365", 365), ("30.0", 30)] {
            assert_eq!(read_json::<Days>(json.as_bytes()), Ok(Days(days)), "{json}");
        }
        for json in ["0", "366", "-1", "1.5", "1e300"] {
            let refused = read_json::<Days>(json.as_bytes());
            let Err(Rejection::Invalid(violations)) = refused else { panic!("{json}") };
            assert_eq!(violations[0].code, "range", "{json}");
        }
        assert!(matches!(read_json::<Days>(b"\"30\""), Err(Rejection::Malformed(_))));
    }
}
