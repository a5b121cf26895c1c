//! JSON numbers, kept as the text that was sent: nothing is rounded before somebody asks.

/// A JSON number as it was written.
///
/// Two numbers are equal if their texts are: `3` and `3.0` differ here and agree in
/// [`Number::as_integer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Wraps `text`, which must follow the grammar of RFC 8259 section 6.
    pub(super) fn from_checked(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns the number as it was written.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Returns the integer that this is exactly, or `None` if it is none or outside `i64`.
    ///
    /// The value counts, not the way it is written: `3`, `3.0` and `30e-1` are all three. The
    /// work grows with the length of the text and never with the exponent.
    ///
    /// ```
    /// use palisade::input::Json;
    ///
    /// let integer = |text: &'static str| match Json::parse(text.as_bytes()) {
    ///     Ok(Json::Number(number)) => number.as_integer(),
    ///     _ => None,
    /// };
    /// assert_eq!(integer("30e-1"), Some(3));
    /// assert_eq!(integer("0.5"), None);
    /// assert_eq!(integer("1e999999999"), None);
    /// ```
    pub fn as_integer(&self) -> Option<i64> {
        let (is_negative, rest) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes());
        let length = whole.len().checked_add(fraction.len())?;
        let zeros = digits.clone().rev().take_while(|digit| *digit == b'0').count();
        if zeros == length {
            return Some(0);
        }
        // What is left ends in a digit other than zero, so a negative power is a fraction.
        let power = exponent_of(exponent)
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(i64::try_from(zeros).ok()?)?;
        let power = u32::try_from(power).ok()?;
        let mut value = 0_i64;
        for digit in digits.take(length - zeros) {
            let digit = i64::from(digit - b'0');
            value = value.checked_mul(10)?;
            value =
                if is_negative { value.checked_sub(digit)? } else { value.checked_add(digit)? };
        }
        value.checked_mul(10_i64.checked_pow(power)?)
    }
}

/// Reads a checked exponent; one too long for the bound becomes the bound, which is far past
/// every length a text can have.
fn exponent_of(text: &str) -> i64 {
    const BOUND: i64 = 1 << 60;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let size = digits.bytes().fold(0_i64, |size, digit| {
        size.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(BOUND)
    });
    sign * size
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn integer(text: &str) -> Option<i64> {
        Number::from_checked(text).as_integer()
    }

    #[test]
    fn an_exact_integer_is_read_however_it_is_written() {
        for (text, value) in [
            ("3", 3),
            ("-0", 0),
            ("-0.0e5", 0),
            ("0e999999999999999999999999", 0),
            ("3.0", 3),
            ("3e0", 3),
            ("30e-1", 3),
            ("0.0003E+4", 3),
            ("-12.5e1", -125),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("-9223372036854775.808e3", i64::MIN),
            ("1e18", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_or_too_large_is_none() {
        for text in [
            "0.5",
            "1e-1",
            "31e-1",
            "9223372036854775808",
            "-9223372036854775809",
            "1e19",
            "1e999999999",
            "1e99999999999999999999999999999999",
            "1e-99999999999999999999999999999999",
            "9223372036854775807.1",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn long_texts_stay_exact() {
        let zeros = "0".repeat(5_000);
        assert_eq!(integer(&format!("7.{zeros}")), Some(7));
        assert_eq!(integer(&format!("0.{zeros}7e5001")), Some(7));
        assert_eq!(integer(&format!("7{zeros}e-5000")), Some(7));
        assert_eq!(integer(&format!("7{zeros}")), None);
    }

    proptest! {
        #[test]
        fn moving_the_decimal_point_does_not_change_an_integer(value: i64, places in 0_usize..30) {
            let zeros = "0".repeat(places);
            prop_assert_eq!(integer(&value.to_string()), Some(value));
            prop_assert_eq!(integer(&format!("{value}{zeros}e-{places}")), Some(value));
            prop_assert_eq!(integer(&format!("{value}.{zeros}")), Some(value));
        }
    }
}
