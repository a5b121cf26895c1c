//! Orderdesk: a complete order service built on nothing but Palisade's public interface.

pub mod accounts;

#[cfg(test)]
mod samples;
