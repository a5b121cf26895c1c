//! Accounts: who may use the service, by which name, and as what.
//!
//! Names and addresses are brought into one form where they come in, so that two spellings of a
//! name cannot be two accounts. A password is stored as an argon2id hash only; sessions are
//! the library's.

pub mod actions;
pub mod api_keys;
pub mod credentials;
mod days;
mod email;
mod factor_routes;
mod factor_store;
mod key_routes;
mod model;
mod operator_routes;
pub mod proof;
pub mod renewal;
mod routes;
pub mod second_factor;
mod session_routes;
pub mod store;
mod tokens;
mod trimmed;
mod username;
mod wire;

pub use api_keys::Scope;
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

/// The tables of second factors and of tokens for new passwords.
pub const CREDENTIALS_MIGRATION: Migration = Migration {
    version: 6,
    name: "credentials",
    sql: include_str!("../../migrations/0006_credentials.sql"),
};
