//! The cells of one line.

use std::ops::Range;

use memchr::memchr_iter;

use super::fault::CsvFault;

/// The cells of a row: as many as the header has, each UTF-8 without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvCells {
    /// What they are pieces of.
    text: String,
    /// Where each begins and ends.
    places: Vec<Range<usize>>,
}

impl CsvCells {
    /// Returns the cell in a column, which is counted from 0; an empty text where there is none.
    pub fn get(&self, column: usize) -> &str {
        let place = self.places.get(column).cloned();
        place.and_then(|place| self.text.get(place)).unwrap_or_default()
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Returns all, from the left.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count()).map(|column| self.get(column))
    }

    /// Takes the cells of `line` in, which has no line break, in place of what was there. With an
    /// error, the cells before the fault are there.
    pub(super) fn read(&mut self, line: &[u8], most: usize) -> Result<(), CsvFault> {
        self.clear();
        match std::str::from_utf8(line) {
            Ok(line) if is_plain(line) => self.take(line, most),
            Ok(line) => self.split(line, most),
            Err(error) => {
                let valid = line.get(..error.valid_up_to()).unwrap_or_default();
                let valid = std::str::from_utf8(valid).unwrap_or_default();
                // What follows may belong to the last cell.
                self.split(valid, most).ok();
                self.places.pop();
                Err(CsvFault::NotUtf8)
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Takes the cells of a line that is cut at its commas and nowhere else: as most are.
    fn take(&mut self, line: &str, most: usize) -> Result<(), CsvFault> {
        self.text.push_str(line);
        let mut begin = 0;
        for end in memchr_iter(b',', line.as_bytes()).chain([line.len()]) {
            if end - begin > most {
                return Err(CsvFault::CellTooLong { column: self.places.len() + 1, most });
            }
            self.places.push(begin..end);
            begin = end + 1;
        }
        Ok(())
    }

    fn split(&mut self, line: &str, most: usize) -> Result<(), CsvFault> {
        let mut rest = Some(line);
        while let Some(cells) = rest {
            let column = self.places.len() + 1;
            let begin = self.text.len();
            rest = match cells.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted, column)?,
                None => self.plain(cells, column)?,
            };
            let cell = self.text.get(begin..).unwrap_or_default();
            if cell.len() > most {
                return Err(CsvFault::CellTooLong { column, most });
            }
            if cell.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(CsvFault::Control { column });
            }
            self.places.push(begin..self.text.len());
        }
        Ok(())
    }

    /// Takes a cell without quotation marks, and returns what follows its comma.
    fn plain<'l>(&mut self, cells: &'l str, column: usize) -> Result<Option<&'l str>, CsvFault> {
        let (cell, rest) = match cells.split_once(',') {
            Some((cell, rest)) => (cell, Some(rest)),
            None => (cells, None),
        };
        if cell.contains('"') {
            return Err(CsvFault::Quote { column });
        }
        self.text.push_str(cell);
        Ok(rest)
    }

    /// Takes a cell behind its first quotation mark.
    fn quoted<'l>(
        &mut self,
        mut cells: &'l str,
        column: usize,
    ) -> Result<Option<&'l str>, CsvFault> {
        loop {
            let (part, rest) = cells.split_once('"').ok_or(CsvFault::Open { column })?;
            self.text.push_str(part);
            match rest.strip_prefix('"') {
                Some(rest) => {
                    self.text.push('"');
                    cells = rest;
                }
                None if rest.is_empty() => return Ok(None),
                None => {
                    let rest = rest.strip_prefix(',').ok_or(CsvFault::Quote { column })?;
                    return Ok(Some(rest));
                }
            }
        }
    }
}

/// Tells whether a line has neither quotation marks nor control characters. It looks at every byte,
/// so that it looks at many at once.
fn is_plain(line: &str) -> bool {
    !line.bytes().fold(false, |found, byte| found | (byte == b'"') | byte.is_ascii_control())
}
