//! All orders as a CSV file, a row for each line of an order.

use std::num::NonZeroU32;

use palisade::clock::Timestamp;
use palisade::db::{Db, DbError, Tx};
use palisade::input::CsvEncoder;

use super::{AnyOrder, OrderId, Reference, Scope, store};

/// The first line.
pub const HEADER: &[&str] = &[
    "id",
    "status",
    "reference",
    "customer",
    "currency",
    "sku",
    "quantity",
    "unit_price",
    "total",
    "created_at",
    "updated_at",
    "version",
];

/// Orders that are read at a time: some 20 KiB of usual ones, and 1 MiB of the largest.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// Returns what all orders are behind.
pub fn begin() -> OrderId {
    OrderId::floor(Timestamp::from_millis(0))
}

/// Writes orders in `scope` behind `after`, oldest first, and returns the one to go on behind.
///
/// `None` is the end. An order that is placed meanwhile comes at the end, one that changes is as it
/// was when its page was read.
///
/// # Errors
///
/// What the database answers.
pub async fn page(
    db: &Db,
    scope: Scope,
    after: OrderId,
) -> Result<(String, Option<OrderId>), DbError> {
    let read = db.read(async move |tx: &mut Tx<'_>| store::export(tx, scope, after, PAGE).await);
    let orders = read.await?;
    let mut text = String::new();
    let mut rows = CsvEncoder::new(&mut text);
    for (customer, order) in &orders {
        write(&mut rows, customer, order);
    }
    let is_full = orders.len() >= usize::try_from(PAGE.get()).unwrap_or(usize::MAX);
    Ok((text, orders.last().map(|(_, order)| order.facts().id).filter(|_| is_full)))
}

fn write(rows: &mut CsvEncoder<'_>, customer: &str, order: &AnyOrder) {
    let facts = order.facts();
    let id = facts.id.to_string();
    let reference = facts.reference.as_ref().map_or("", Reference::as_str);
    let currency = facts.lines.currency().code();
    let total = facts.lines.total().to_string();
    let [created_at, updated_at] =
        [facts.created_at, facts.updated_at].map(|at: Timestamp| at.to_string());
    let version = facts.version.number().to_string();
    for line in facts.lines.as_slice() {
        rows.row([
            id.as_str(),
            order.status().as_str(),
            reference,
            customer,
            currency,
            line.sku.as_str(),
            line.quantity.count().to_string().as_str(),
            line.unit_price.to_string().as_str(),
            &total,
            &created_at,
            &updated_at,
            &version,
        ]);
    }
}
