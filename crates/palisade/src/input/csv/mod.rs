//! CSV as a table of known columns: read a line at a time in bounded memory, written so that no
//! spreadsheet runs a cell.
//!
//! The form is RFC 4180 in UTF-8, with two rules more: the first line is the header and says
//! exactly what is expected, and one line is one row, so a quote that is never closed costs its
//! own line and not the file. Lines end with LF or CRLF, a byte order mark at the start is passed
//! over, and empty lines are skipped.

mod cells;
mod decoder;
mod encoder;
mod fault;
#[cfg(test)]
mod tests;

pub use cells::CsvCells;
pub use decoder::{CsvDecoder, CsvLimits, CsvPosition, CsvRow};
pub use encoder::CsvEncoder;
pub use fault::{CsvFault, CsvFileError};
