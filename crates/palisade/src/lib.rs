//! Palisade: Rust network services that are secure by default, on axum and tokio.

pub mod auth;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod db;
pub mod http;
pub mod id;
pub mod input;
pub mod outbound;
pub mod process;
pub mod secret;
pub mod service;
pub mod telemetry;

#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use serde_json;
