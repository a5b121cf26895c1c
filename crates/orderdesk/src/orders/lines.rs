//! The lines of an order and their sum, which is known to fit from then on.

use palisade::input::Invalid;

use super::{Currency, Money, MoneyError, Quantity, Sku};

/// Most lines of one order.
pub(super) const MOST_LINES: usize = 100;

/// One article of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which article.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
    /// The price of one piece.
    pub unit_price: Money,
}

impl Line {
    /// Returns the price of all pieces.
    ///
    /// # Errors
    ///
    /// [`MoneyError::TooLarge`].
    pub fn price(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(self.quantity)
    }
}

/// 1 to 100 lines in one currency, with a total that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    lines: Vec<Line>,
    total: Money,
}

impl Lines {
    /// Judges the lines of an order in `currency`.
    ///
    /// The same article may stand on several lines.
    ///
    /// # Errors
    ///
    /// `length` for none or more than 100, `currency` for a price in another one, `total` if the
    /// sum has more than 12 digits before the point.
    pub fn new(currency: Currency, lines: Vec<Line>) -> Result<Self, Invalid> {
        if !(1..=MOST_LINES).contains(&lines.len()) {
            return Err(Invalid::new("length", "Must have 1 to 100 elements."));
        }
        let prices = lines.iter().map(Line::price);
        let sum = prices.into_iter().try_fold(Money::zero(currency), |sum, price| sum.plus(price?));
        match sum {
            Ok(total) => Ok(Self { lines, total }),
            Err(MoneyError::TooLarge) => Err(total_too_large()),
            Err(MoneyError::OtherCurrency) => {
                Err(Invalid::new("currency", "All prices must be in the currency of the order."))
            }
        }
    }

    /// Returns the sum over all lines.
    pub fn total(&self) -> Money {
        self.total
    }

    /// Returns what all prices are in.
    pub fn currency(&self) -> Currency {
        self.total.currency()
    }

    /// Returns the lines in the order in which they were given.
    pub fn as_slice(&self) -> &[Line] {
        &self.lines
    }
}

/// Returns what is said where the total of an order does not fit.
pub(super) fn total_too_large() -> Invalid {
    Invalid::new("total", "The total must have at most 12 digits before the point.")
}

#[cfg(test)]
mod tests {
    use palisade::input::FromText;

    use super::*;

    fn line(count: i64, price: &str, code: &str) -> Line {
        Line {
            sku: Sku::from_text("TEA-1").unwrap(),
            quantity: Quantity::new(count).unwrap(),
            unit_price: Money::parse(price, Currency::parse(code).unwrap()).unwrap(),
        }
    }

    fn total(lines: Vec<Line>) -> Result<String, &'static str> {
        let lines = Lines::new(Currency::parse("EUR").unwrap(), lines);
        lines.map(|lines| lines.total().to_string()).map_err(|why| why.code)
    }

    #[test]
    fn the_total_is_the_sum_of_all_lines() {
        assert_eq!(
            total(vec![line(2, "12.50", "EUR"), line(3, "0.01", "EUR")]),
            Ok("25.03".into())
        );
        assert_eq!(total(vec![line(1, "0.00", "EUR")]), Ok("0.00".into()));
    }

    #[test]
    fn a_total_that_does_not_fit_is_refused() {
        let most = || line(1, "999999999999.99", "EUR");

        assert_eq!(total(vec![most()]), Ok("999999999999.99".into()));
        assert_eq!(total(vec![most(), line(1, "0.01", "EUR")]), Err("total"));
        assert_eq!(total(vec![line(1_000_000, "999999999999.99", "EUR")]), Err("total"));
    }

    #[test]
    fn the_number_of_lines_and_their_currency_are_checked() {
        assert_eq!(total(Vec::new()), Err("length"));
        assert_eq!(total(vec![line(1, "1.00", "EUR"); 100]), Ok("100.00".into()));
        assert_eq!(total(vec![line(1, "1.00", "EUR"); 101]), Err("length"));
        assert_eq!(total(vec![line(1, "1.00", "EUR"), line(1, "1.00", "USD")]), Err("currency"));
    }
}
