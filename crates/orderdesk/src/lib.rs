//! Orderdesk: a complete order service built on nothing but Palisade's public interface.

pub mod accounts;
pub mod orders;

#[cfg(test)]
mod samples;
