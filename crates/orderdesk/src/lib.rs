//! Orderdesk: a complete order service built on nothing but Palisade's public interface.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`accounts`] | who may use the service, sign-up and sign-in |
//! | [`orders`] | what customers ask for and how far we are with it |
//! | [`imports`] | orders that come as a CSV file |
//! | [`audit`] | what is written down in the audit log, and by whom |
//! | [`config`] | everything that can be set |
//! | [`check`] | what the service adds to the deployment check |
//! | [`state`] | what handlers can ask for |
//! | [`paging`] | lists in pages |
//! | [`service`] | how the parts are put together and served |

pub mod accounts;
pub mod audit;
pub mod check;
pub mod cli;
pub mod config;
pub mod imports;
pub mod orders;
pub mod paging;
pub mod secrets;
pub mod service;
pub mod state;

#[cfg(test)]
mod samples;
