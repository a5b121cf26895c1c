//! Rows of one reference that follow each other, put together.

use palisade::input::{CsvPosition, CsvRow, FromText};

use super::{Rejection, Row};
use crate::orders::Reference;

/// Most rows that are kept of a reference: as many as an order has lines.
const MOST_ROWS: usize = 100;

/// Rows of one reference, or one row of which nobody knows the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its rows, in the order of the file; an order has no more than are kept.
    pub rows: Vec<Result<Row, Rejection>>,
    /// The first and last line of the rows that are not kept: more than an order can have, or behind
    /// one that nobody can read.
    pub beyond: Option<(u64, u64)>,
    /// Whether nobody knows the reference.
    pub is_unknown: bool,
    /// How many rows there are.
    pub count: u64,
    /// Where the last of them ends.
    pub end: CsvPosition,
}

impl Group {
    /// Returns the line of its first row.
    pub fn first_line(&self) -> u64 {
        self.lines().next().unwrap_or(1)
    }

    /// Returns the lines of the rows that are kept.
    pub fn lines(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(line_of)
    }

    fn new(row: Result<Row, Rejection>, end: CsvPosition) -> Self {
        Self { rows: vec![row], beyond: None, is_unknown: false, count: 1, end }
    }

    fn unknown(rejection: Rejection, end: CsvPosition) -> Self {
        Self { is_unknown: true, ..Self::new(Err(rejection), end) }
    }

    fn add(&mut self, row: Result<Row, Rejection>, end: CsvPosition) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
            self.count += 1;
            self.end = end;
        } else {
            let line = line_of(&row);
            self.add_beyond((line, line), 1, end);
        }
    }

    /// Adds rows that are not kept.
    fn add_beyond(&mut self, (first, last): (u64, u64), count: u64, end: CsvPosition) {
        self.beyond = Some((self.beyond.map_or(first, |(first, _)| first), last));
        self.count += count;
        self.end = end;
    }

    /// Adds rows that nobody can read and that stand between rows of this reference.
    fn absorb(&mut self, unknown: Self) {
        let Self { rows, beyond, count, end, .. } = unknown;
        let kept = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        rows.into_iter().for_each(|row| self.add(row, end));
        if let Some(lines) = beyond {
            // One has more behind it only when there are more than an order can have.
            self.add_beyond(lines, count.saturating_sub(kept), end);
        }
    }
}

fn line_of(row: &Result<Row, Rejection>) -> u64 {
    row.as_ref().map_or_else(|rejection| rejection.line, |row| row.line)
}

/// Puts rows together as they come. It holds the rows of one reference, 100 at most, and as many
/// behind it that nobody can read.
#[derive(Debug, Default)]
pub struct Gatherer {
    current: Option<(String, Group)>,
    /// Rows behind it that cannot be read: of the same reference, if that comes again.
    unknown: Vec<Group>,
    /// What is complete and was not taken yet.
    ready: Vec<Group>,
}

impl Gatherer {
    /// Adds the next row.
    pub fn add(&mut self, row: &CsvRow<'_>) {
        let end = row.end;
        let judged = Row::read(row);
        let name = (row.known.count() > 0).then(|| name_of(row.known.get(0)));
        match (name, judged) {
            (None, Err(rejection)) => self.add_unknown(rejection, end),
            (None, Ok(_)) => {}
            (Some(name), judged) => match &mut self.current {
                Some((current, group)) if *current == name => {
                    self.unknown.drain(..).for_each(|unknown| group.absorb(unknown));
                    group.add(judged, end);
                }
                _ => {
                    self.close();
                    self.current = Some((name, Group::new(judged, end)));
                }
            },
        }
    }

    /// Says that no row follows.
    pub fn close(&mut self) {
        self.ready.extend(self.current.take().map(|(_, group)| group));
        self.ready.append(&mut self.unknown);
    }

    fn add_unknown(&mut self, rejection: Rejection, end: CsvPosition) {
        if self.current.is_none() {
            self.ready.push(Group::unknown(rejection, end));
        } else if self.unknown.len() <= MOST_ROWS {
            self.unknown.push(Group::unknown(rejection, end));
        } else if let Some(last) = self.unknown.last_mut() {
            // Whether they reject the order before them is not known until the next that can be read.
            last.add_beyond((rejection.line, rejection.line), 1, end);
        }
    }

    /// Returns how many rows are in groups that are complete.
    pub fn ready_rows(&self) -> u64 {
        self.ready.iter().map(|group| group.count).sum()
    }

    /// Returns the groups that are complete.
    pub fn take(&mut self) -> Vec<Group> {
        std::mem::take(&mut self.ready)
    }
}

/// Returns what rows of one reference have in common, also where it is no good reference.
fn name_of(cell: &str) -> String {
    Reference::from_text(cell).map_or_else(|_| cell.to_owned(), |name| name.as_str().to_owned())
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
