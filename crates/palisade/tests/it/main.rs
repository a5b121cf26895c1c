//! Tests of the library as a whole.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod architecture;
mod bodies;
mod bodies_gzip;
mod bodies_wire;
mod catalogue;
mod check;
mod edge;
mod idempotency;
mod idempotency_streams;
mod leaks;
mod listener;
mod lockdown;
mod log;
mod minimal;
mod mount;
mod mount_answers;
mod mount_wire;
mod support;
