//! Currencies that an order can be in: those of ISO 4217 that people pay with.
//!
//! Codes and their decimals come from the `iso_currency` crate. Left out are funds (`CLF`), metals
//! (`XAU`), units of account, and the codes for tests and for none (`XTS`, `XXX`): nobody pays
//! with them, and most have no decimals defined. A withdrawn code (`HRK`) stays, because orders
//! that were placed in it must still be read.

use std::fmt;

use iso_currency::IntoEnumIterator;
use palisade::input::{FromText, Invalid, Schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// A currency, with the number of decimals that its amounts have.
///
/// ```
/// use orderdesk::orders::Currency;
/// use palisade::input::FromText;
///
/// assert_eq!(Currency::from_text("EUR").unwrap().decimals(), 2);
/// assert_eq!(Currency::from_text("JPY").unwrap().decimals(), 0);
/// assert_eq!(Currency::from_text("eur").unwrap_err().code, "currency");
/// assert_eq!(Currency::from_text("XAU").unwrap_err().code, "currency");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: &'static str,
    decimals: u8,
}

impl Currency {
    /// Reads an alphabetic code in upper case; `None` if no order can be in it.
    pub fn parse(text: &str) -> Option<Self> {
        let known = iso_currency::Currency::from_code(text).and_then(Self::payable)?;
        (known.code == text).then_some(known)
    }

    /// Returns the alphabetic code, such as `EUR`.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Returns how many digits an amount has behind the point: 0 to 4.
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// Returns every currency that an order can be in, sorted by code.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = iso_currency::Currency::iter().filter_map(Self::payable).collect();
        all.sort_unstable_by_key(|currency| currency.code);
        all
    }

    fn payable(known: iso_currency::Currency) -> Option<Self> {
        if known.is_special() {
            return None;
        }
        let decimals = u8::try_from(known.exponent()?).ok().filter(|decimals| *decimals <= 4)?;
        Some(Self { code: known.code(), decimals })
    }
}

impl FromText for Currency {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let expected = "Must be the ISO 4217 code of a currency, in upper case, such as EUR.";
        Self::parse(raw).ok_or_else(|| Invalid::new("currency", expected))
    }
}

impl Schema for Currency {
    const NAME: Option<&'static str> = Some("Currency");

    fn schema() -> Value {
        let codes: Vec<&str> = Self::all().into_iter().map(Self::code).collect();
        json!({
            "type": "string",
            "description": "An ISO 4217 code.",
            "enum": codes,
        })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_lists_exactly_what_is_accepted() {
        let schema = Currency::schema();
        let codes: Vec<&str> =
            schema["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();

        assert!(codes.is_sorted() && codes.len() > 150);
        for letters in 0..26_u32.pow(3) {
            let letter =
                |place: u32| char::from_u32(65 + letters / 26_u32.pow(place) % 26).unwrap();
            let code = String::from_iter([letter(2), letter(1), letter(0)]);
            assert_eq!(Currency::parse(&code).is_some(), codes.contains(&code.as_str()), "{code}");
        }
    }

    #[test]
    fn decimals_follow_iso_4217() {
        for (code, decimals) in
            [("EUR", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("USD", 2), ("CLF", 4)]
        {
            assert_eq!(Currency::parse(code).unwrap().decimals(), decimals, "{code}");
        }
    }

    #[test]
    fn what_nobody_pays_with_is_refused() {
        for code in ["XAU", "XXX", "XTS", "XDR", "eur", "Eur", "EUR ", "978", "", "€"] {
            assert_eq!(Currency::from_text(code).unwrap_err().code, "currency", "{code}");
        }
    }
}
