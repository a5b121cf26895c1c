//! Orderdesk.
