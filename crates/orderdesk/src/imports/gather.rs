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
    /// The first and last line of the rows that are more than an order can have.
    pub beyond: Option<(u64, u64)>,
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
        Self { rows: vec![row], beyond: None, count: 1, end }
    }

    fn add(&mut self, row: Result<Row, Rejection>, end: CsvPosition) {
        let line = line_of(&row);
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else {
            self.beyond = Some((self.beyond.map_or(line, |(first, _)| first), line));
        }
        self.count += 1;
        self.end = end;
    }
}

fn line_of(row: &Result<Row, Rejection>) -> u64 {
    row.as_ref().map_or_else(|rejection| rejection.line, |row| row.line)
}

/// Puts rows together as they come. It holds the rows of one reference, 100 at most.
#[derive(Debug, Default)]
pub struct Gatherer {
    current: Option<(String, Group)>,
    /// Rows behind it that cannot be read: of the same reference, if that comes again.
    unknown: Vec<(Rejection, CsvPosition)>,
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
            (None, Err(rejection)) => {
                self.unknown.push((rejection, end));
                if self.unknown.len() > MOST_ROWS {
                    self.close();
                }
            }
            (None, Ok(_)) => {}
            (Some(name), judged) => match &mut self.current {
                Some((current, group)) if *current == name => {
                    for (rejection, end) in self.unknown.drain(..) {
                        group.add(Err(rejection), end);
                    }
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
        let unknown = self.unknown.drain(..);
        self.ready.extend(unknown.map(|(rejection, end)| Group::new(Err(rejection), end)));
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
