//! Palisade: Rust network services that are secure by default, on hyper and tokio; routers of axum
//! are taken in.
//!
//! The promise: what you write first is already the safe choice. A route without a policy does
//! not compile. A body is bounded, read strictly and judged whole. An error shows its client
//! public words and nothing of its cause. A write that was answered is on the disk. A setting
//! that weakens any of this has a name that says so.
//!
//! # A whole service
//!
//! This is `crates/palisade/examples/minimal.rs`, to the letter; a test starts it and attacks it:
//!
//! ```no_run
#![doc = include_str!("../examples/minimal.rs")]
//! ```
//!
//! In front of these two handlers stand, without another word: settings from a file and the
//! environment, checked before anything starts, and printed by `config example`; plain HTTP on
//! loopback, and anywhere else TLS or a declared proxy, or no start; limits on connections,
//! headers, bodies, time, memory and rate; strict JSON with every mistake at once; problem documents
//! and security headers on every answer; the OpenAPI document; a log that never blocks; health and
//! metrics on a listener of their own; what the process takes from itself; SIGTERM that drains.
//!
//! [`service::Program::main`] says what its command line is, [`service::Offer`] how a service waits
//! for what it depends on and what it does last, and [`service::Prepared`] is for a service with a
//! command line of its own.
//!
//! # A type of one's own, and a test without a socket
//!
//! A value is parsed where it comes in, into a type that cannot hold a wrong one. An application
//! can be asked without a listener:
//!
//! ```
//! use palisade::config::Throttle;
//! use palisade::http::{
//!     Anyone, Api, App, Body, Json, Lifecycle, LimitsSection, Problem, RequestBody, Route,
//!     ServerSection,
//! };
//! use palisade::input::{FromText, Invalid, Schema, string_schema};
//! use palisade::telemetry::metrics::Metrics;
//!
//! /// A name of 1 to 40 letters.
//! #[derive(Debug, Clone, serde::Serialize)]
//! struct Name(String);
//!
//! impl FromText for Name {
//!     fn from_text(raw: &str) -> Result<Self, Invalid> {
//!         let letters = raw.bytes().all(|byte| byte.is_ascii_alphabetic());
//!         let is_name = letters && (1..=40).contains(&raw.len());
//!         let refusal = || Invalid::new("name", "Must be 1 to 40 letters.");
//!         is_name.then(|| Self(raw.to_owned())).ok_or_else(refusal)
//!     }
//! }
//!
//! impl Schema for Name {
//!     fn schema() -> serde_json::Value {
//!         string_schema(1..=40, "^[A-Za-z]+$")
//!     }
//! }
//!
//! palisade::body! {
//!     /// What somebody sends.
//!     pub struct Greet {
//!         /// Whom to greet.
//!         name: Name,
//!     }
//! }
//!
//! async fn greet(Body(body): Body<Greet>) -> Result<Json<Name>, Problem> {
//!     Ok(Json(body.name))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let api = Api::new().route(Route::post("/greetings", "greet").policy(Anyone).handle(greet));
//! let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
//! let app = App::new(api, &(), edge, Lifecycle::new(), &Metrics::new()).unwrap();
//! let ask = async |name: &str| {
//!     let request = http::Request::post("/greetings")
//!         .header("Host", "localhost")
//!         .header("Content-Type", "application/json")
//!         .body(RequestBody::whole(format!(r#"{{"name": "{name}"}}"#)))
//!         .unwrap();
//!     app.respond(request, [127, 0, 0, 1].into()).await
//! };
//!
//! assert_eq!(ask("Ada").await.status(), 200);
//! let refused = ask("R2-D2").await;
//! assert_eq!(refused.status(), 400);
//! assert_eq!(refused.headers()["content-type"], "application/problem+json");
//! # }
//! ```
//!
//! The crate `orderdesk` beside this one is a large service: accounts, sessions, a database,
//! secrets, migrations and a command line.
//!
//! # Bring your axum routes
//!
//! A router of axum 0.8 serves on behind the guard while its routes move, one path after the
//! other: below a prefix, or at `/`, it gets what no route here has. [`http::Api::mount`] says
//! what it can rely on, and what it loses: error texts of its own, upgrades, a place in the
//! OpenAPI document.
//!
//! ```
//! use palisade::http::{Anyone, Api};
//!
//! let router = axum::Router::new().route("/ping", axum::routing::get(async || "pong"));
//! let api = Api::<()>::new().mount("/legacy", Anyone, router);
//! assert_eq!(api.table()[0].path, "/legacy/*");
//! ```
//!
//! # Modules
//!
//! A module uses only modules above it in this table.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`clock`] | time as a parameter, so that tests turn it by hand |
//! | [`id`] | ids that know what they name |
//! | [`secret`] | values that cannot be shown, compared carelessly or left in memory |
//! | [`input`] | JSON, query strings and texts, read strictly into types, every mistake at once |
//! | [`config`] | settings and secrets with their origins |
//! | [`telemetry`] | the log and the metrics |
//! | [`crypto`] | keys, tokens, password hashes: the only module that names a cipher |
//! | [`process`] | what the process takes from itself before it serves |
//! | [`db`] | transactions that are whole and on the disk, or never were |
//! | [`outbound`] | the only module that opens a connection to somewhere else |
//! | [`http`](mod@http) | listener, TLS, the guard, routes, problems, the OpenAPI document |
//! | [`auth`] | who calls: sessions, the machine operator's key, policies |
//! | [`idempotency`] | a request that is sent again is answered again and done once |
//! | [`audit`] | who did what, chained and signed |
//! | [`check`] | what is wrong with a deployment, by number |
//! | [`service`] | from settings to a drained exit |
//!
//! # What is not here yet
//!
//! Background jobs and webhooks.
//! Rate limits are counted in each process by itself.

pub mod audit;
pub mod auth;
pub mod check;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod db;
pub mod http;
pub mod id;
pub mod idempotency;
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

/// The examples of the README, so that they are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub enum Readme {}
