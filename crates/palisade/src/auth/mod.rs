//! Who calls: sessions, the machine operator's key, and policies that let callers through.
//!
//! The rules of this module:
//!
//! 1. A handler never sees a credential. The route's policy reads it, and the handler is handed
//!    the [`Caller`] that the policy let through.
//! 2. Every credential that does not hold gets the same answer.
//! 3. Tokens are stored as hashes only; the database cannot be turned into sign-ins.
//! 4. Whatever changes what an account may do ends its sessions in the same transaction.
//!
//! It leaves out accounts and their passwords: the service owns those.

mod callers;
mod policy;
mod recent;
pub mod sessions;
mod store;
mod throttle;

pub use callers::{Account, AccountCaller, AccountId, Caller, Role, SessionCaller};
pub use policy::{Auth, AuthSettings, SessionsSection, Signed, account, caller, role, session};
pub use sessions::{MIGRATIONS, Session, SessionId};
pub use throttle::{Device, Guess, Throttle};
