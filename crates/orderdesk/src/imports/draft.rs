//! Rows as they should be, and the order that rows of one reference make.

use palisade::crypto::digest;
use palisade::input::{CsvCells, CsvRow, FromText, Invalid};

use super::Group;
use crate::accounts::Username;
use crate::orders::{Currency, Line, Lines, Quantity, Reference, Sku, UnitPrice};

/// Why a row makes no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its line in the file; the header is line 1.
    pub line: u64,
    /// A permanent code.
    pub code: &'static str,
    /// A sentence that names the column.
    pub detail: String,
}

/// One row whose cells are what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file.
    pub line: u64,
    reference: Reference,
    customer: Username,
    currency: Currency,
    article: Line,
}

/// An order that rows of one reference make, if their customer is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The customer's own name for it.
    pub reference: Reference,
    /// Whom it is for.
    pub customer: Username,
    /// What is ordered.
    pub lines: Lines,
}

impl Rejection {
    /// Rejects `line`.
    pub fn new(line: u64, code: &'static str, detail: impl Into<String>) -> Self {
        Self { line, code, detail: detail.into() }
    }

    fn column(line: u64, column: &str, Invalid { code, detail }: Invalid) -> Self {
        Self::new(line, code, format!("{column}: {detail}"))
    }
}

impl Row {
    /// Judges the cells of a row, from the left; the first that is wrong is told.
    ///
    /// # Errors
    ///
    /// The rejection.
    pub fn read(row: &CsvRow<'_>) -> Result<Self, Rejection> {
        let line = row.line;
        let cells = row.cells.map_err(|fault| {
            Rejection::new(line, fault.code(), format!("The line cannot be read: {fault}."))
        })?;
        let reference = cell(line, cells, 0, Reference::from_text)?;
        let customer = cell(line, cells, 1, Username::from_text)?;
        let currency = cell(line, cells, 2, Currency::from_text)?;
        let sku = cell(line, cells, 3, Sku::from_text)?;
        let quantity = cell(line, cells, 4, Quantity::parse)?;
        let unit_price =
            cell(line, cells, 5, |text| UnitPrice::from_text(text)?.in_currency(currency))?;
        Ok(Self {
            line,
            reference,
            customer,
            currency,
            article: Line { sku, quantity, unit_price },
        })
    }
}

fn cell<T>(
    line: u64,
    cells: &CsvCells,
    column: usize,
    read: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, Rejection> {
    let name = super::HEADER.get(column).copied().unwrap_or_default();
    read(cells.get(column)).map_err(|why| Rejection::column(line, name, why))
}

impl Draft {
    /// Makes the order of a reference.
    ///
    /// # Errors
    ///
    /// A rejection for each of its rows: the bad ones say what is wrong with them, the others
    /// which one it is.
    pub fn of(group: &Group) -> Result<Self, Vec<Rejection>> {
        let mut bad: Vec<Rejection> =
            group.rows.iter().filter_map(|row| row.as_ref().err().cloned()).collect();
        let good: Vec<&Row> = group.rows.iter().filter_map(|row| row.as_ref().ok()).collect();
        bad.extend(disagreements(&good));
        if let Some((first, last)) = group.beyond {
            let rejection = match bad.first().filter(|_| group.is_unknown) {
                Some(Rejection { code, .. }) => {
                    let detail = format!("Lines {first} to {last} cannot be read either.");
                    Rejection::new(first, code, detail)
                }
                None => {
                    let detail =
                        format!("An order has 1 to 100 rows: lines {first} to {last} are more.");
                    Rejection::new(first, "length", detail)
                }
            };
            bad.push(rejection);
        }
        if bad.is_empty()
            && let Some(first) = good.first()
        {
            let articles = good.iter().map(|row| row.article.clone()).collect();
            match Lines::new(first.currency, articles) {
                Ok(lines) => {
                    let (reference, customer) = (first.reference.clone(), first.customer.clone());
                    return Ok(Self { reference, customer, lines });
                }
                Err(Invalid { code, detail }) => bad.push(Rejection::new(first.line, code, detail)),
            }
        }
        Err(with_the_others(group, bad))
    }

    /// Rejects every row of the order for something that its first row says.
    pub fn rejected(group: &Group, code: &'static str, detail: &str) -> Vec<Rejection> {
        let first = group.first_line();
        with_the_others(group, vec![Rejection::new(first, code, detail)])
    }

    /// Tells whether another draft is for the same articles.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = self.lines.currency().code().to_owned();
        for Line { sku, quantity, unit_price } in self.lines.as_slice() {
            // None of the three can have a space.
            let article = format!(" {} {} {}", sku.as_str(), quantity.count(), unit_price.minor());
            text.push_str(&article);
        }
        digest(text.as_bytes())
    }
}

/// Rejects what differs from the first row in something that an order has once.
fn disagreements(rows: &[&Row]) -> Vec<Rejection> {
    let Some((first, others)) = rows.split_first() else { return Vec::new() };
    let judge = |row: &&Row| {
        let differs = |what: &str| format!("{what}: Must be that of line {}.", first.line);
        if row.customer != first.customer {
            Some(Rejection::new(row.line, "mixed_customer", differs("customer")))
        } else if row.currency != first.currency {
            Some(Rejection::new(row.line, "mixed_currency", differs("currency")))
        } else {
            None
        }
    };
    others.iter().filter_map(judge).collect()
}

/// Adds the rows of the reference that are not to blame.
fn with_the_others(group: &Group, mut bad: Vec<Rejection>) -> Vec<Rejection> {
    bad.sort_by_key(|rejection| rejection.line);
    let Some(blamed) = bad.first().map(|rejection| rejection.line) else { return bad };
    let known: Vec<u64> = bad.iter().map(|rejection| rejection.line).collect();
    let detail = format!("The reference is rejected because of line {blamed}.");
    let others = group.lines().filter(|line| !known.contains(line));
    bad.extend(others.map(|line| Rejection::new(line, "reference_rejected", detail.clone())));
    bad.sort_by_key(|rejection| rejection.line);
    bad
}
