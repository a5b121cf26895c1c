//! Writing: rows that every reader of RFC 4180 takes apart again, and no spreadsheet runs.

/// Adds rows to a text.
///
/// A cell that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP's
/// "CSV Injection" says: one whose first visible character is one of `=`, `+`, `-`, `@` and their
/// full-width forms, and one that begins with a tab or a line break. So does what follows a comma,
/// semicolon, tab or line break within a cell, where spreadsheets with other settings begin a cell of
/// their own. A reader that is no
/// spreadsheet sees the apostrophe, and so does [`CsvDecoder`](super::CsvDecoder), for which every
/// cell is a text.
///
/// ```
/// use palisade::input::CsvEncoder;
///
/// let mut text = String::new();
/// CsvEncoder::new(&mut text).row(["A-1", "3", "=1+1", "say \"hi\", Bob"]);
/// assert_eq!(text, "A-1,3,\"'=1+1\",\"say \"\"hi\"\", Bob\"\r\n");
/// ```
#[derive(Debug)]
pub struct CsvEncoder<'t> {
    text: &'t mut String,
}

impl<'t> CsvEncoder<'t> {
    /// Adds to `text`, which is as long as its owner lets it become.
    pub fn new(text: &'t mut String) -> Self {
        Self { text }
    }

    /// Adds a row.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) {
        let begin = self.text.len();
        for (column, cell) in cells.into_iter().enumerate() {
            if column > 0 {
                self.text.push(',');
            }
            self.cell(cell);
        }
        if self.text.len() == begin {
            // An empty line is no row.
            self.text.push_str("\"\"");
        }
        self.text.push_str("\r\n");
    }

    fn cell(&mut self, cell: &str) {
        let parts = || cell.split_inclusive(SEPARATORS);
        if !parts().any(is_run) && !cell.contains([',', '"', '\r', '\n']) {
            return self.text.push_str(cell);
        }
        self.text.push('"');
        for part in parts() {
            if is_run(part) {
                self.text.push('\'');
            }
            for symbol in part.chars() {
                self.text.push(symbol);
                if symbol == '"' {
                    self.text.push('"');
                }
            }
        }
        self.text.push('"');
    }
}

/// Where spreadsheets cut cells, each where its settings say so.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];

/// Tells whether a spreadsheet may take what it finds in a cell for more than a text.
fn is_run(cell: &str) -> bool {
    // Spreadsheets trim what stands before, and some of what cannot be seen.
    let is_passed_over = |symbol: char| {
        symbol.is_whitespace()
            || symbol.is_control()
            || matches!(symbol, '\u{200B}'..='\u{200F}' | '\u{FEFF}')
    };
    let first = cell.trim_start_matches(is_passed_over).chars().next();
    cell.starts_with(['\t', '\r', '\n'])
        || first.is_some_and(|first| {
            matches!(
                first,
                '=' | '+' | '-' | '@' | '\u{FF1D}' | '\u{FF0B}' | '\u{FF0D}' | '\u{FF20}'
            )
        })
}
