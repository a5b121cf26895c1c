//! The cells of one line.

use super::fault::CsvFault;

/// The cells of a row: as many as the header has, each UTF-8 without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvCells {
    /// All of them, one behind the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl CsvCells {
    /// Returns the cell in a column, which is counted from 0; an empty text where there is none.
    pub fn get(&self, column: usize) -> &str {
        let before = column.checked_sub(1).and_then(|before| self.ends.get(before));
        let range = self.ends.get(column).map(|end| before.copied().unwrap_or(0)..*end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
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
            Ok(line) => self.split(line, most),
            Err(error) => {
                let valid = line.get(..error.valid_up_to()).unwrap_or_default();
                let valid = std::str::from_utf8(valid).unwrap_or_default();
                // What follows may belong to the last cell.
                self.split(valid, most).ok();
                self.ends.pop();
                Err(CsvFault::NotUtf8)
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn split(&mut self, line: &str, most: usize) -> Result<(), CsvFault> {
        let mut rest = Some(line);
        while let Some(cells) = rest {
            let column = self.ends.len() + 1;
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
            self.ends.push(self.text.len());
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
