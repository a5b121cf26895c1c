//! What clients send about orders.

use palisade::input::{Invalid, List};

use super::UnitPrice;
use super::prices::{check_prices, describe_prices};
use crate::accounts::Username;
use crate::orders::{
    Currency, Line, Lines, PaymentReference, Quantity, Reason, Reference, Sku, Tracking,
};

palisade::body! {
    /// One article to order.
    pub struct LineInput {
        /// Which article.
        sku: Sku,
        /// How many pieces.
        quantity: Quantity,
        /// The price of one piece, with exactly the decimals of the order's currency.
        unit_price: UnitPrice,
    }
}

palisade::body! {
    /// An order to place. Each price has exactly the decimals of the currency, and the total has
    /// at most 12 digits before the point.
    pub struct PlaceOrder checked by check_prices, described by describe_prices {
        /// What all prices are in.
        currency: Currency,
        /// Your own name for the order.
        reference: Option<Reference>,
        /// The username of whom it is for; only operators order for somebody else.
        customer: Option<Username>,
        /// What is ordered.
        lines: List<LineInput, 1, 100>,
    }
}

palisade::body! {
    /// A payment that came in.
    pub struct PayOrder {
        /// What the payment is called where it happened.
        pub payment_reference: PaymentReference,
    }
}

palisade::body! {
    /// A parcel that was handed over.
    pub struct ShipOrder {
        /// What the carrier calls it.
        pub tracking: Option<Tracking>,
    }
}

palisade::body! {
    /// An order to call off.
    pub struct CancelOrder {
        /// Why.
        pub reason: Option<Reason>,
    }
}

/// What [`PlaceOrder`] asks for, in the words of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Whom it is for; `None` for the caller.
    pub customer: Option<Username>,
    /// The customer's own name for it.
    pub reference: Option<Reference>,
    /// What is ordered, and the total.
    pub lines: Lines,
}

impl PlaceOrder {
    /// Takes the order apart into domain values.
    ///
    /// # Errors
    ///
    /// None in practice: reading the body has already refused, with its place, whatever would
    /// be refused here.
    pub fn into_parts(self) -> Result<Placement, Invalid> {
        let Self { currency, reference, customer, lines } = self;
        let lines = lines.into_vec().into_iter().map(|line| line.into_line(currency));
        let lines = Lines::new(currency, lines.collect::<Result<_, _>>()?)?;
        Ok(Placement { customer, reference, lines })
    }
}

impl LineInput {
    fn into_line(self, currency: Currency) -> Result<Line, Invalid> {
        let Self { sku, quantity, unit_price } = self;
        Ok(Line { sku, quantity, unit_price: unit_price.in_currency(currency)? })
    }
}

#[cfg(test)]
mod tests {
    use palisade::input::{Rejection, read_json};
    use serde_json::{Value, json};

    use super::*;

    fn line(quantity: i64, unit_price: &str) -> Value {
        json!({ "sku": "TEA-1", "quantity": quantity, "unit_price": unit_price })
    }

    fn order(currency: &str, lines: Vec<Value>) -> Value {
        json!({ "currency": currency, "lines": lines })
    }

    fn read(body: &Value) -> Result<PlaceOrder, Rejection> {
        read_json(body.to_string().as_bytes())
    }

    /// Returns place and code of everything that is wrong, sorted by place.
    fn violations(body: &Value) -> Vec<(String, &'static str)> {
        match read(body) {
            Ok(_) => Vec::new(),
            Err(Rejection::Invalid(violations)) => {
                let mut found: Vec<_> =
                    violations.into_iter().map(|one| (one.pointer, one.code)).collect();
                found.sort();
                found
            }
            Err(Rejection::Malformed(why)) => vec![(why, "malformed")],
        }
    }

    fn at(pointer: &str, code: &'static str) -> (String, &'static str) {
        (pointer.to_owned(), code)
    }

    #[test]
    fn an_order_becomes_domain_values() {
        let mut body = order("EUR", vec![line(2, "12.50"), line(1, "0.99")]);
        body["customer"] = json!(" Ada ");
        body["reference"] = json!("PO-1");

        let placement = read(&body).unwrap().into_parts().unwrap();

        assert_eq!(placement.customer.unwrap().as_str(), "ada");
        assert_eq!(placement.reference.unwrap().as_str(), "PO-1");
        assert_eq!(placement.lines.total().to_string(), "25.99");
        assert_eq!(placement.lines.as_slice()[0].quantity.count(), 2);
    }

    #[test]
    fn a_wrong_quantity_and_wrong_decimals_are_reported_together() {
        let body = order("EUR", vec![line(0, "12.5"), line(1, "1.00"), line(1_000_001, "1.000")]);

        assert_eq!(
            violations(&body),
            [
                at("/lines/0/quantity", "range"),
                at("/lines/0/unit_price", "decimals"),
                at("/lines/2/quantity", "range"),
                at("/lines/2/unit_price", "decimals"),
            ]
        );
    }

    #[test]
    fn one_price_has_one_violation() {
        for price in ["1,50", "-1.50", "1.50000", ""] {
            let body = order("EUR", vec![line(1, price)]);
            assert_eq!(violations(&body), [at("/lines/0/unit_price", "pattern")], "{price:?}");
        }
        let body = order("JPY", vec![line(1, "1.5")]);
        assert_eq!(violations(&body), [at("/lines/0/unit_price", "decimals")]);
    }

    #[test]
    fn an_unknown_currency_is_the_only_violation_where_prices_cannot_be_judged() {
        let body = order("XAU", vec![line(1, "12.5")]);

        assert_eq!(violations(&body), [at("/currency", "currency")]);
    }

    #[test]
    fn a_total_that_does_not_fit_is_refused_at_the_lines() {
        let most = || line(1, "999999999999.99");

        assert!(violations(&order("EUR", vec![most()])).is_empty());
        assert_eq!(
            violations(&order("EUR", vec![most(), line(1, "0.01")])),
            [at("/lines", "total")]
        );
        assert_eq!(
            violations(&order("EUR", vec![line(2, "999999999999.99")])),
            [at("/lines", "total")]
        );
    }

    #[test]
    fn the_number_of_lines_is_bounded() {
        assert_eq!(violations(&order("EUR", Vec::new())), [at("/lines", "length")]);
        assert!(violations(&order("EUR", vec![line(1, "1.00"); 100])).is_empty());
        let too_many = order("EUR", vec![line(1, "999999999999.99"); 101]);
        assert_eq!(violations(&too_many), [at("/lines", "length")]);
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_unknown_is_malformed() {
        let body = json!({ "lines": [{ "sku": "TEA-1", "quantity": 1 }] });
        let expected = [at("/currency", "required"), at("/lines/0/unit_price", "required")];

        assert_eq!(violations(&body), expected);
        for body in [
            json!({ "currency": "EUR", "lines": [line(1, "1.00")], "total": "1.00" }),
            json!({ "currency": "EUR", "lines": [{ "sku": "a", "quantity": 1, "unit_price": 1.5 }] }),
            json!({ "currency": "EUR", "lines": {} }),
            json!({ "currency": 978, "lines": [line(1, "1.0")] }),
            json!([]),
        ] {
            assert_eq!(violations(&body)[0].1, "malformed", "{body}");
        }
    }
}
