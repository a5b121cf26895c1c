//! Closed sets of words: an enum, its texts, and its schema, from one list.
//!
//! The texts are part of the public contract and of what is stored, so each stands beside its
//! variant and is never derived from the variant's name.

/// Declares an enum whose variants are each written as one word.
///
/// It gets `ALL`, `as_str`, `parse`, `Display`, `Serialize`, [`FromText`](crate::input::FromText)
/// (code `choice`) and [`Schema`](crate::input::Schema). Words match exactly, case included.
///
/// ```
/// use palisade::input::{FromText, Schema};
///
/// palisade::words! {
///     /// How big.
///     pub enum Size {
///         /// Fits a letter box.
///         Small = "small",
///         /// Needs two hands.
///         Large = "large",
///     }
/// }
///
/// assert_eq!(Size::parse("large"), Some(Size::Large));
/// assert_eq!(Size::Small.to_string(), "small");
/// assert_eq!(Size::from_text("Large").unwrap_err().code, "choice");
/// assert_eq!(Size::schema()["enum"][0], "small");
/// ```
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $about:literal])*
        $visibility:vis enum $name:ident {
            $(
                $(#[doc = $variant_about:literal])*
                $variant:ident = $word:literal,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $(
                $(#[doc = $variant_about])*
                $variant,
            )*
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),*];

            /// Returns the word for this value, as it is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )*
                }
            }

            /// Reads a word exactly as [`Self::as_str`] writes it; anything else is `None`.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $( $word => Some(Self::$variant), )*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.pad(self.as_str())
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.as_str())
            }
        }

        impl $crate::input::FromText for $name {
            fn from_text(raw: &str) -> Result<Self, $crate::input::Invalid> {
                let expected = || format!("Must be one of: {}.", [$( $word ),*].join(", "));
                Self::parse(raw).ok_or_else(|| $crate::input::Invalid::new("choice", expected()))
            }
        }

        impl $crate::input::Schema for $name {
            fn schema() -> $crate::serde_json::Value {
                $crate::serde_json::json!({ "type": "string", "enum": [$( $word ),*] })
            }
        }
    };
}
