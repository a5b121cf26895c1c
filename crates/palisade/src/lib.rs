//! Palisade: Rust network services that are secure by default, on axum and tokio.
//!
//! The promise: what you write first is already the safe choice. A route without a policy does
//! not compile. A body is bounded, read strictly and judged whole. An error shows its client
//! public words and nothing of its cause. A write that was answered is on the disk. A setting
//! that weakens any of this has a name that says so.
//!
//! # Quick start
//!
//! A value is parsed where it comes in, into a type that cannot hold a wrong one. Handlers are
//! plain functions of such types, and routes say who may call them:
//!
//! ```
//! use palisade::http::{Anyone, Api, Body, Introduction, Json, Problem, Route};
//! use palisade::input::{FromText, Invalid, Schema, string_schema};
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
//! palisade::view! {
//!     /// What is answered.
//!     pub struct Greeting {
//!         /// Who is greeted.
//!         hello: Name,
//!     }
//! }
//!
//! async fn greet(Body(body): Body<Greet>) -> Result<Json<Greeting>, Problem> {
//!     Ok(Json(Greeting { hello: body.name }))
//! }
//!
//! fn api() -> Api<()> {
//!     let introduction = Introduction { title: "Greeter", version: "1", about: "It greets." };
//!     let greet = Route::post("/greetings", "greet").policy(Anyone).handle(greet);
//!     // Adds GET /openapi.json, made from the types above, and GET /problems/{code}.
//!     let (api, _document) = Api::new().route(greet).documented(introduction, None);
//!     api
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Without a socket, as in a test:
//! use palisade::config::Throttle;
//! use palisade::http::{App, Lifecycle, LimitsSection, RequestBody, ServerSection};
//! use palisade::telemetry::metrics::Metrics;
//!
//! let edge = LimitsSection::default().public_edge(&ServerSection::default(), Throttle::Off);
//! let app = App::new(api(), &(), edge, Lifecycle::new(), &Metrics::new()).unwrap();
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
//! Serving takes a public and an admin listener, and an order that the types enforce: bind, lock
//! the process down, then start threads, serve until SIGTERM or SIGINT, and drain:
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use palisade::config::{Environment, Rate, Throttle, load};
//! use palisade::http::health::{self, Health};
//! use palisade::http::{App, InheritedSockets, Lifecycle, LimitsSection, ServerSection};
//! use palisade::process::SandboxSection;
//! use palisade::service::{Applications, Bound, ShutdownSection};
//! use palisade::telemetry::metrics::Metrics;
//! use palisade::telemetry::{self, LogSection};
//! # fn api() -> palisade::http::Api<()> { palisade::http::Api::new() }
//!
//! palisade::settings_of! {
//!     /// Everything that can be set, by a file or by `GREETER__SECTION__KEY`.
//!     pub struct Settings in "GREETER" {
//!         /// Where the service listens.
//!         pub server: ServerSection,
//!         /// What one client may cost.
//!         pub limits: LimitsSection,
//!         /// What is logged.
//!         pub log: LogSection,
//!         /// What the process takes from itself.
//!         pub sandbox: SandboxSection,
//!         /// The end.
//!         pub shutdown: ShutdownSection,
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let environment = Environment::of_process();
//!     let settings = load::<Settings>(None, &environment)?.into_settings();
//!     telemetry::start("greeter", &settings.log);
//!
//!     let inherited = InheritedSockets::take(&environment);
//!     let (public, admin) = (&settings.server.listen, &settings.server.admin_listen);
//!     let bound = Bound::bind(public, admin, inherited)?;
//!     let (locked_down, report) = bound.lock_down(settings.sandbox.mode)?;
//!     tracing::info!(%report, "locked down");
//!
//!     let start = async || -> Result<_, Infallible> {
//!         let lifecycle = Lifecycle::new();
//!         let readiness: health::Readiness = Arc::new(|| Box::pin(async { Ok(()) }));
//!         let metrics = Metrics::new();
//!         let health = Health { lifecycle: lifecycle.clone(), readiness, metrics };
//!         let per_ip = Throttle::At(Rate::per_second(100));
//!         let edge = settings.limits.public_edge(&settings.server, per_ip);
//!         let admin = settings.limits.admin_edge();
//!         let applications = Applications {
//!             public: App::new(api(), &(), edge, lifecycle.clone(), &metrics)?,
//!             admin: App::new(health::routes(), &health, admin, lifecycle.clone(), &metrics)?,
//!             // Plain HTTP is for loopback; `http::TlsFiles` and `http::self_signed` have TLS.
//!             tls: None,
//!             limits: settings.limits.connections(),
//!             lifecycle,
//!             grace: settings.shutdown.grace,
//!             drain: settings.shutdown.drain,
//!         };
//!         Ok((applications, ()))
//!     };
//!     locked_down.run(start, async |()| {})?;
//!     Ok(())
//! }
//! ```
//!
//! The crate `orderdesk` beside this one is a whole service: accounts, sessions, a database,
//! secrets, migrations and a command line.
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
//! | [`service`] | from settings to a drained exit |
//!
//! # What is not here yet
//!
//! PostgreSQL, background jobs, webhooks, file and system-call filters, API keys of
//! accounts, second factors, idempotency keys and an audit log. Rate limits are counted in each
//! process by itself.

pub mod auth;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod db;
pub mod http;
pub mod id;
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
