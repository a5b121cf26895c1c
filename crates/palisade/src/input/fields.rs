//! Reading JSON values into types, with every mistake gathered on the way.

use std::ops::Deref;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Errors, Invalid, Json, Pointer, Rejection, Schema, shown_name};

/// A value that is read from text: a JSON string, a query parameter, a field of a CSV row.
pub trait FromText: Sized {
    /// Reads and judges `raw`.
    ///
    /// # Errors
    ///
    /// The rule that `raw` breaks.
    fn from_text(raw: &str) -> Result<Self, Invalid>;
}

/// A value that is read from JSON.
pub trait FromJson: Sized {
    /// Whether the member may be left out.
    const OPTIONAL: bool = false;

    /// Reads `value`, which stands at `at`; `None` if something was recorded in `errors`.
    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self>;

    /// Returns what a missing member stands for, or records that it is required.
    fn absent(at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        errors.required(at);
        None
    }
}

/// Reads `document` into a `T`, or says everything that is wrong with it.
///
/// # Errors
///
/// [`Rejection::Malformed`] for text that is not JSON, a wrong type or an unknown member;
/// [`Rejection::Invalid`] for values that are not allowed.
pub fn read_json<T: FromJson>(document: &[u8]) -> Result<T, Rejection> {
    let json = Json::parse(document).map_err(|error| Rejection::Malformed(error.to_string()))?;
    let mut errors = Errors::default();
    let value = T::from_json(&json, &Pointer::Root, &mut errors);
    errors.finish(value)
}

impl<T: FromText> FromJson for T {
    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        let Json::String(raw) = value else {
            errors.malformed(at, "expected a string");
            return None;
        };
        T::from_text(raw).map_err(|why| errors.invalid(at, why)).ok()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    const OPTIONAL: bool = true;

    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        T::from_json(value, at, errors).map(Some)
    }

    fn absent(_: &Pointer<'_>, _: &mut Errors) -> Option<Self> {
        Some(None)
    }
}

/// A list of at least `LEAST` and at most `MOST` values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const LEAST: usize, const MOST: usize>(Vec<T>);

impl<T, const LEAST: usize, const MOST: usize> List<T, LEAST, MOST> {
    /// Takes the first `MOST` values, for an answer that has no more of them.
    pub fn of_first(values: impl IntoIterator<Item = T>) -> Self {
        Self(values.into_iter().take(MOST).collect())
    }

    /// Takes the values out.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const LEAST: usize, const MOST: usize> Deref for List<T, LEAST, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize, const LEAST: usize, const MOST: usize> Serialize for List<T, LEAST, MOST> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl<T: FromJson, const LEAST: usize, const MOST: usize> FromJson for List<T, LEAST, MOST> {
    fn from_json(value: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        let Json::Array(elements) = value else {
            errors.malformed(at, "expected an array");
            return None;
        };
        if !(LEAST..=MOST).contains(&elements.len()) {
            let expected = format!("Must have {LEAST} to {MOST} elements.");
            errors.invalid(at, Invalid::new("length", expected));
        }
        let mut values = Vec::with_capacity(elements.len().min(MOST));
        for (index, element) in elements.iter().enumerate().take(MOST) {
            values.extend(T::from_json(element, &at.element(index), errors));
        }
        (values.len() == elements.len()).then_some(Self(values))
    }
}

impl<T: Schema, const LEAST: usize, const MOST: usize> Schema for List<T, LEAST, MOST> {
    fn schema() -> Value {
        json!({
            "type": "array",
            "items": T::reference(),
            "minItems": LEAST,
            "maxItems": MOST,
        })
    }

    fn collect(named: &mut serde_json::Map<String, Value>) {
        T::collect(named);
    }
}

/// The members of a JSON object while they are taken out one by one.
#[derive(Debug)]
pub struct Members<'a> {
    members: &'a [(std::borrow::Cow<'a, str>, Json<'a>)],
    taken: usize,
}

impl<'a> Members<'a> {
    /// Opens `value`, which must be an object.
    pub fn open(value: &'a Json<'a>, at: &Pointer<'_>, errors: &mut Errors) -> Option<Self> {
        let Json::Object(members) = value else {
            errors.malformed(at, "expected an object");
            return None;
        };
        Some(Self { members, taken: 0 })
    }

    /// Reads the member `name`, or what its absence stands for.
    pub fn take<T: FromJson>(
        &mut self,
        name: &str,
        at: &Pointer<'_>,
        errors: &mut Errors,
    ) -> Option<T> {
        let here = at.member(name);
        match self.members.iter().find(|(known, _)| known == name) {
            Some((_, value)) => {
                self.taken += 1;
                T::from_json(value, &here, errors)
            }
            None => T::absent(&here, errors),
        }
    }

    /// Records the first member that nobody took; `known` are the names that were asked for.
    pub fn finish(self, known: &[&str], at: &Pointer<'_>, errors: &mut Errors) {
        if self.taken == self.members.len() {
            return;
        }
        let unknown = self.members.iter().find(|(name, _)| !known.contains(&name.as_ref()));
        if let Some((name, _)) = unknown {
            errors.malformed(&at.member(&shown_name(name)), "this member is not known here");
        }
    }
}

/// Declares a request body: the struct, how it is read, and its schema, from one text.
///
/// Each member's type must be [`FromJson`] and [`Schema`]; `Option<T>` may be left out. Unknown
/// members are refused. The documentation comments become the descriptions in the OpenAPI
/// document. A rule over several members is a function named after `checked by`: it sees the
/// document before any member is judged, so that its complaints join all the others. After a
/// comma, `described by` may name a function that takes the schema and returns it with that rule.
///
/// ```
/// use palisade::input::{FromText, Invalid, Schema, read_json, string_schema};
///
/// #[derive(Debug)]
/// pub struct Colour(String);
///
/// impl FromText for Colour {
///     fn from_text(raw: &str) -> Result<Self, Invalid> {
///         let is_word = (1..=20).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_lowercase());
///         match is_word {
///             true => Ok(Self(raw.to_owned())),
///             false => Err(Invalid::new("pattern", "Must be 1 to 20 letters from a to z.")),
///         }
///     }
/// }
///
/// impl Schema for Colour {
///     fn schema() -> serde_json::Value {
///         string_schema(1..=20, "^[a-z]+$")
///     }
/// }
///
/// palisade::body! {
///     /// A wish for paint.
///     pub struct Paint {
///         /// What it should look like.
///         pub colour: Colour,
///         /// What it must not look like.
///         pub not: Option<Colour>,
///     }
/// }
///
/// assert!(read_json::<Paint>(br#"{"colour":"green"}"#).is_ok());
/// assert!(read_json::<Paint>(br#"{"colour":"Green","litres":2}"#).is_err());
/// assert_eq!(Paint::schema()["required"][0], "colour");
/// ```
#[macro_export]
macro_rules! body {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident
        $(checked by $check:path $(, described by $describe:path)?)?
        {
            $(
                $(#[doc = $member_about:literal])*
                $member_visibility:vis $member:ident: $kind:ty,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug)]
        $visibility struct $name {
            $(
                $(#[doc = $member_about])*
                $member_visibility $member: $kind,
            )*
        }

        impl $crate::input::FromJson for $name {
            fn from_json(
                value: &$crate::input::Json<'_>,
                at: &$crate::input::Pointer<'_>,
                errors: &mut $crate::input::Errors,
            ) -> Option<Self> {
                let mut members = $crate::input::Members::open(value, at, errors)?;
                $( $check(value, at, errors); )?
                $( let $member = members.take::<$kind>(stringify!($member), at, errors); )*
                members.finish(&[$( stringify!($member) ),*], at, errors);
                Some(Self { $( $member: $member?, )* })
            }
        }

        impl $crate::input::Schema for $name {
            const NAME: Option<&'static str> = Some(stringify!($name));

            fn schema() -> $crate::serde_json::Value {
                let mut properties = $crate::serde_json::Map::new();
                let mut required = Vec::<&str>::new();
                $(
                    properties.insert(
                        stringify!($member).to_owned(),
                        $crate::input::described(
                            <$kind as $crate::input::Schema>::reference(),
                            concat!($( $member_about, "\n" ),*),
                        ),
                    );
                    if !<$kind as $crate::input::FromJson>::OPTIONAL {
                        required.push(stringify!($member));
                    }
                )*
                let schema = $crate::serde_json::json!({
                    "type": "object",
                    "description": concat!($( $about, "\n" ),*).trim(),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                });
                $( $( let schema = $describe(schema); )? )?
                schema
            }

            fn collect(named: &mut $crate::serde_json::Map<String, $crate::serde_json::Value>) {
                named.entry(stringify!($name)).or_insert_with(Self::schema);
                $( <$kind as $crate::input::Schema>::collect(named); )*
            }
        }
    };
}
