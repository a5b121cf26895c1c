//! Amounts of money: whole minor units (cents) of one currency.
//!
//! An amount is written with exactly as many decimals as its currency has, so that each amount has
//! one text and each text one amount. There are at most 12 digits before the point, no sign and
//! no float: what would not fit is refused, never rounded or wrapped.

use std::fmt;

use palisade::input::{Invalid, Schema, string_schema, with_keyword};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Currency, Quantity};

/// What an amount looks like in any currency.
pub(super) const PATTERN: &str = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$";

/// Most digits before the point: any amount then fits a 64-bit integer with room to add.
const MOST_INTEGER_DIGITS: usize = 12;

/// Most digits behind the point of any currency in ISO 4217.
const MOST_DECIMALS: usize = 4;

/// Why two amounts cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result has more than 12 digits before the point.
    #[error("the amount has more than 12 digits before the point")]
    TooLarge,
    /// The amounts are in different currencies.
    #[error("the amounts are in different currencies")]
    OtherCurrency,
}

/// An amount of money, not negative.
///
/// ```
/// use orderdesk::orders::{Currency, Money};
///
/// let euro = Currency::parse("EUR").unwrap();
/// let price = Money::parse("12.50", euro).unwrap();
/// assert_eq!((price.minor(), price.to_string()), (1_250, String::from("12.50")));
/// assert_eq!(Money::parse("12.5", euro).unwrap_err().code, "decimals");
/// assert_eq!(Money::parse("+12.50", euro).unwrap_err().code, "pattern");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Reads an amount of `currency` exactly as [`fmt::Display`] writes it.
    ///
    /// # Errors
    ///
    /// `pattern` for what is no amount in any currency, `decimals` for a wrong number of them.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, Invalid> {
        let Some((integer, decimals)) = split(text) else {
            let expected =
                "Must be a decimal number such as 12.50, at most 12 digits and decimals.";
            return Err(Invalid::new("pattern", expected));
        };
        if decimals.len() != usize::from(currency.decimals()) {
            let expected = match currency.decimals() {
                0 => format!("Must have no decimals, as {currency} has."),
                count => format!("Must have exactly {count} decimals, as {currency} has."),
            };
            return Err(Invalid::new("decimals", expected));
        }
        let minor = integer.chars().chain(decimals.chars()).filter_map(|digit| digit.to_digit(10));
        let minor = minor.fold(0, |sum, digit| sum * 10 + i64::from(digit));
        Ok(Self { minor, currency })
    }

    /// Returns `minor` minor units of `currency`; `None` if that is negative or too large.
    pub fn from_minor(minor: i64, currency: Currency) -> Option<Self> {
        (0..=most(currency)).contains(&minor).then_some(Self { minor, currency })
    }

    /// Returns the amount in minor units, as the database stores it.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// Returns what the amount is in.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Returns the price of `quantity` pieces.
    ///
    /// # Errors
    ///
    /// [`MoneyError::TooLarge`].
    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let product = self.minor.checked_mul(i64::from(quantity.count()));
        let amount = product.and_then(|minor| Self::from_minor(minor, self.currency));
        amount.ok_or(MoneyError::TooLarge)
    }

    /// Returns the sum of both amounts.
    ///
    /// # Errors
    ///
    /// [`MoneyError`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::OtherCurrency);
        }
        let sum = self.minor.checked_add(other.minor);
        sum.and_then(|sum| Self::from_minor(sum, self.currency)).ok_or(MoneyError::TooLarge)
    }

    /// Returns nothing, in `currency`: what a sum starts from.
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }
}

/// Splits what looks like an amount of some currency into the digits before and behind the point.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (integer, decimals) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_amount = (1..=MOST_INTEGER_DIGITS).contains(&integer.len())
        && decimals.len() <= MOST_DECIMALS
        && is_digits(integer)
        && is_digits(decimals)
        && (integer == "0" || !integer.starts_with('0'));
    is_amount.then_some((integer, decimals))
}

/// Returns how many minor units make a whole one.
fn scale(currency: Currency) -> i64 {
    10_i64.pow(u32::from(currency.decimals()))
}

fn most(currency: Currency) -> i64 {
    1_000_000_000_000 * scale(currency) - 1
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = scale(self.currency);
        match usize::from(self.currency.decimals()) {
            0 => write!(out, "{}", self.minor),
            places => write!(out, "{}.{:0places$}", self.minor / scale, self.minor % scale),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl Schema for Money {
    fn schema() -> Value {
        with_keyword(string_schema(1..=17, PATTERN), "examples", ["25.00"])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency() -> impl Strategy<Value = Currency> {
        prop::sample::select(["EUR", "JPY", "KWD"].as_slice())
            .prop_map(|code| Currency::parse(code).unwrap())
    }

    fn money() -> impl Strategy<Value = Money> {
        let minor = |currency| prop_oneof![0..=most(currency), 0..100_000_i64];
        currency().prop_flat_map(move |currency| {
            minor(currency).prop_map(move |minor| Money::from_minor(minor, currency).unwrap())
        })
    }

    proptest! {
        #[test]
        fn every_amount_is_read_back_as_written(amount in money()) {
            prop_assert_eq!(Money::parse(&amount.to_string(), amount.currency()), Ok(amount));
        }

        #[test]
        fn every_text_that_is_read_is_written_back(text in "[0-9.]{1,8}|[-+0-9.e ]{1,6}", currency in currency()) {
            if let Ok(amount) = Money::parse(&text, currency) {
                prop_assert_eq!(amount.to_string(), text);
            }
        }

        #[test]
        fn products_and_sums_are_exact_or_refused(
            left in money(),
            right in money(),
            count in prop_oneof![1..=1_000_000_i64, 1..100_i64],
        ) {
            let exact = |minor: i128| {
                i64::try_from(minor).ok().and_then(|minor| Money::from_minor(minor, left.currency()))
            };
            let product = i128::from(left.minor()) * i128::from(count);
            let sum = i128::from(left.minor()) + i128::from(right.minor());

            let times = left.times(Quantity::new(count).unwrap());
            let plus = left.plus(right);

            prop_assert_eq!(times, exact(product).ok_or(MoneyError::TooLarge));
            match left.currency() == right.currency() {
                true => prop_assert_eq!(plus, exact(sum).ok_or(MoneyError::TooLarge)),
                false => prop_assert_eq!(plus, Err(MoneyError::OtherCurrency)),
            }
        }
    }

    #[test]
    fn each_amount_has_exactly_one_text() {
        let read = |text, code| Money::parse(text, Currency::parse(code).unwrap());
        let refused = |text, code| read(text, code).unwrap_err().code;

        assert_eq!(read("0.50", "EUR").unwrap().minor(), 50);
        assert_eq!(read("0", "JPY").unwrap().minor(), 0);
        assert_eq!(read("999999999999.999", "KWD").unwrap().minor(), 999_999_999_999_999);
        for text in ["12.5", "12", "12.500", "0"] {
            assert_eq!(refused(text, "EUR"), "decimals", "{text}");
        }
        assert_eq!(refused("1.5", "JPY"), "decimals");
        for text in [
            "",
            ".",
            "1.",
            ".50",
            "-1.00",
            "+1.00",
            "01.00",
            "00.50",
            "1e2",
            "1,50",
            " 1.00",
            "1.00\n",
            "1000000000000.00",
            "1.00000",
            "٣.00",
            "1.0.0",
            "NaN",
            "0x10",
        ] {
            assert_eq!(refused(text, "EUR"), "pattern", "{text:?}");
        }
    }
}
