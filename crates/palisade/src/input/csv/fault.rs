//! What can be wrong with a row, and with a file as a whole.

/// How much of a wrong first line is shown.
const SHOWN: usize = 100;

/// Why one row cannot be used; the rows around it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvFault {
    /// The line is longer than [`CsvLimits::line_bytes`](super::CsvLimits::line_bytes).
    #[error("the line is longer than {0} bytes")]
    LineTooLong(usize),
    /// A cell is longer than [`CsvLimits::cell_bytes`](super::CsvLimits::cell_bytes).
    #[error("column {column} is longer than {most} bytes")]
    CellTooLong {
        /// The place of the column, from 1.
        column: usize,
        /// The bound.
        most: usize,
    },
    /// There are more or fewer cells than columns.
    #[error("{expected} columns were expected, and there are {found}")]
    Columns {
        /// How many the header has.
        expected: usize,
        /// How many the row has.
        found: usize,
    },
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// A control character, such as a tab or a null.
    #[error("column {column} has a control character")]
    Control {
        /// The place of the column, from 1.
        column: usize,
    },
    /// A quotation mark that neither begins a cell nor is doubled within a quoted one.
    #[error("column {column} has a quotation mark that is not doubled")]
    Quote {
        /// The place of the column, from 1.
        column: usize,
    },
    /// A quoted cell that does not end on its line.
    #[error("column {column} begins with a quotation mark and does not end on this line")]
    Open {
        /// The place of the column, from 1.
        column: usize,
    },
}

impl CsvFault {
    /// Returns the permanent name of the fault.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LineTooLong(_) => "line_too_long",
            Self::CellTooLong { .. } => "cell_too_long",
            Self::Columns { .. } => "wrong_columns",
            Self::NotUtf8 => "not_utf8",
            Self::Control { .. } => "control_character",
            Self::Quote { .. } => "stray_quote",
            Self::Open { .. } => "open_quote",
        }
    }
}

/// Why nothing of a file can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvFileError {
    /// There is nothing in it.
    #[error("the file is empty: its first line must be {expected:?}")]
    Empty {
        /// The header, as it should be.
        expected: String,
    },
    /// It is text in another encoding.
    #[error("the file is {0}: save it as UTF-8")]
    Encoding(&'static str),
    /// The first line is not the header.
    #[error("the first line must be {expected:?}, and is {found:?}")]
    Header {
        /// The header, as it should be.
        expected: String,
        /// The beginning of what was found.
        found: String,
    },
}

impl CsvFileError {
    /// Returns the permanent name of the fault.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "empty_file",
            Self::Encoding(_) => "not_utf8",
            Self::Header { .. } => "wrong_header",
        }
    }

    pub(super) fn header(expected: &[&str], line: &[u8]) -> Self {
        let found = String::from_utf8_lossy(line).chars().take(SHOWN).collect();
        Self::Header { expected: expected.join(","), found }
    }
}
