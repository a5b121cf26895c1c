//! Reading a row: every column has the type that was stored, or the row is corrupt.

use rusqlite::types::ValueRef;

use super::error::DbError;
use crate::clock::Timestamp;
use crate::id::Id;

/// One row of an answer.
pub struct Row<'a> {
    row: Source<'a>,
}

enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl<'a> Row<'a> {
    pub(super) fn local(row: &'a rusqlite::Row<'a>) -> Self {
        Self { row: Source::Sqlite(row) }
    }

    pub(super) fn remote(row: &'a tokio_postgres::Row) -> Self {
        Self { row: Source::Postgres(row) }
    }

    /// Returns the value of `column`, which is its name or its place from 0.
    ///
    /// # Errors
    ///
    /// [`DbError::Corrupt`] if the column is missing, of another type, or NULL where `T` is no
    /// `Option`. It names the column and never the value.
    pub fn get<T: FromValue>(&self, column: impl Column) -> Result<T, DbError> {
        self.stored(&column)
            .and_then(T::from_value)
            .ok_or_else(|| DbError::corrupt(&column.name(self)))
    }

    /// Returns what `parse` makes of the value of `column`: a status, an amount, a checked text.
    ///
    /// # Errors
    ///
    /// [`DbError::Corrupt`] as [`Row::get`], and if `parse` returns `None`.
    pub fn parse<V: FromValue, T>(
        &self,
        column: impl Column,
        parse: impl FnOnce(V) -> Option<T>,
    ) -> Result<T, DbError> {
        self.stored(&column)
            .and_then(V::from_value)
            .and_then(parse)
            .ok_or_else(|| DbError::corrupt(&column.name(self)))
    }

    fn stored(&self, column: &impl Column) -> Option<Stored<'_>> {
        let place = column.place(self)?;
        let row = match self.row {
            Source::Sqlite(row) => row,
            Source::Postgres(row) => return row.try_get(place).ok(),
        };
        match row.get_ref(place).ok()? {
            ValueRef::Null => Some(Stored::Null),
            ValueRef::Integer(number) => Some(Stored::Integer(number)),
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().map(Stored::Text),
            ValueRef::Blob(bytes) => Some(Stored::Blob(bytes)),
            ValueRef::Real(_) => None,
        }
    }
}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Row(..)")
    }
}

/// How a column is named: by its name, which is best, or by its place from 0.
pub trait Column: sealed::Sealed {
    /// Returns its place in the row.
    #[doc(hidden)]
    fn place(&self, row: &Row<'_>) -> Option<usize>;
    /// Returns its name, for an error.
    #[doc(hidden)]
    fn name(&self, row: &Row<'_>) -> String;
}

impl Column for &str {
    fn place(&self, row: &Row<'_>) -> Option<usize> {
        match row.row {
            Source::Sqlite(row) => row.as_ref().column_index(self).ok(),
            Source::Postgres(row) => row.columns().iter().position(|found| found.name() == *self),
        }
    }

    fn name(&self, _: &Row<'_>) -> String {
        (*self).to_owned()
    }
}

impl Column for usize {
    fn place(&self, _: &Row<'_>) -> Option<usize> {
        Some(*self)
    }

    fn name(&self, row: &Row<'_>) -> String {
        let name = match row.row {
            Source::Sqlite(row) => row.as_ref().column_name(*self).ok(),
            Source::Postgres(row) => row.columns().get(*self).map(tokio_postgres::Column::name),
        };
        name.map_or_else(|| self.to_string(), str::to_owned)
    }
}

mod sealed {
    /// Keeps the ways to name a column to those here.
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for usize {}
}

/// A value as it lies in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl std::fmt::Debug for Stored<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Null => "Null",
            Self::Integer(_) => "Integer(..)",
            Self::Text(_) => "Text(..)",
            Self::Blob(_) => "Blob(..)",
        })
    }
}

/// What can be read from a column.
pub trait FromValue: Sized {
    /// Returns the value, or `None` if something else is stored.
    fn from_value(stored: Stored<'_>) -> Option<Self>;
}

/// Implements [`FromValue`] for whole numbers, which must fit.
macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl FromValue for $number {
            fn from_value(stored: Stored<'_>) -> Option<Self> {
                match stored {
                    Stored::Integer(number) => Self::try_from(number).ok(),
                    Stored::Null | Stored::Text(_) | Stored::Blob(_) => None,
                }
            }
        }
    )*};
}

whole_numbers!(i64, i32, u32, u16, u8);

impl FromValue for bool {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        match i64::from_value(stored)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        match stored {
            Stored::Text(text) => Some(text.to_owned()),
            Stored::Null | Stored::Integer(_) | Stored::Blob(_) => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        match stored {
            Stored::Blob(bytes) => Some(bytes.to_owned()),
            Stored::Null | Stored::Integer(_) | Stored::Text(_) => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        match stored {
            Stored::Null => Some(None),
            Stored::Integer(_) | Stored::Text(_) | Stored::Blob(_) => {
                T::from_value(stored).map(Some)
            }
        }
    }
}

impl FromValue for Timestamp {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        let millis = i64::from_value(stored)?;
        Some(Self::from_millis(millis)).filter(|moment| moment.as_millis() == millis)
    }
}

impl<T> FromValue for Id<T> {
    fn from_value(stored: Stored<'_>) -> Option<Self> {
        match stored {
            Stored::Text(text) => Self::parse(text),
            Stored::Null | Stored::Integer(_) | Stored::Blob(_) => None,
        }
    }
}
