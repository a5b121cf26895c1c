//! Outgoing connections: the only module that opens a socket to somewhere else.
//!
//! Today it holds one client, for asking our own admin listener how the service is.

mod probe;

pub use probe::{ProbeError, ProbeTarget, probe};
