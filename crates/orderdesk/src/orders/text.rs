//! Free text on orders: one line each, 1 to 200 characters, safe to show.
//!
//! They are different types, so that a reason cannot be stored as a payment reference.
//! The rules for the characters are those of [`palisade::input::text::line()`].

use std::fmt;

use palisade::input::text::{LINE_PATTERN, line};
use palisade::input::{FromText, Invalid, Schema, string_schema, with_keyword};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Most characters of any of these texts.
const MOST: usize = 200;

/// Declares texts that differ in nothing but what they mean, each with an example.
macro_rules! texts {
    ($( $(#[doc = $about:literal])* $name:ident such as $example:literal; )*) => {
        $(
            $(#[doc = $about])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name(String);

            impl $name {
                /// Returns the text in NFC, as it is stored and shown.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl FromText for $name {
                fn from_text(raw: &str) -> Result<Self, Invalid> {
                    line(raw, 1, MOST).map(Self)
                }
            }

            impl Schema for $name {
                fn schema() -> Value {
                    with_keyword(string_schema(1..=MOST, LINE_PATTERN), "examples", [$example])
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                    out.pad(&self.0)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                    out.serialize_str(&self.0)
                }
            }
        )*
    };
}

texts! {
    /// The customer's own name for an order.
    Reference such as "PO-2026-0117";
    /// What the payment is called where it happened.
    PaymentReference such as "pi_3PqR7s";
    /// What the carrier calls the parcel.
    Tracking such as "00340434161094021501";
    /// Why an order was cancelled.
    Reason such as "ordered twice";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::matching;

    proptest! {
        #[test]
        fn what_the_schema_allows_is_accepted(raw in matching(&Reference::schema())) {
            let text = Reference::from_text(&raw);
            prop_assert!(text.is_ok(), "{:?}", text);
        }
    }

    #[test]
    fn a_text_is_kept_in_one_form_and_cannot_play_tricks() {
        let code = |raw: &str| Reason::from_text(raw).map_or_else(|why| why.code, |_| "accepted");

        assert_eq!(Reason::from_text("e\u{301}te\u{301}").unwrap().as_str(), "été");
        assert_eq!(code(&"é".repeat(200)), "accepted");
        assert_eq!(code(&"é".repeat(201)), "length");
        assert_eq!(code(""), "length");
        for raw in ["a\nb", "a\0", "\u{202e}cod", "a\u{2066}b", "a\u{85}"] {
            assert_eq!(code(raw), "characters", "{raw:?}");
        }
    }
}
