//! Reading: pieces of a file in, rows out, and never more in memory than a line and a piece.

use memchr::memchr;

use super::cells::CsvCells;
use super::fault::{CsvFault, CsvFileError};

/// The byte order mark of UTF-8, which spreadsheets write.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// How much of a file is held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvLimits {
    /// The longest line, in bytes, without its end; default 16 KiB, a page of text.
    pub line_bytes: usize,
    /// The longest cell, in bytes; default 4 KiB: what a text of 1,000 characters can take.
    pub cell_bytes: usize,
}

impl Default for CsvLimits {
    fn default() -> Self {
        Self { line_bytes: 16 * 1024, cell_bytes: 4 * 1024 }
    }
}

/// How far a file was read: a checkpoint to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvPosition {
    /// How many bytes of the file lie before it.
    pub offset: u64,
    /// The number of the next line; the header is line 1.
    pub line: u64,
}

/// One row.
#[derive(Debug)]
pub struct CsvRow<'d> {
    /// The number of its line; the header is line 1.
    pub line: u64,
    /// Its cells, or why they cannot be used.
    pub cells: Result<&'d CsvCells, CsvFault>,
    /// The cells before the fault, or all: what the row is about may be known all the same.
    pub known: &'d CsvCells,
    /// Where it ends: [`CsvDecoder::position`] of now.
    pub end: CsvPosition,
}

/// Reads a table of known columns.
///
/// Feed it a piece of the file, take rows until there is none, and go on with the next piece. It
/// holds what was fed and not taken yet, and the beginning of one line.
///
/// ```
/// use palisade::input::{CsvDecoder, CsvLimits};
///
/// let mut decoder = CsvDecoder::new(&["sku", "count"], CsvLimits::default());
/// let mut counts = Vec::new();
/// for piece in ["sku,cou", "nt\r\nA-1,3\r\n\"B,2\",", "4"] {
///     decoder.feed(piece.as_bytes());
///     while let Some(row) = decoder.next_row()? {
///         let cells = row.cells.map_err(|fault| format!("line {}: {fault}", row.line))?;
///         counts.push((cells.get(0).to_owned(), cells.get(1).to_owned()));
///     }
/// }
/// decoder.finish();
/// let last = decoder.next_row()?.ok_or("one row has no line end")?;
/// assert_eq!(last.cells?.get(0), "B,2");
/// assert_eq!(counts, [("A-1".to_owned(), "3".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CsvDecoder {
    header: &'static [&'static str],
    limits: CsvLimits,
    /// What was fed; up to `taken` it is done with.
    buffer: Vec<u8>,
    taken: usize,
    /// Up to where there is no line end.
    searched: usize,
    is_finished: bool,
    has_header: bool,
    /// Whether the line that began before what is held is too long, and its end is looked for.
    is_skipping: bool,
    /// Where the next line begins, or goes on.
    reached: CsvPosition,
    /// Where the row ended that was returned last.
    position: CsvPosition,
    cells: CsvCells,
}

impl CsvDecoder {
    /// Begins a file whose first line must be `header`.
    pub fn new(header: &'static [&'static str], limits: CsvLimits) -> Self {
        let begin = CsvPosition { offset: 0, line: 1 };
        Self { has_header: false, ..Self::resume(header, limits, begin) }
    }

    /// Goes on behind a row for which [`CsvDecoder::position`] was `position`: the first byte that
    /// is fed is the one at its offset.
    pub fn resume(
        header: &'static [&'static str],
        limits: CsvLimits,
        position: CsvPosition,
    ) -> Self {
        Self {
            header,
            limits,
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            is_finished: false,
            has_header: position.offset > 0,
            is_skipping: false,
            reached: position,
            position,
            cells: CsvCells::default(),
        }
    }

    /// Adds the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that the file ends here, with or without a line end.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Returns where the row ends that was returned last, with its line end.
    pub fn position(&self) -> CsvPosition {
        self.position
    }

    /// Returns how many bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Returns the next row; none if there is more to be fed, or the file has ended.
    ///
    /// # Errors
    ///
    /// [`CsvFileError`] if the first line is not the header, and again each time.
    pub fn next_row(&mut self) -> Result<Option<CsvRow<'_>>, CsvFileError> {
        if !self.has_header && !self.read_header()? {
            return Ok(None);
        }
        let (number, line) = loop {
            let number = self.reached.line;
            match self.next_line() {
                Some(Line { is_too_long: false, range }) if range.is_empty() => {}
                Some(line) => break (number, line),
                None => return Ok(None),
            }
        };
        let end = self.reached;
        self.position = end;
        if line.is_too_long {
            let fault = CsvFault::LineTooLong(self.limits.line_bytes);
            self.cells.clear();
            return Ok(Some(CsvRow { line: number, cells: Err(fault), known: &self.cells, end }));
        }
        let line = self.buffer.get(line.range).unwrap_or_default();
        let read = self.cells.read(line, self.limits.cell_bytes);
        let (expected, found) = (self.header.len(), self.cells.count());
        let cells = match read {
            Ok(()) if found == expected => Ok(&self.cells),
            Ok(()) => Err(CsvFault::Columns { expected, found }),
            Err(fault) => Err(fault),
        };
        Ok(Some(CsvRow { line: number, cells, known: &self.cells, end }))
    }

    /// Passes the header over; false if not all of it is there.
    fn read_header(&mut self) -> Result<bool, CsvFileError> {
        let begin = self.buffer.get(self.taken..).unwrap_or_default();
        let encoding = match begin {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
            [0, ..] | [_, 0, ..] => Some("UTF-16 or UTF-32"),
            _ => None,
        };
        if let Some(encoding) = encoding {
            return Err(CsvFileError::Encoding(encoding));
        }
        let Some(line) = self.next_line() else {
            if !self.is_finished {
                return Ok(false);
            }
            return Err(CsvFileError::Empty { expected: self.header.join(",") });
        };
        let text = self.buffer.get(line.range).unwrap_or_default();
        let plain = text.strip_prefix(MARK).unwrap_or(text);
        let is_read = !line.is_too_long && self.cells.read(plain, self.limits.cell_bytes).is_ok();
        if !is_read || !self.cells.iter().eq(self.header.iter().copied()) {
            return Err(CsvFileError::header(self.header, plain));
        }
        self.has_header = true;
        self.position = self.reached;
        Ok(true)
    }

    /// Takes the next line, if its end is there.
    fn next_line(&mut self) -> Option<Line> {
        let from = self.searched.max(self.taken);
        let ahead = self.buffer.get(from..).unwrap_or_default();
        let (end, next) = match memchr(b'\n', ahead) {
            Some(place) => (from + place, from + place + 1),
            None if self.is_at_its_end() => (self.buffer.len(), self.buffer.len()),
            None => {
                self.hold_back();
                return None;
            }
        };
        let has_return = next > end && self.taken < end && self.buffer.get(end - 1) == Some(&b'\r');
        let range = self.taken..if has_return { end - 1 } else { end };
        let is_too_long =
            std::mem::take(&mut self.is_skipping) || range.len() > self.limits.line_bytes;
        self.reached.offset += wide(next - self.taken);
        self.reached.line += 1;
        self.taken = next;
        Some(Line { range, is_too_long })
    }

    /// Tells whether what is held is the last line, which has no end.
    fn is_at_its_end(&self) -> bool {
        self.is_finished && (self.is_skipping || self.taken < self.buffer.len())
    }

    /// Waits for the end of a line; lets go of one that is too long already.
    fn hold_back(&mut self) {
        let held = self.buffer.len() - self.taken;
        // One byte more may be the first of its end.
        if held > self.limits.line_bytes + 1 {
            self.is_skipping = true;
            self.reached.offset += wide(held);
            self.taken = self.buffer.len();
        }
        self.searched = self.buffer.len();
    }
}

/// A line in the buffer, without its end.
struct Line {
    range: std::ops::Range<usize>,
    is_too_long: bool,
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
