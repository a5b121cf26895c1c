//! The orders' SQL.
//!
//! Every statement on somebody's orders takes the [`Scope`] of the caller, so that an order of
//! somebody else is not found rather than found and refused.

use std::num::NonZeroU32;

use palisade::args;
use palisade::auth::AccountId;
use palisade::clock::Timestamp;
use palisade::db::{DbError, Row, Tx};
use palisade::input::FromText;

use crate::accounts::Actor;

use super::{
    Action, AnyOrder, Cancelled, Currency, Facts, Line, Lines, Money, New, Order, OrderId, Paid,
    PaymentReference, Quantity, Reason, Reference, Scope, Shipped, Sku, Status, Tracking, Version,
};

/// One entry of an order's history.
#[derive(Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// The status before; none for the beginning.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
}

/// Which orders a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only in this status.
    pub status: Option<Status>,
    /// Only with this reference.
    pub reference: Option<Reference>,
    /// Only placed at this moment or later.
    pub from: Option<Timestamp>,
    /// Only placed before this moment.
    pub to: Option<Timestamp>,
    /// Only older than this one.
    pub before: Option<OrderId>,
}

/// Writes a new order with its lines and the first entry of its history.
///
/// # Errors
///
/// What the database answers.
pub async fn insert(tx: &mut Tx<'_>, order: &Order<New>, actor: Actor) -> Result<(), DbError> {
    let Facts { id, customer, reference, lines, created_at, version, .. } = order.facts();
    tx.execute(
        "INSERT INTO orders
             (id, customer, status, currency, reference, total, created_at, updated_at, version)
         VALUES ($1, $2, 'new', $3, $4, $5, $6, $6, $7)",
        args![
            *id,
            *customer,
            lines.currency().code(),
            reference.as_ref().map(Reference::as_str),
            lines.total().minor(),
            *created_at,
            version.number()
        ],
    )
    .await?;
    for (position, line) in (1_i64..).zip(lines.as_slice()) {
        tx.execute(
            "INSERT INTO order_lines (order_id, position, sku, quantity, unit_price)
             VALUES ($1, $2, $3, $4, $5)",
            args![*id, position, line.sku.as_str(), line.quantity.count(), line.unit_price.minor()],
        )
        .await?;
    }
    let entry =
        Entry { at: *created_at, actor, action: Action::Place, from: None, to: Status::New };
    record(tx, *id, *version, &entry).await
}

/// Moves the order on to `next`, if it is still in the status and version that `next` follows.
/// False if somebody else was faster.
///
/// # Errors
///
/// What the database answers.
pub async fn advance(
    tx: &mut Tx<'_>,
    from: Status,
    next: &AnyOrder,
    (action, actor): (Action, Actor),
) -> Result<bool, DbError> {
    let facts = next.facts();
    let details = Details::of(next);
    let changed = tx
        .execute(
            "UPDATE orders
             SET previous_status = status, status = $4, payment_reference = $5, paid_at = $6,
                 tracking = $7, cancel_reason = $8, updated_at = $9, version = version + 1
             WHERE id = $1 AND status = $2 AND version = $3 - 1",
            args![
                facts.id,
                from.as_str(),
                facts.version.number(),
                next.status().as_str(),
                details.payment.map(|paid| paid.payment_reference.as_str()),
                details.payment.map(|paid| paid.paid_at),
                details.tracking.map(Tracking::as_str),
                details.reason.map(Reason::as_str),
                facts.updated_at
            ],
        )
        .await?;
    if changed != 1 {
        return Ok(false);
    }
    let entry = Entry { at: facts.updated_at, actor, action, from: Some(from), to: next.status() };
    record(tx, facts.id, facts.version, &entry).await?;
    Ok(true)
}

/// What only some stages know.
struct Details<'a> {
    payment: Option<&'a Paid>,
    tracking: Option<&'a Tracking>,
    reason: Option<&'a Reason>,
}

impl<'a> Details<'a> {
    fn of(order: &'a AnyOrder) -> Self {
        let (payment, tracking, reason) = match order {
            AnyOrder::New(_) => (None, None, None),
            AnyOrder::Paid(order) => (Some(order.stage()), None, None),
            AnyOrder::Shipped(order) => {
                let Shipped { payment, tracking, .. } = order.stage();
                (Some(payment), tracking.as_ref(), None)
            }
            AnyOrder::Cancelled(order) => {
                let Cancelled { reason, payment, .. } = order.stage();
                (payment.as_ref(), None, reason.as_ref())
            }
        };
        Self { payment, tracking, reason }
    }
}

async fn record(
    tx: &mut Tx<'_>,
    id: OrderId,
    version: Version,
    entry: &Entry,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO order_events (order_id, version, at, actor, action, from_status, to_status)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            id,
            version.number(),
            entry.at,
            entry.actor.to_string(),
            entry.action.as_str(),
            entry.from.map(Status::as_str),
            entry.to.as_str()
        ],
    )
    .await?;
    Ok(())
}

/// The columns of an order and one of its lines.
macro_rules! columns {
    () => {
        "SELECT o.id, o.customer, o.previous_status, o.status, o.currency, o.reference,
                o.payment_reference, o.paid_at, o.tracking, o.cancel_reason, o.created_at,
                o.updated_at, o.version, l.sku, l.quantity, l.unit_price"
    };
}

/// Orders with their lines, newest first.
macro_rules! orders_with_lines {
    ($from:expr) => {
        concat!(
            columns!(),
            " FROM ",
            $from,
            " AS o JOIN order_lines AS l ON l.order_id = o.id
             ORDER BY o.id DESC, l.position"
        )
    };
}

/// A page of the orders that `$what` says.
macro_rules! listed {
    ($what:literal) => {
        orders_with_lines!(concat!(
            "(SELECT * FROM orders WHERE ",
            $what,
            " AND ($4 IS NULL OR created_at >= $4) AND ($5 IS NULL OR created_at < $5)
                  AND id >= $6 AND id < $7 ORDER BY id DESC LIMIT $8)"
        ))
    };
}

/// The statements that find orders, each under what it finds: for whoever asks the database how it
/// goes about them.
///
/// There is one for each leading column, so that each walks the index that fits it. Ids hold the
/// time of their making, so a span of time is a range of each of these indexes. `version > 0` holds
/// for every order, and names the index that no other of these statements is to walk.
pub const SEARCHES: [(&str, &str); 7] = [
    ("one order", ONE),
    ("all", ALL),
    ("all in a status", BY_STATUS),
    ("all with a reference", BY_REFERENCE),
    ("own", OWN),
    ("own in a status", OWN_BY_STATUS),
    ("own with a reference", OWN_BY_REFERENCE),
];

const ONE: &str =
    orders_with_lines!("(SELECT * FROM orders WHERE id = $1 AND ($2 IS NULL OR customer = $2))");
const ALL: &str = listed!("$1 IS NULL AND $2 IS NULL AND ($3 IS NULL OR reference = $3)");
const BY_STATUS: &str =
    listed!("$1 IS NULL AND status = $2 AND version > 0 AND ($3 IS NULL OR reference = $3)");
const BY_REFERENCE: &str = listed!("$1 IS NULL AND ($2 IS NULL OR status = $2) AND reference = $3");
const OWN: &str = listed!(
    "customer = $1 AND version > 0 AND ($2 IS NULL OR status = $2) AND ($3 IS NULL OR reference = $3)"
);
const OWN_BY_STATUS: &str =
    listed!("customer = $1 AND status = $2 AND ($3 IS NULL OR reference = $3)");
const OWN_BY_REFERENCE: &str =
    listed!("customer = $1 AND ($2 IS NULL OR status = $2) AND reference = $3");

/// Returns the order `id`, if it is in `scope`.
///
/// # Errors
///
/// What the database answers.
pub async fn find(tx: &mut Tx<'_>, scope: Scope, id: OrderId) -> Result<Option<AnyOrder>, DbError> {
    let rows = tx.query(ONE, args![id, scope.owner()], read).await?;
    Ok(gather(rows)?.pop())
}

/// Returns up to `limit` orders in `scope`, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    filter: &Filter,
    limit: NonZeroU32,
) -> Result<Vec<AnyOrder>, DbError> {
    let sql = match (scope.owner(), &filter.reference, filter.status) {
        (Some(_), Some(_), _) => OWN_BY_REFERENCE,
        (Some(_), None, Some(_)) => OWN_BY_STATUS,
        (Some(_), None, None) => OWN,
        (None, Some(_), _) => BY_REFERENCE,
        (None, None, Some(_)) => BY_STATUS,
        (None, None, None) => ALL,
    };
    let Filter { status, reference, from, to, before } = filter;
    let least = from.map_or_else(String::new, |from| OrderId::floor(from).to_string());
    let above = before.iter().copied().chain(to.map(OrderId::ceiling)).min();
    // Ids are lower-case text, so this bound is above all of them.
    let above = above.map_or_else(|| "~".to_owned(), |id| id.to_string());
    let rows = tx
        .query(
            sql,
            args![
                scope.owner(),
                status.map(Status::as_str),
                reference.as_ref().map(Reference::as_str),
                *from,
                *to,
                least,
                above,
                limit.get()
            ],
            read,
        )
        .await?;
    gather(rows)
}

/// Returns up to `limit` orders behind `after`, oldest first, each with its customer's username.
///
/// # Errors
///
/// What the database answers.
pub async fn export(
    tx: &mut Tx<'_>,
    scope: Scope,
    after: OrderId,
    limit: NonZeroU32,
) -> Result<Vec<(String, AnyOrder)>, DbError> {
    let sql = concat!(
        columns!(),
        ", a.username FROM (SELECT * FROM orders WHERE id > $1 AND ($2 IS NULL OR customer = $2)
                            ORDER BY id LIMIT $3) AS o
           JOIN accounts AS a ON a.id = o.customer
           JOIN order_lines AS l ON l.order_id = o.id
          ORDER BY o.id, l.position"
    );
    let mut names = Vec::new();
    let rows = tx
        .query(sql, args![after, scope.owner(), limit.get()], |row| {
            let stored = read(row)?;
            if names.last().is_none_or(|(id, _)| *id != stored.id) {
                names.push((stored.id, row.get("username")?));
            }
            Ok(stored)
        })
        .await?;
    Ok(names.into_iter().map(|(_, name)| name).zip(gather(rows)?).collect())
}

/// Returns the history of the order `id`, oldest first; empty if it is not in `scope`.
///
/// # Errors
///
/// What the database answers.
pub async fn events(tx: &mut Tx<'_>, scope: Scope, id: OrderId) -> Result<Vec<Entry>, DbError> {
    tx.query(
        "SELECT e.at, e.actor, e.action, e.from_status, e.to_status
         FROM order_events AS e JOIN orders AS o ON o.id = e.order_id
         WHERE o.id = $1 AND ($2 IS NULL OR o.customer = $2) ORDER BY e.version LIMIT 100",
        args![id, scope.owner()],
        |row| {
            Ok(Entry {
                at: row.get("at")?,
                actor: row.parse("actor", |text: String| Actor::parse(&text))?,
                action: row.parse("action", |text: String| Action::parse(&text))?,
                from: row.parse("from_status", |text: Option<String>| match text {
                    Some(text) => Status::parse(&text).map(Some),
                    None => Some(None),
                })?,
                to: row.parse("to_status", |text: String| Status::parse(&text))?,
            })
        },
    )
    .await
}

/// An order and one of its lines, as they come from the database.
struct Stored {
    id: OrderId,
    customer: AccountId,
    status: Status,
    currency: Currency,
    reference: Option<Reference>,
    payment: Option<Paid>,
    tracking: Option<Tracking>,
    reason: Option<Reason>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: Version,
    line: Line,
}

fn read(row: &Row<'_>) -> Result<Stored, DbError> {
    let currency = row.parse("currency", |code: String| Currency::parse(&code))?;
    let payment_reference = text::<PaymentReference>(row, "payment_reference")?;
    let paid_at: Option<Timestamp> = row.get("paid_at")?;
    Ok(Stored {
        id: row.get("id")?,
        customer: row.get("customer")?,
        status: row.parse("status", |text: String| Status::parse(&text))?,
        currency,
        reference: text(row, "reference")?,
        payment: payment_reference
            .zip(paid_at)
            .map(|(payment_reference, paid_at)| Paid { payment_reference, paid_at }),
        tracking: text(row, "tracking")?,
        reason: text(row, "cancel_reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        version: row.parse("version", Version::new)?,
        line: Line {
            sku: row.parse("sku", |text: String| Sku::from_text(&text).ok())?,
            quantity: row.parse("quantity", |count: i64| Quantity::new(count).ok())?,
            unit_price: row.parse("unit_price", |minor| Money::from_minor(minor, currency))?,
        },
    })
}

fn text<T: FromText>(row: &Row<'_>, column: &'static str) -> Result<Option<T>, DbError> {
    row.parse(column, |text: Option<String>| match text {
        Some(text) => T::from_text(&text).ok().map(Some),
        None => Some(None),
    })
}

/// Puts the rows of each order, which stand together, back into one.
fn gather(rows: Vec<Stored>) -> Result<Vec<AnyOrder>, DbError> {
    let mut orders = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.next() {
        let mut lines = vec![first.line.clone()];
        while let Some(next) = rows.next_if(|next| next.id == first.id) {
            lines.push(next.line);
        }
        orders.push(restore(first, lines)?);
    }
    Ok(orders)
}

fn restore(stored: Stored, lines: Vec<Line>) -> Result<AnyOrder, DbError> {
    let corrupt = |column: &str| DbError::Corrupt { column: column.to_owned() };
    let facts = Facts {
        id: stored.id,
        customer: stored.customer,
        reference: stored.reference,
        lines: Lines::new(stored.currency, lines).map_err(|_| corrupt("order_lines"))?,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        version: stored.version,
    };
    let (at, payment) = (stored.updated_at, stored.payment);
    Ok(match stored.status {
        Status::New => Order::restore(facts, New).into(),
        Status::Paid => {
            Order::restore(facts, payment.ok_or_else(|| corrupt("payment_reference"))?).into()
        }
        Status::Shipped => {
            let payment = payment.ok_or_else(|| corrupt("payment_reference"))?;
            let tracking = stored.tracking;
            Order::restore(facts, Shipped { payment, tracking, shipped_at: at }).into()
        }
        Status::Cancelled => {
            let reason = stored.reason;
            Order::restore(facts, Cancelled { reason, payment, cancelled_at: at }).into()
        }
    })
}
