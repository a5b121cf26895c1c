//! What must hold of the service as a whole, in one binary.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod accounts;
mod accounts_sessions;
mod authorisation;
mod cli;
mod cli_dev;
mod settings;
mod support;
mod tampering;
mod tour;
