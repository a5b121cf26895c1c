//! PostgreSQL: a few connections, each of which runs one transaction after the other to its end.
//!
//! Work is handed over and never borrows a connection, so a caller that goes away leaves nothing
//! half open. Transactions that another one was in the way of are run again, here and nowhere else.

mod address;
mod driver;
mod fault;
mod pool;
mod session;
mod tls;
mod values;

pub(super) use address::Address;
pub(super) use pool::{Pool, PoolSettings};
pub(super) use session::Session;
