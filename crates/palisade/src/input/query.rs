//! Query strings: bounded, each parameter known and given once, every mistake at once.

use super::{Errors, FromText, Invalid, Pointer, Rejection, shown_name};

/// Most parameters that are looked at.
const MOST_PARAMETERS: usize = 32;

/// Why a query string cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
    #[error("the query string is not percent-encoded UTF-8")]
    Encoding,
    /// There are more parameters than any route has.
    #[error("the query string has too many parameters")]
    TooMany,
}

/// A set of query parameters that is read by its names.
pub trait FromQuery: Sized {
    /// Reads the parameters, recording what is wrong; `None` if anything was.
    fn from_query(parameters: &mut Parameters, errors: &mut Errors) -> Option<Self>;

    /// Returns the OpenAPI parameter objects, without `in`.
    fn parameters() -> Vec<serde_json::Value>;
}

/// The decoded parameters of a query string.
#[derive(Debug)]
pub struct Parameters {
    given: Vec<(String, String)>,
    taken: Vec<String>,
}

impl Parameters {
    /// Decodes `query`, the part of the URL behind `?`.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut parameters = Vec::new();
        for pair in pairs {
            if parameters.len() == MOST_PARAMETERS {
                return Err(QueryError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self { given: parameters, taken: Vec::new() })
    }

    /// Reads the whole string into a `T`.
    ///
    /// # Errors
    ///
    /// [`Rejection::Invalid`] with one entry for each parameter that is wrong, unknown or
    /// given twice.
    pub fn read<T: FromQuery>(mut self) -> Result<T, Rejection> {
        let mut errors = Errors::default();
        let value = T::from_query(&mut self, &mut errors);
        for (name, _) in &self.given {
            let why = match self.taken.contains(name) {
                true => Invalid::new("duplicate", "This parameter is given more than once."),
                false => Invalid::new("unknown", "This parameter is not known here."),
            };
            errors.invalid(&Pointer::Root.member(&shown_name(name)), why);
        }
        errors.finish(value)
    }

    /// Takes the parameter `name` out; a second one of that name stays and is refused.
    pub fn take<T: FromText>(&mut self, name: &str, errors: &mut Errors) -> Option<Option<T>> {
        let Some(place) = self.given.iter().position(|(known, _)| known == name) else {
            return Some(None);
        };
        let (name, raw) = self.given.remove(place);
        self.taken.push(name.clone());
        match T::from_text(&raw) {
            Ok(value) => Some(Some(value)),
            Err(why) => {
                errors.invalid(&Pointer::Root.member(&name), why);
                None
            }
        }
    }
}

/// Returns a segment of a path without its percent-encoding; `None` if it is not encoded UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    decoded_as(text, false).ok()
}

fn decoded(text: &str) -> Result<String, QueryError> {
    decoded_as(text, true)
}

/// `is_form`: whether `+` stands for a space, as it does in a query and not in a path.
fn decoded_as(text: &str, is_form: bool) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if is_form => b' ',
            b'%' => hex_digit(rest.next())? * 16 + hex_digit(rest.next())?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| QueryError::Encoding)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, QueryError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(letter @ b'a'..=b'f') => Ok(letter - b'a' + 10),
        Some(letter @ b'A'..=b'F') => Ok(letter - b'A' + 10),
        _ => Err(QueryError::Encoding),
    }
}

/// Declares the query parameters of a route: the struct, how it is read, and its description.
///
/// Every member is `Option<T>` where `T` is [`FromText`] and [`Schema`](super::Schema).
///
/// ```
/// use palisade::input::{FromText, Invalid, Parameters, Schema};
///
/// #[derive(Debug, PartialEq)]
/// pub struct Page(u8);
///
/// impl FromText for Page {
///     fn from_text(raw: &str) -> Result<Self, Invalid> {
///         raw.parse().map(Self).map_err(|_| Invalid::new("range", "Must be 0 to 255."))
///     }
/// }
///
/// impl Schema for Page {
///     fn schema() -> serde_json::Value {
///         serde_json::json!({"type": "integer", "minimum": 0, "maximum": 255})
///     }
/// }
///
/// palisade::query! {
///     /// Which part of the list.
///     pub struct Paging {
///         /// The page, from 0.
///         pub page: Option<Page>,
///     }
/// }
///
/// let read = |query| Parameters::parse(query).unwrap().read::<Paging>();
/// assert_eq!(read("page=7").unwrap().page, Some(Page(7)));
/// assert!(read("page=7&page=8").is_err());
/// assert!(read("sort=up").is_err());
/// ```
#[macro_export]
macro_rules! query {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $member_about:literal])*
                $member_visibility:vis $member:ident: Option<$kind:ty>,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug)]
        $visibility struct $name {
            $(
                $(#[doc = $member_about])*
                $member_visibility $member: Option<$kind>,
            )*
        }

        impl $crate::input::FromQuery for $name {
            fn from_query(
                parameters: &mut $crate::input::Parameters,
                errors: &mut $crate::input::Errors,
            ) -> Option<Self> {
                $( let $member = parameters.take::<$kind>(stringify!($member), errors); )*
                Some(Self { $( $member: $member?, )* })
            }

            fn parameters() -> Vec<$crate::serde_json::Value> {
                vec![
                    $(
                        $crate::serde_json::json!({
                            "name": stringify!($member),
                            "required": false,
                            "description": concat!($( $member_about, "\n" ),*).trim(),
                            "schema": <$kind as $crate::input::Schema>::reference(),
                        }),
                    )*
                ]
            }
        }
    };
}
