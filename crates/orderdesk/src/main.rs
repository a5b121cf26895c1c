//! Orderdesk.
fn main() {}
