//! Who calls: sessions, API keys, the machine operator's key, and policies that let callers through.
//!
//! The rules of this module:
//!
//! 1. A handler never sees a credential. The route's policy reads it, and the handler is handed
//!    the [`Caller`] that the policy let through.
//! 2. Every credential that does not hold gets the same answer.
//! 3. Tokens are stored as hashes only; the database cannot be turned into sign-ins.
//! 4. Whatever changes what an account may do ends its sessions and keys in the same transaction.
//! 5. A key may be used for its scopes only, and never for more than its account may do.
//!
//! It leaves out accounts and their passwords: the service owns those.

mod callers;
mod guess_store;
mod key_store;
pub mod keys;
mod policy;
mod recent;
mod scopes;
mod session_store;
pub mod sessions;
mod throttle;

pub use callers::{Account, AccountCaller, AccountId, Caller, Role, SessionCaller};
pub use keys::{ApiKey, KeyId};
pub use policy::{Auth, AuthSettings, SessionsSection, Signed, account, caller, role, session};
pub use scopes::Scopes;
pub use sessions::{MIGRATIONS, Proof, Session, SessionId};
pub use throttle::{Device, Guess, GuessesSection, Reserved, Throttle, remove_full};
