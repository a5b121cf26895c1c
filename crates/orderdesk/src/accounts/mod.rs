//! Accounts: who may use the service, by which name, and as what.
//!
//! Names and addresses are brought into one form where they come in, so that two spellings of a
//! name cannot be two accounts. A password is stored as an argon2id hash only; sessions are
//! the library's.

pub mod actions;
mod email;
mod model;
mod routes;
pub mod store;
mod tokens;
mod trimmed;
mod username;
mod wire;

pub use email::EmailAddress;
pub use model::{Account, AccountId, Actor, OPERATOR, Role};
pub use routes::{Limiters, USERNAME_TAKEN, routes};
pub use username::{GivenUsername, NewUsername, Username};
pub use wire::AccountView;

use palisade::db::Migration;

/// The tables of accounts.
pub const MIGRATION: Migration = Migration {
    version: 1,
    name: "accounts",
    sql: include_str!("../../migrations/0001_accounts.sql"),
};
