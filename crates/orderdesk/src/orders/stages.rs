//! The stages of an order as types that carry what each adds, and [`AnyOrder`] for one whose
//! stage is known only when it is read.

use palisade::clock::Timestamp;

use super::{
    Canceller, Event, Facts, NotAllowed, Order, PaymentReference, Reason, Status, Tracking,
};

/// A stage that an order can be in.
pub trait Stage {
    /// The status that stands for this stage where it is stored and shown.
    const STATUS: Status;
}

/// Placed, not yet paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct New;

/// Paid, not yet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// What the payment is called where it happened.
    pub payment_reference: PaymentReference,
    /// When that was recorded here.
    pub paid_at: Timestamp,
}

/// On its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// How it was paid.
    pub payment: Paid,
    /// What the carrier calls the parcel.
    pub tracking: Option<Tracking>,
    /// When it was handed over.
    pub shipped_at: Timestamp,
}

/// Called off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// Why.
    pub reason: Option<Reason>,
    /// How it was paid, if it was: that money is owed back.
    pub payment: Option<Paid>,
    /// When it was called off.
    pub cancelled_at: Timestamp,
}

impl Cancelled {
    /// Returns how far the order was before.
    pub fn from(&self) -> Status {
        match self.payment {
            None => Status::New,
            Some(_) => Status::Paid,
        }
    }
}

impl Stage for New {
    const STATUS: Status = Status::New;
}

impl Stage for Paid {
    const STATUS: Status = Status::Paid;
}

impl Stage for Shipped {
    const STATUS: Status = Status::Shipped;
}

impl Stage for Cancelled {
    const STATUS: Status = Status::Cancelled;
}

/// An order in whatever stage, as it comes from storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyOrder {
    /// Placed, not yet paid.
    New(Order<New>),
    /// Paid, not yet on its way.
    Paid(Order<Paid>),
    /// On its way.
    Shipped(Order<Shipped>),
    /// Called off.
    Cancelled(Order<Cancelled>),
}

impl AnyOrder {
    /// Returns what is known in every stage.
    pub fn facts(&self) -> &Facts {
        match self {
            Self::New(order) => order.facts(),
            Self::Paid(order) => order.facts(),
            Self::Shipped(order) => order.facts(),
            Self::Cancelled(order) => order.facts(),
        }
    }

    /// Returns how far the order is.
    pub fn status(&self) -> Status {
        match self {
            Self::New(order) => order.status(),
            Self::Paid(order) => order.status(),
            Self::Shipped(order) => order.status(),
            Self::Cancelled(order) => order.status(),
        }
    }

    /// Records that the payment came in.
    ///
    /// # Errors
    ///
    /// [`NotAllowed`] unless the order is new.
    pub fn pay(
        self,
        payment_reference: PaymentReference,
        now: Timestamp,
    ) -> Result<Order<Paid>, NotAllowed> {
        match self {
            Self::New(order) => Ok(order.pay(payment_reference, now)),
            Self::Paid(_) | Self::Shipped(_) | Self::Cancelled(_) => Err(self.refuse(Event::Pay)),
        }
    }

    /// Records that the parcel was handed over.
    ///
    /// # Errors
    ///
    /// [`NotAllowed`] unless the order is paid.
    pub fn ship(
        self,
        tracking: Option<Tracking>,
        now: Timestamp,
    ) -> Result<Order<Shipped>, NotAllowed> {
        match self {
            Self::Paid(order) => Ok(order.ship(tracking, now)),
            Self::New(_) | Self::Shipped(_) | Self::Cancelled(_) => Err(self.refuse(Event::Ship)),
        }
    }

    /// Calls the order off.
    ///
    /// # Errors
    ///
    /// [`NotAllowed`] where [`Canceller::cancel`] says so.
    pub fn cancel(
        self,
        who: Canceller,
        reason: Option<Reason>,
        now: Timestamp,
    ) -> Result<Order<Cancelled>, NotAllowed> {
        who.cancel(self.status())?;
        match self {
            Self::New(order) => Ok(order.cancel(reason, now)),
            Self::Paid(order) => Ok(order.cancel(reason, now)),
            Self::Shipped(_) | Self::Cancelled(_) => Err(self.refuse(Event::Cancel)),
        }
    }

    fn refuse(&self, event: Event) -> NotAllowed {
        NotAllowed { from: self.status(), event }
    }
}

impl From<Order<New>> for AnyOrder {
    fn from(order: Order<New>) -> Self {
        Self::New(order)
    }
}

impl From<Order<Paid>> for AnyOrder {
    fn from(order: Order<Paid>) -> Self {
        Self::Paid(order)
    }
}

impl From<Order<Shipped>> for AnyOrder {
    fn from(order: Order<Shipped>) -> Self {
        Self::Shipped(order)
    }
}

impl From<Order<Cancelled>> for AnyOrder {
    fn from(order: Order<Cancelled>) -> Self {
        Self::Cancelled(order)
    }
}

#[cfg(test)]
mod tests {
    use palisade::id::Id;
    use palisade::input::FromText;
    use proptest::prelude::*;

    use super::*;
    use crate::orders::{Currency, Line, Lines, Money, Quantity, Sku, Version};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn placed() -> Order<New> {
        let euro = Currency::parse("EUR").unwrap();
        let line = Line {
            sku: Sku::from_text("TEA-1").unwrap(),
            quantity: Quantity::new(2).unwrap(),
            unit_price: Money::parse("12.50", euro).unwrap(),
        };
        let lines = Lines::new(euro, vec![line]).unwrap();
        Order::place(Id::new_at(at(0)), Id::new_at(at(0)), None, lines, at(1_000))
    }

    fn apply(order: AnyOrder, event: Event, now: Timestamp) -> Result<AnyOrder, NotAllowed> {
        let payment = || PaymentReference::from_text("pi_1").unwrap();
        match event {
            Event::Pay => order.pay(payment(), now).map(AnyOrder::from),
            Event::Ship => order.ship(None, now).map(AnyOrder::from),
            Event::Cancel => order.cancel(Canceller::Operator, None, now).map(AnyOrder::from),
        }
    }

    proptest! {
        #[test]
        fn the_types_and_the_table_agree_on_every_sequence_of_events(
            events in prop::collection::vec(prop::sample::select(Event::ALL), 0..12),
        ) {
            let mut order = AnyOrder::from(placed());
            let first = order.facts().clone();
            let mut steps = 0;

            for (event, millis) in events.into_iter().zip(2_000..) {
                let before = order.clone();
                let by_type = apply(order, event, at(millis));
                let by_table = before.status().apply(event);
                prop_assert_eq!(by_type.as_ref().map(AnyOrder::status), by_table.as_ref().copied());
                prop_assert!(by_table.is_err() || !before.status().is_final());
                steps += u32::from(by_table.is_ok());
                order = by_type.unwrap_or(before);
            }

            let facts = order.facts().clone();
            prop_assert_eq!(facts.version.number(), 1 + steps);
            prop_assert!(facts.updated_at >= first.updated_at && steps <= 2);
            let changing = Facts { version: Version::FIRST, updated_at: first.updated_at, ..facts };
            prop_assert_eq!(changing, first);
        }
    }

    #[test]
    fn each_stage_keeps_what_it_added() {
        let payment = PaymentReference::from_text("pi_1").unwrap();
        let tracking = Tracking::from_text("003404").ok();

        let shipped = placed().pay(payment.clone(), at(2_000)).ship(tracking.clone(), at(3_000));

        let paid = Paid { payment_reference: payment, paid_at: at(2_000) };
        assert_eq!(*shipped.stage(), Shipped { payment: paid, tracking, shipped_at: at(3_000) });
        assert_eq!(shipped.facts().version.number(), 3);
        assert_eq!(
            (shipped.facts().created_at, shipped.facts().updated_at),
            (at(1_000), at(3_000))
        );
    }

    #[test]
    fn a_cancelled_order_remembers_whether_it_was_paid() {
        let payment = PaymentReference::from_text("pi_1").unwrap();

        let unpaid = placed().cancel(None, at(2_000));
        let paid =
            placed().pay(payment, at(2_000)).cancel(Reason::from_text("lost").ok(), at(3_000));

        assert_eq!(unpaid.stage().from(), Status::New);
        assert_eq!(paid.stage().from(), Status::Paid);
        assert_eq!(paid.stage().reason.as_ref().map(Reason::as_str), Some("lost"));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_an_order_older() {
        let order = placed().cancel(None, at(500));

        assert_eq!(order.facts().updated_at, at(1_000));
    }

    #[test]
    fn an_owner_cannot_cancel_what_is_paid() {
        let payment = PaymentReference::from_text("pi_1").unwrap();
        let paid = AnyOrder::from(placed().pay(payment, at(2_000)));

        let refused = paid.clone().cancel(Canceller::Owner, None, at(3_000));

        assert_eq!(refused, Err(NotAllowed { from: Status::Paid, event: Event::Cancel }));
        assert!(paid.cancel(Canceller::Operator, None, at(3_000)).is_ok());
        assert!(AnyOrder::from(placed()).cancel(Canceller::Owner, None, at(3_000)).is_ok());
    }
}
