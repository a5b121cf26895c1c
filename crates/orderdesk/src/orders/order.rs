//! An order in a known stage: each type has only the steps that its stage allows.

use palisade::clock::Timestamp;
use palisade::id::Id;
use palisade::input::Schema;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::accounts::AccountId;

use super::{
    AnyOrder, Cancelled, Currency, Lines, Money, New, Paid, PaymentReference, Reason, Reference,
    Shipped, Stage, Status, Tracking,
};

/// Names an order, in whatever stage.
pub type OrderId = Id<AnyOrder>;

/// Counts the states an order has been in: 1 when placed, one more with each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// The version of an order that was just placed.
    pub const FIRST: Self = Self(1);

    /// Returns the version with this number; `None` below 1.
    pub fn new(number: u32) -> Option<Self> {
        (number >= 1).then_some(Self(number))
    }

    /// Returns the number, as the database stores it.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Returns the version after one more step.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u32(self.0)
    }
}

impl Schema for Version {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// What is known of an order in every stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Names the order.
    pub id: OrderId,
    /// Whose order it is.
    pub customer: AccountId,
    /// The customer's own name for it.
    pub reference: Option<Reference>,
    /// What was ordered, and the total.
    pub lines: Lines,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed; never before `created_at`.
    pub updated_at: Timestamp,
    /// How often it has changed.
    pub version: Version,
}

/// An order in the stage `S`, with what is known only from that stage on.
///
/// A new order is paid, then shipped; each step takes the order and gives back another type:
///
/// ```
/// use orderdesk::orders::{Cancelled, New, Order, Paid, PaymentReference, Shipped};
/// use palisade::clock::Timestamp;
///
/// fn ship(order: Order<Paid>, now: Timestamp) -> Order<Shipped> {
///     order.ship(None, now)
/// }
///
/// fn call_off(order: Order<Paid>, now: Timestamp) -> Order<Cancelled> {
///     order.cancel(None, now)
/// }
///
/// fn pay(order: Order<New>, payment: PaymentReference, now: Timestamp) -> Order<Paid> {
///     order.pay(payment, now)
/// }
/// ```
///
/// Each of these differs from one above in a single word or line, and does not compile. To ship
/// an order that is not paid:
///
/// ```compile_fail,E0599
/// use orderdesk::orders::{New, Order, Shipped};
/// use palisade::clock::Timestamp;
///
/// fn ship(order: Order<New>, now: Timestamp) -> Order<Shipped> {
///     order.ship(None, now)
/// }
/// ```
///
/// to call off one that is on its way:
///
/// ```compile_fail,E0599
/// use orderdesk::orders::{Cancelled, Order, Shipped};
/// use palisade::clock::Timestamp;
///
/// fn call_off(order: Order<Shipped>, now: Timestamp) -> Order<Cancelled> {
///     order.cancel(None, now)
/// }
/// ```
///
/// and to be paid twice for one:
///
/// ```compile_fail,E0382
/// use orderdesk::orders::{New, Order, Paid, PaymentReference};
/// use palisade::clock::Timestamp;
///
/// fn pay(order: Order<New>, payment: PaymentReference, now: Timestamp) -> Order<Paid> {
///     order.pay(payment.clone(), now);
///     order.pay(payment, now)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<S> {
    facts: Facts,
    stage: S,
}

impl<S: Stage> Order<S> {
    /// Puts an order together again from what was stored; the store answers for it being true.
    pub fn restore(facts: Facts, stage: S) -> Self {
        Self { facts, stage }
    }

    /// Returns what is known in every stage.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns what is known since this stage.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// Returns how far the order is.
    pub fn status(&self) -> Status {
        S::STATUS
    }

    /// Returns the sum over all lines.
    pub fn total(&self) -> Money {
        self.facts.lines.total()
    }

    /// Returns what all its prices are in.
    pub fn currency(&self) -> Currency {
        self.facts.lines.currency()
    }

    /// Goes on to the stage that `next` makes of this one. A clock that was set back does not
    /// make the order look older.
    fn step<T>(self, now: Timestamp, next: impl FnOnce(S) -> T) -> Order<T> {
        let Self { mut facts, stage } = self;
        facts.updated_at = facts.updated_at.max(now);
        facts.version = facts.version.next();
        Order { facts, stage: next(stage) }
    }
}

impl Order<New> {
    /// Places an order for `customer`.
    pub fn place(
        id: OrderId,
        customer: AccountId,
        reference: Option<Reference>,
        lines: Lines,
        now: Timestamp,
    ) -> Self {
        let version = Version::FIRST;
        let facts =
            Facts { id, customer, reference, lines, created_at: now, updated_at: now, version };
        Self { facts, stage: New }
    }

    /// Records that the payment came in.
    #[must_use]
    pub fn pay(self, payment_reference: PaymentReference, now: Timestamp) -> Order<Paid> {
        self.step(now, |New| Paid { payment_reference, paid_at: now })
    }

    /// Calls the order off.
    #[must_use]
    pub fn cancel(self, reason: Option<Reason>, now: Timestamp) -> Order<Cancelled> {
        self.step(now, |New| Cancelled { reason, payment: None, cancelled_at: now })
    }
}

impl Order<Paid> {
    /// Records that the parcel was handed over.
    #[must_use]
    pub fn ship(self, tracking: Option<Tracking>, now: Timestamp) -> Order<Shipped> {
        self.step(now, |payment| Shipped { payment, tracking, shipped_at: now })
    }

    /// Calls the order off; the payment stays known, so that it can be given back.
    #[must_use]
    pub fn cancel(self, reason: Option<Reason>, now: Timestamp) -> Order<Cancelled> {
        self.step(now, |paid| Cancelled { reason, payment: Some(paid), cancelled_at: now })
    }
}
