//! The edge of trust: what comes in is read, bounded and turned into types, or refused whole.
//!
//! The rules of this module:
//!
//! 1. Input is decoded once, into its canonical form, and judged after that.
//! 2. Everything that is wrong is reported at once, each with a JSON pointer (RFC 6901),
//!    a permanent code and words that hold nothing the client did not send.
//! 3. What is not known is refused: members, parameters, duplicates.
//! 4. Numbers are exact: none is rounded, none wraps.
//!
//! It leaves out HTTP: [`crate::http`] has the extractors that read a request by these rules.

mod csv;
mod fields;
mod json;
mod number;
mod query;
mod schema;
pub mod text;
mod view;
mod violation;
mod words;

pub use csv::{
    CsvCells, CsvDecoder, CsvEncoder, CsvFault, CsvFileError, CsvLimits, CsvPosition, CsvRow,
};
pub use fields::{FromJson, FromText, List, Members, read_json};
pub use json::{Json, JsonError};
pub use number::Number;
pub(crate) use query::percent_decoded;
pub use query::{FromQuery, Parameters, QueryError};
pub use schema::{Schema, described, shown, string_schema, with_keyword};
pub use text::Line;
pub use violation::{Errors, Invalid, Pointer, Rejection, Violation};

pub(crate) use violation::{MOST_VIOLATIONS, shown_name};
