//! Test tools: the real program as a child process, and a client that speaks plainly.
//!
//! A test wants to read like a story, so what cannot go wrong in a healthy test panics with
//! everything that is known (`start`, `send`, `assert_status`); where failing is the point,
//! the `try_` form gives a `Result`. Every wait has a deadline.
//!
//! Nothing here knows a particular service: the only thing expected of the program is one JSON
//! line on standard error with `"message":"listening"`, `"public"` and `"admin"`.
//!
//! ```no_run
//! # async fn example() {
//! use palisade_testing::{Client, Service};
//!
//! let program = std::path::Path::new("target/debug/orderdesk");
//! let mut service = Service::builder(program).args(["serve", "--dev"]).start().await;
//! let admin = Client::http(service.admin());
//!
//! admin.get("/ready").send().await.assert_status(200);
//!
//! assert!(service.terminate().await.success());
//! # }
//! ```
//!
//! | type | what it is for |
//! | --- | --- |
//! | [`Program`] | says how the program is started: arguments, environment, folder, input |
//! | [`Service`] | the running program: its addresses, what it said, the two ways to end it |
//! | [`Finished`] | a program that ran to its end: exit status and output |
//! | [`Client`] | requests over HTTP/1.1 or HTTP/2, with TLS and one trusted root, to loopback only |
//! | [`Reply`] | an answer with assertions that show the request when they fail |
//! | [`Markers`] | secrets to look for in what a service left behind |
//! | [`Sinks`] | what a service left behind, place by place, to look for them in |
//! | [`raw`] | bytes as they are, for requests that no client would send |

mod client;
mod fail;
mod markers;
mod output;
mod program;
mod raw;
mod reply;
mod service;
mod sinks;

pub use client::{Call, Client, Connection};
pub use markers::Markers;
pub use program::{Finished, Program};
pub use raw::raw;
pub use reply::Reply;
pub use service::Service;
pub use sinks::Sinks;
