//! How many pieces.

use std::fmt;

use palisade::input::{Errors, FromJson, Invalid, Json, Pointer, Schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Most pieces on one line.
const MOST: i64 = 1_000_000;

/// A number of pieces: 1 to 1,000,000, always whole.
///
/// ```
/// use orderdesk::orders::Quantity;
///
/// assert_eq!(Quantity::new(3).unwrap().count(), 3);
/// assert_eq!(Quantity::new(0).unwrap_err().code, "range");
/// assert_eq!(Quantity::parse("03").unwrap_err().code, "integer");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

impl Quantity {
    /// Judges a whole number.
    ///
    /// # Errors
    ///
    /// `range`.
    pub fn new(count: i64) -> Result<Self, Invalid> {
        let in_range = u32::try_from(count).ok().filter(|_| (1..=MOST).contains(&count));
        in_range.map(Self).ok_or_else(|| Invalid::new("range", "Must be 1 to 1,000,000."))
    }

    /// Reads a number from text that has no JSON type, such as a field of a CSV file.
    ///
    /// Digits only, without a sign and without leading zeros.
    ///
    /// # Errors
    ///
    /// `integer` or `range`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() || !is_plain || (text.len() > 1 && text.starts_with('0')) {
            return Err(not_whole());
        }
        Self::new(text.parse().unwrap_or(i64::MAX))
    }

    /// Returns the number.
    pub fn count(self) -> u32 {
        self.0
    }
}

fn not_whole() -> Invalid {
    Invalid::new("integer", "Must be a whole number from 1 to 1,000,000.")
}

impl FromJson for Quantity {
    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        let Json::Number(number) = value else {
            errors.malformed(at, "expected a number");
            return None;
        };
        let judged = number.as_integer().ok_or_else(not_whole).and_then(Self::new);
        judged.map_err(|why| errors.invalid(at, why)).ok()
    }
}

impl Schema for Quantity {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": MOST, "examples": [2] })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u32(self.0)
    }
}

#[cfg(test)]
mod tests {
    use palisade::input::{Rejection, read_json};

    use super::*;

    fn code(json: &str) -> &'static str {
        match read_json::<Quantity>(json.as_bytes()) {
            Ok(_) => "accepted",
            Err(Rejection::Invalid(violations)) => violations[0].code,
            Err(Rejection::Malformed(_)) => "malformed",
        }
    }

    #[test]
    fn the_bounds_are_inclusive() {
        assert_eq!(code("1"), "accepted");
        assert_eq!(code("1000000"), "accepted");
        for json in ["0", "-1", "1000001", "9223372036854775807"] {
            assert_eq!(code(json), "range", "{json}");
        }
    }

    #[test]
    fn a_number_is_whole_or_refused_and_never_rounded() {
        for json in ["3", "3.0", "3e0"] {
            assert_eq!(read_json::<Quantity>(json.as_bytes()), Ok(Quantity(3)), "{json}");
        }
        for json in ["1.5", "0.9999999999999999999", "1e-1", "9223372036854775808", "1e300"] {
            assert_eq!(code(json), "integer", "{json}");
        }
    }

    #[test]
    fn another_json_type_is_malformed() {
        for json in ["\"3\"", "true", "null", "[3]", "{}"] {
            assert_eq!(code(json), "malformed", "{json}");
        }
    }

    #[test]
    fn text_is_read_strictly() {
        let code = |text| Quantity::parse(text).map_or_else(|why| why.code, |_| "accepted");

        assert_eq!(Quantity::parse("1000000").unwrap().count(), 1_000_000);
        for text in ["0", "1000001", "99999999999999999999"] {
            assert_eq!(code(text), "range", "{text}");
        }
        for text in ["", " 1", "+1", "-1", "01", "1.0", "1e3", "٣", "=1"] {
            assert_eq!(code(text), "integer", "{text}");
        }
    }
}
