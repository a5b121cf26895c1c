//! Accounts: who may use the service, by which name, and as what.
//!
//! Names and addresses are brought into one form where they come in, so that two spellings of a
//! name cannot be two accounts. Passwords, sessions and keys are not part of this description.

mod email;
mod model;
mod trimmed;
mod username;
mod wire;

pub use email::EmailAddress;
pub use model::{Account, AccountId, Actor, Role};
pub use username::{NewUsername, Username};
pub use wire::AccountView;
