//! How far an order is, which steps are allowed, and who may cancel.
//!
//! `new -> paid -> shipped`, `new -> cancelled`, `paid -> cancelled`, and nothing else.

palisade::words! {
    /// How far an order is.
    pub enum Status {
        /// Placed, not yet paid.
        New = "new",
        /// Paid, not yet on its way.
        Paid = "paid",
        /// On its way; final.
        Shipped = "shipped",
        /// Will not be delivered; final.
        Cancelled = "cancelled",
    }
}

palisade::words! {
    /// What can happen to an order that exists.
    pub enum Event {
        /// The payment came in.
        Pay = "pay",
        /// The parcel was handed over.
        Ship = "ship",
        /// Somebody called it off.
        Cancel = "cancel",
    }
}

palisade::words! {
    /// What the history of an order records: its beginning, and each [`Event`].
    pub enum Action {
        /// The order was placed.
        Place = "place",
        /// The payment came in.
        Pay = "pay",
        /// The parcel was handed over.
        Ship = "ship",
        /// Somebody called it off.
        Cancel = "cancel",
    }
}

palisade::words! {
    /// In which capacity somebody cancels an order.
    pub enum Canceller {
        /// The customer whose order it is: only while it is new.
        Owner = "owner",
        /// An operator: while it is new or paid.
        Operator = "operator",
    }
}

/// Says that an order in one status does not take an event.
///
/// The words are public: they name nothing but the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The order is {from}; that does not allow to {event} it.")]
pub struct NotAllowed {
    /// How far the order is.
    pub from: Status,
    /// What was asked for.
    pub event: Event,
}

impl Status {
    /// Returns the status after `event`, whoever asks for it.
    ///
    /// # Errors
    ///
    /// [`NotAllowed`] for every pair that the table does not list.
    ///
    /// ```
    /// use orderdesk::orders::{Event, Status};
    ///
    /// assert_eq!(Status::New.apply(Event::Pay), Ok(Status::Paid));
    /// assert!(Status::New.apply(Event::Ship).is_err());
    /// ```
    pub fn apply(self, event: Event) -> Result<Self, NotAllowed> {
        match (self, event) {
            (Self::New, Event::Pay) => Ok(Self::Paid),
            (Self::Paid, Event::Ship) => Ok(Self::Shipped),
            (Self::New | Self::Paid, Event::Cancel) => Ok(Self::Cancelled),
            (Self::New, Event::Ship)
            | (Self::Paid, Event::Pay)
            | (Self::Shipped | Self::Cancelled, Event::Pay | Event::Ship | Event::Cancel) => {
                Err(NotAllowed { from: self, event })
            }
        }
    }

    /// Tells whether nothing can happen to the order any more.
    pub fn is_final(self) -> bool {
        match self {
            Self::New | Self::Paid => false,
            Self::Shipped | Self::Cancelled => true,
        }
    }
}

impl Canceller {
    /// Returns the status after somebody in this capacity cancels an order that is `from`.
    ///
    /// # Errors
    ///
    /// [`NotAllowed`] if nobody may cancel any more, and for an owner if the order is paid: that
    /// takes an operator, who also sees to the money.
    pub fn cancel(self, from: Status) -> Result<Status, NotAllowed> {
        match (self, from) {
            (Self::Owner, Status::Paid) => Err(NotAllowed { from, event: Event::Cancel }),
            (Self::Owner, Status::New | Status::Shipped | Status::Cancelled)
            | (Self::Operator, _) => from.apply(Event::Cancel),
        }
    }
}

impl From<Event> for Action {
    fn from(event: Event) -> Self {
        match event {
            Event::Pay => Self::Pay,
            Event::Ship => Self::Ship,
            Event::Cancel => Self::Cancel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_steps_is_exactly_this() {
        let refused = |from, event| Err(NotAllowed { from, event });
        let table = [
            (Status::New, Event::Pay, Ok(Status::Paid)),
            (Status::New, Event::Ship, refused(Status::New, Event::Ship)),
            (Status::New, Event::Cancel, Ok(Status::Cancelled)),
            (Status::Paid, Event::Pay, refused(Status::Paid, Event::Pay)),
            (Status::Paid, Event::Ship, Ok(Status::Shipped)),
            (Status::Paid, Event::Cancel, Ok(Status::Cancelled)),
            (Status::Shipped, Event::Pay, refused(Status::Shipped, Event::Pay)),
            (Status::Shipped, Event::Ship, refused(Status::Shipped, Event::Ship)),
            (Status::Shipped, Event::Cancel, refused(Status::Shipped, Event::Cancel)),
            (Status::Cancelled, Event::Pay, refused(Status::Cancelled, Event::Pay)),
            (Status::Cancelled, Event::Ship, refused(Status::Cancelled, Event::Ship)),
            (Status::Cancelled, Event::Cancel, refused(Status::Cancelled, Event::Cancel)),
        ];

        for (from, event, expected) in table {
            assert_eq!(from.apply(event), expected, "{from} {event}");
        }
        assert_eq!(table.len(), Status::ALL.len() * Event::ALL.len());
    }

    #[test]
    fn an_owner_cancels_while_new_and_an_operator_while_new_or_paid() {
        let may = |who: Canceller, from| who.cancel(from).is_ok();
        let table = [
            (Canceller::Owner, Status::New, true),
            (Canceller::Owner, Status::Paid, false),
            (Canceller::Owner, Status::Shipped, false),
            (Canceller::Owner, Status::Cancelled, false),
            (Canceller::Operator, Status::New, true),
            (Canceller::Operator, Status::Paid, true),
            (Canceller::Operator, Status::Shipped, false),
            (Canceller::Operator, Status::Cancelled, false),
        ];

        for (who, from, allowed) in table {
            assert_eq!(may(who, from), allowed, "{who} {from}");
        }
        assert_eq!(table.len(), Canceller::ALL.len() * Status::ALL.len());
    }

    #[test]
    fn a_final_status_allows_nothing_and_every_other_something() {
        for status in Status::ALL {
            let allowed = Event::ALL.iter().any(|event| status.apply(*event).is_ok());
            assert_eq!(status.is_final(), !allowed, "{status}");
        }
    }

    #[test]
    fn every_word_is_read_back_as_written() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(*status));
        }
        for event in Event::ALL {
            assert_eq!(Action::from(*event).as_str(), event.as_str());
        }
    }
}
