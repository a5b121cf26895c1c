//! The rules of an order's prices that a member cannot judge alone: the currency's decimals and the
//! total.
//!
//! They are judged on the document as it came, so that their violations are reported together
//! with those of the members, and only where the members themselves give no cause.

use palisade::input::{
    Errors, FromText, Invalid, Json, Pointer, Schema, described, string_schema, with_keyword,
};
use serde_json::{Value, json};

use super::LineInput;
use crate::orders::lines::{MOST_LINES, total_too_large};
use crate::orders::money::{PATTERN, split};
use crate::orders::{Currency, Money, Quantity};

/// A price whose currency is not known yet: a decimal string with up to four decimals.
///
/// ```
/// use orderdesk::orders::{Currency, UnitPrice};
/// use palisade::input::FromText;
///
/// let price = UnitPrice::from_text("12.50").unwrap();
/// assert!(price.in_currency(Currency::parse("EUR").unwrap()).is_ok());
/// assert!(price.in_currency(Currency::parse("JPY").unwrap()).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPrice(String);

impl UnitPrice {
    /// Returns the amount, now that the currency is known.
    ///
    /// # Errors
    ///
    /// `decimals`.
    pub fn in_currency(&self, currency: Currency) -> Result<Money, Invalid> {
        Money::parse(&self.0, currency)
    }
}

impl FromText for UnitPrice {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let expected = "Must be a decimal number such as 12.50, at most 12 digits and decimals.";
        let known = split(raw).ok_or_else(|| Invalid::new("pattern", expected));
        known.map(|_| Self(raw.to_owned()))
    }
}

impl Schema for UnitPrice {
    fn schema() -> Value {
        with_keyword(string_schema(1..=17, PATTERN), "examples", ["12.50"])
    }
}

/// Records prices with the wrong decimals, and a total that does not fit.
pub(super) fn check_prices(order: &Json<'_>, at: &Pointer<'_>, errors: &mut Errors) {
    let Some(currency) = member(order, "currency").and_then(text).and_then(Currency::parse) else {
        return;
    };
    let Some(Json::Array(lines)) = member(order, "lines") else {
        return;
    };
    let at_lines = at.member("lines");
    let mut total = Some(Ok(Money::zero(currency)));
    for (index, line) in lines.iter().enumerate().take(MOST_LINES) {
        let unit_price = price(line, currency).and_then(|judged| {
            let record = |why| errors.invalid(&at_lines.element(index).member("unit_price"), why);
            judged.map_err(record).ok()
        });
        let price = unit_price.zip(quantity(line)).map(|(price, count)| price.times(count));
        total = total.zip(price).map(|(sum, price)| sum?.plus(price?));
    }
    if lines.len() <= MOST_LINES && matches!(total, Some(Err(_))) {
        errors.invalid(&at_lines, total_too_large());
    }
}

/// Returns the judged price of a line, or `None` where [`UnitPrice`] itself refuses it.
fn price(line: &Json<'_>, currency: Currency) -> Option<Result<Money, Invalid>> {
    let price = UnitPrice::from_text(text(member(line, "unit_price")?)?).ok()?;
    Some(price.in_currency(currency))
}

fn quantity(line: &Json<'_>) -> Option<Quantity> {
    match member(line, "quantity")? {
        Json::Number(number) => Quantity::new(number.as_integer()?).ok(),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn member<'a>(value: &'a Json<'a>, name: &str) -> Option<&'a Json<'a>> {
    let Json::Object(members) = value else {
        return None;
    };
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn text<'a>(value: &'a Json<'a>) -> Option<&'a str> {
    match value {
        Json::String(text) => Some(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Says in the schema which decimals go with which currency: one alternative for each number.
///
/// The bound on the total is left to the description, JSON Schema cannot add.
pub(super) fn describe_prices(order: Value) -> Value {
    let mut groups: Vec<u8> = Currency::all().into_iter().map(Currency::decimals).collect();
    groups.sort_unstable();
    groups.dedup();
    let alternatives = groups.into_iter().map(|decimals| with_decimals(order.clone(), decimals));
    json!({
        "description": order.get("description"),
        "anyOf": alternatives.collect::<Vec<Value>>(),
    })
}

/// Narrows the schema of an order to the currencies with this many decimals.
fn with_decimals(mut order: Value, decimals: u8) -> Value {
    let codes = Currency::all().into_iter().filter(|currency| currency.decimals() == decimals);
    let codes: Vec<&str> = codes.map(Currency::code).collect();
    replace(&mut order, "/properties/currency", json!({ "type": "string", "enum": codes }));
    let mut line = LineInput::schema();
    replace(&mut line, "/properties/unit_price", price_schema(decimals));
    replace(&mut order, "/properties/lines/items", line);
    with_keyword(order, "title", format!("In a currency with {decimals} decimals"))
}

fn price_schema(decimals: u8) -> Value {
    let whole = "(0|[1-9][0-9]{0,11})";
    match usize::from(decimals) {
        0 => with_keyword(string_schema(1..=12, &format!("^{whole}$")), "examples", ["1250"]),
        count => {
            let pattern = format!(r"^{whole}\.[0-9]{{{count}}}$");
            let example = format!("12.{:0<count$}", 5);
            with_keyword(string_schema(count + 2..=count + 13, &pattern), "examples", [example])
        }
    }
}

/// Puts `value` where `schema` has something at `pointer`, and keeps its description.
fn replace(schema: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = schema.pointer_mut(pointer) {
        let description = place.get("description").and_then(Value::as_str).map(str::to_owned);
        *place = match description {
            Some(description) => described(value, &description),
            None => value,
        };
    }
}

#[cfg(test)]
mod tests {
    use palisade::input::read_json;
    use proptest::prelude::*;

    use super::*;
    use crate::orders::PlaceOrder;
    use crate::samples::matching;

    /// Orders of one line, made as one alternative of the schema says.
    fn orders() -> impl Strategy<Value = Value> {
        let alternatives = PlaceOrder::schema()["anyOf"].as_array().unwrap().clone();
        prop::sample::select(alternatives).prop_flat_map(|order| {
            let codes = order["properties"]["currency"]["enum"].as_array().unwrap().clone();
            let price = &order["properties"]["lines"]["items"]["properties"]["unit_price"];
            (prop::sample::select(codes), matching(price)).prop_map(|(currency, price)| {
                let line = json!({ "sku": "TEA-1", "quantity": 1, "unit_price": price });
                json!({ "currency": currency, "lines": [line] })
            })
        })
    }

    proptest! {
        #[test]
        fn what_the_schema_allows_is_accepted(order in orders()) {
            let body: PlaceOrder = read_json(order.to_string().as_bytes()).unwrap();
            let total = body.into_parts().unwrap().lines.total();
            prop_assert_eq!(&json!(total.to_string()), &order["lines"][0]["unit_price"]);
        }

        #[test]
        fn a_price_is_accepted_if_the_pattern_allows_it(raw in matching(&UnitPrice::schema())) {
            prop_assert!(UnitPrice::from_text(&raw).is_ok());
        }
    }

    #[test]
    fn every_currency_stands_in_one_alternative() {
        let schema = PlaceOrder::schema();
        let alternatives = schema["anyOf"].as_array().unwrap();
        let codes =
            |order: &Value| order["properties"]["currency"]["enum"].as_array().unwrap().len();

        assert_eq!(alternatives.iter().map(codes).sum::<usize>(), Currency::all().len());
        assert!(alternatives.iter().all(|order| order["additionalProperties"] == json!(false)));
        assert!(alternatives.iter().all(|order| order["required"] == json!(["currency", "lines"])));
    }
}
