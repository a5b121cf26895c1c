//! Outgoing connections: the only module that opens a socket to somewhere else.
//!
//! It holds two clients: one that asks our own admin listener how the service is, and one that
//! looks at a listener as a stranger does, for the deployment check.

mod answer;
mod deadline;
mod look;
mod probe;
mod target;
mod witness;

pub use answer::HttpAnswer;
pub use look::{Handshake, LookError, exchange, exchange_bare, shake_hands};
pub use probe::{ProbeError, ProbeTarget, probe};
pub use target::{NotATarget, Target};
