//! Values on their way to PostgreSQL and back: whole numbers of any width, text and bytes.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::row::Stored;
use super::super::value::Value;

type Fault = Box<dyn Error + Send + Sync>;

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self {
            Self::Integer(Some(number)) => whole(*number, kind, out),
            Self::Bool(Some(truth)) if *kind == Type::BOOL => truth.to_sql(kind, out),
            Self::Bool(Some(truth)) => whole(i64::from(*truth), kind, out),
            Self::Text(Some(text)) => text.to_sql(kind, out),
            Self::Blob(Some(bytes)) => bytes.as_ref().to_sql(kind, out),
            Self::Integer(None) | Self::Text(None) | Self::Blob(None) | Self::Bool(None) => {
                Ok(IsNull::Yes)
            }
        }
    }

    fn accepts(kind: &Type) -> bool {
        is_whole(kind) || is_text(kind) || *kind == Type::BYTEA || *kind == Type::BOOL
    }

    to_sql_checked!();
}

/// Returns what a value is to the server, also if it is NULL.
pub(super) fn kind_of(value: &Value<'_>) -> Type {
    match value {
        Value::Integer(_) | Value::Bool(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    }
}

/// Writes a number as wide as the column is, if it fits.
fn whole(number: i64, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
    match *kind {
        Type::INT2 => i16::try_from(number)?.to_sql(kind, out),
        Type::INT4 => i32::try_from(number)?.to_sql(kind, out),
        Type::INT8 => number.to_sql(kind, out),
        _ => Err("a number is bound to what is no whole number".into()),
    }
}

fn is_whole(kind: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8].contains(kind)
}

fn is_text(kind: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
}

/// A column, as it lies in the row. A truth is the number that both databases store for it.
impl<'a> FromSql<'a> for Stored<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        Ok(match *kind {
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        <Value<'_> as ToSql>::accepts(kind)
    }
}
