//! The values that are bound to a statement's `$1`, `$2`, …: typed, also when they are NULL.
//!
//! PostgreSQL needs to know the type of a NULL, so [`Value`] keeps it although SQLite does not.

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use crate::clock::Timestamp;
use crate::id::Id;

/// The values for one statement, in the order of its parameters; [`args!`](crate::args) makes them.
pub type Args<'a> = [Value<'a>];

/// One value for one parameter; `None` is NULL.
///
/// It has no `Debug` that shows the value: what is stored does not belong in a log.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A whole number: `INTEGER` or `BIGINT`.
    Integer(Option<i64>),
    /// Text: `TEXT`.
    Text(Option<Cow<'a, str>>),
    /// Bytes: `BLOB`.
    Blob(Option<Cow<'a, [u8]>>),
    /// A truth, stored as 0 or 1 in an `INTEGER` on both databases.
    Bool(Option<bool>),
}

impl Value<'_> {
    /// Returns the value as the driver takes it.
    pub(super) fn as_driver(&self) -> ValueRef<'_> {
        match self {
            Self::Integer(Some(number)) => ValueRef::Integer(*number),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Blob(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Bool(Some(truth)) => ValueRef::Integer(i64::from(*truth)),
            Self::Integer(None) | Self::Text(None) | Self::Blob(None) | Self::Bool(None) => {
                ValueRef::Null
            }
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Integer(_) => "Integer(..)",
            Self::Text(_) => "Text(..)",
            Self::Blob(_) => "Blob(..)",
            Self::Bool(_) => "Bool(..)",
        })
    }
}

/// What can be bound to a parameter.
///
/// A feature implements it for its own types by way of one of those here:
///
/// ```
/// use palisade::db::{ToValue, Value};
///
/// enum Status { New, Paid }
///
/// impl ToValue for Status {
///     fn to_value(&self) -> Value<'_> {
///         Value::Text(Some(match self { Self::New => "new", Self::Paid => "paid" }.into()))
///     }
///     fn null() -> Value<'static> {
///         Value::Text(None)
///     }
/// }
/// ```
pub trait ToValue {
    /// Returns the value to bind.
    fn to_value(&self) -> Value<'_>;
    /// Returns the NULL of the same type.
    fn null() -> Value<'static>;
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        T::to_value(self)
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        match self {
            Some(value) => value.to_value(),
            None => T::null(),
        }
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

/// Implements [`ToValue`] for types that become an `i64` without loss.
macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl ToValue for $number {
            fn to_value(&self) -> Value<'_> {
                Value::Integer(Some(i64::from(*self)))
            }

            fn null() -> Value<'static> {
                Value::Integer(None)
            }
        }
    )*};
}

whole_numbers!(i64, i32, u32, u16, u8);

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Bool(Some(*self))
    }

    fn null() -> Value<'static> {
        Value::Bool(None)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Some(self.into()))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        self.as_str().to_value()
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(Some(self.into()))
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        self.as_slice().to_value()
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

impl<const LENGTH: usize> ToValue for [u8; LENGTH] {
    fn to_value(&self) -> Value<'_> {
        self.as_slice().to_value()
    }

    fn null() -> Value<'static> {
        Value::Blob(None)
    }
}

/// Stored as milliseconds since 1970 in a `BIGINT`.
impl ToValue for Timestamp {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(Some(self.as_millis()))
    }

    fn null() -> Value<'static> {
        Value::Integer(None)
    }
}

/// Stored as its text, whose order is the order of making.
impl<T> ToValue for Id<T> {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Some(self.to_string().into()))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

/// Makes the [`Args`] of a statement from anything that is [`ToValue`].
///
/// ```
/// use palisade::args;
/// use palisade::db::Value;
///
/// let note: Option<&str> = None;
/// let values = args![7_i64, "paid", note];
/// let paid = Value::Text(Some("paid".into()));
/// assert_eq!(values, &[Value::Integer(Some(7)), paid, Value::Text(None)]);
/// ```
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        &[$($crate::db::ToValue::to_value(&$value)),*]
    };
}
