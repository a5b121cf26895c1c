//! What an account is, and who can be named as having done something.

use std::fmt;

use palisade::clock::Timestamp;
use palisade::id::Id;
use palisade::input::{Schema, string_schema};
use serde::{Serialize, Serializer};

use super::{EmailAddress, Username};

pub use palisade::auth::AccountId;

palisade::words! {
    /// What an account may do.
    pub enum Role {
        /// Sees and changes what is its own.
        Customer = "customer",
        /// Sees and changes everything.
        Operator = "operator",
    }
}

/// The role that may see and change everything, as policies name it.
pub static OPERATOR: palisade::auth::Role = palisade::auth::Role::new("operator");
static CUSTOMER: palisade::auth::Role = palisade::auth::Role::new("customer");

impl Role {
    /// Returns the role as sessions and policies know it.
    pub fn for_callers(self) -> palisade::auth::Role {
        match self {
            Self::Customer => CUSTOMER.clone(),
            Self::Operator => OPERATOR.clone(),
        }
    }
}

/// Somebody who may use the service.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its permanent name, which is never given to another.
    pub id: AccountId,
    /// The name it signs in with.
    pub username: Username,
    /// Where mail for it goes.
    pub email: EmailAddress,
    /// What it may do.
    pub role: Role,
    /// When it signed up or was made.
    pub created_at: Timestamp,
}

/// Who did something, as the history of a thing shows it.
///
/// ```
/// use orderdesk::accounts::Actor;
///
/// assert_eq!(Actor::Machine.to_string(), "api_key");
/// assert_eq!(Actor::parse("api_key"), Some(Actor::Machine));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person or a program on behalf of this account.
    Account(AccountId),
    /// The machine operator, by the key in the service's settings.
    Machine,
    /// The service itself.
    System,
}

impl Actor {
    /// Reads an actor exactly as [`fmt::Display`] writes it; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "api_key" => Some(Self::Machine),
            "system" => Some(Self::System),
            id => Id::parse(id).map(Self::Account),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(out),
            Self::Machine => out.pad("api_key"),
            Self::System => out.pad("system"),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl Schema for Actor {
    fn schema() -> serde_json::Value {
        string_schema(1..=40, "^[A-Za-z0-9_-]+$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_actor_and_role_is_read_back_as_written() {
        let account = Actor::Account(Id::new_at(Timestamp::from_millis(1)));
        for actor in [account, Actor::Machine, Actor::System] {
            assert_eq!(Actor::parse(&actor.to_string()), Some(actor));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(*role));
        }
        assert_eq!(Actor::parse("somebody"), None);
        assert_eq!(Role::parse("Operator"), None);
    }
}
