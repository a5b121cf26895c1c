//! What clients are shown of orders.

use palisade::clock::Timestamp;
use palisade::input::Schema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::accounts::{AccountId, Actor};
use crate::orders::{
    Action, AnyOrder, Currency, Line, Lines, Money, OrderId, Quantity, Reference, Sku, Status,
    Version,
};

palisade::view! {
    /// One article of an order.
    pub struct LineView {
        /// Which article.
        pub sku: Sku,
        /// How many pieces.
        pub quantity: Quantity,
        /// The price of one piece, with exactly the decimals of the order's currency.
        pub unit_price: Money,
    }
}

palisade::view! {
    /// An order.
    pub struct OrderView {
        /// Names the order.
        pub id: OrderId,
        /// How far it is.
        pub status: Status,
        /// What all its prices are in.
        pub currency: Currency,
        /// The customer's own name for it.
        pub reference: Option<Reference>,
        /// What was ordered.
        pub lines: LineViews,
        /// The sum over all lines.
        pub total: Money,
        /// Names the account whose order it is.
        pub customer_id: AccountId,
        /// When it was placed.
        pub created_at: Timestamp,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// How often it has changed, from 1.
        pub version: Version,
    }
}

palisade::view! {
    /// One step in the history of an order.
    pub struct EventView {
        /// When it was taken.
        pub at: Timestamp,
        /// Who took it: an account's id, `api_key` or `system`.
        pub actor: Actor,
        /// What was done.
        pub action: Action,
        /// How far the order was before; nothing for the first step.
        pub from: Option<Status>,
        /// How far it was then.
        pub to: Status,
    }
}

/// The lines of an order that is shown: 1 to 100.
#[derive(Debug, Clone)]
pub struct LineViews(Vec<LineView>);

impl Serialize for LineViews {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl Schema for LineViews {
    fn schema() -> Value {
        let items = LineView::reference();
        json!({ "type": "array", "items": items, "minItems": 1, "maxItems": 100 })
    }

    fn collect(named: &mut Map<String, Value>) {
        LineView::collect(named);
    }
}

impl From<&Line> for LineView {
    fn from(line: &Line) -> Self {
        Self { sku: line.sku.clone(), quantity: line.quantity, unit_price: line.unit_price }
    }
}

impl From<&Lines> for LineViews {
    fn from(lines: &Lines) -> Self {
        Self(lines.as_slice().iter().map(LineView::from).collect())
    }
}

impl From<&AnyOrder> for OrderView {
    fn from(order: &AnyOrder) -> Self {
        let facts = order.facts();
        Self {
            id: facts.id,
            status: order.status(),
            currency: facts.lines.currency(),
            reference: facts.reference.clone(),
            lines: LineViews::from(&facts.lines),
            total: facts.lines.total(),
            customer_id: facts.customer,
            created_at: facts.created_at,
            updated_at: facts.updated_at,
            version: facts.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use palisade::id::Id;
    use palisade::input::FromText;

    use super::*;
    use crate::orders::Order;

    fn order() -> AnyOrder {
        let euro = Currency::parse("EUR").unwrap();
        let line = Line {
            sku: Sku::from_text("TEA-1").unwrap(),
            quantity: Quantity::new(2).unwrap(),
            unit_price: Money::parse("12.50", euro).unwrap(),
        };
        let lines = Lines::new(euro, vec![line]).unwrap();
        let now = Timestamp::from_millis(0);
        Order::place(Id::new_at(now), Id::new_at(now), None, lines, now).into()
    }

    #[test]
    fn an_order_shows_exactly_what_the_contract_lists() {
        let order = order();
        let (id, customer) = (order.facts().id, order.facts().customer);

        let shown = serde_json::to_string(&OrderView::from(&order)).unwrap();

        let expected = format!(
            r#"{{"id":"{id}","status":"new","currency":"EUR","reference":null,"lines":[{{"sku":"TEA-1","quantity":2,"unit_price":"12.50"}}],"total":"25.00","customer_id":"{customer}","created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.000Z","version":1}}"#
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_schema_requires_every_member_and_names_the_shared_parts() {
        let mut named = Map::new();
        OrderView::collect(&mut named);
        EventView::collect(&mut named);

        let names: Vec<&String> = named.keys().collect();
        assert_eq!(names, ["Currency", "EventView", "LineView", "OrderView"]);
        for schema in [&named["OrderView"], &named["EventView"]] {
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(schema["required"].as_array().unwrap().len(), properties.len());
        }
        assert_eq!(
            named["OrderView"]["properties"]["reference"]["anyOf"][1],
            json!({ "type": "null" })
        );
    }
}
