//! Whose orders a query may see: every query on orders takes one, made from the caller.

use palisade::auth::{AccountId, Caller};

use crate::accounts::OPERATOR;

/// The orders that a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(Option<AccountId>);

impl Scope {
    /// Returns what `caller` may see: an operator all, anybody else its own. `None` for a caller
    /// that is neither.
    pub fn of(caller: &Caller) -> Option<Self> {
        if caller.is(&OPERATOR) {
            return Some(Self(None));
        }
        caller.account().map(|account| Self(Some(account)))
    }

    /// Returns all orders: for who holds the database itself, such as a command on its machine.
    pub(crate) fn everybody() -> Self {
        Self(None)
    }

    /// Returns the account that orders must belong to; `None` for all.
    pub(super) fn owner(self) -> Option<AccountId> {
        self.0
    }
}
