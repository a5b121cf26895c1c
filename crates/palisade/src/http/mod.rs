//! The edge of the service: routes with policies, handlers of typed arguments, problems that
//! cannot leak, and the guard and listener around them.
//!
//! The rules of this module:
//!
//! 1. A route states its policy where it is registered, or does not compile.
//! 2. Every error, the framework's own included, is `application/problem+json`.
//! 3. Every answer carries a request id and the security headers.
//! 4. Everything a client can make grow has a limit: bodies, headers, time, connections, memory.
//!
//! It leaves out who callers are: [`crate::auth`] implements [`Policy`] for them.

mod activity;
mod address;
mod answer;
mod arrival;
mod budget;
mod connection;
mod deadline;
mod documents;
mod extent;
mod extract;
mod forwarded;
mod frames;
mod guard;
mod handler;
mod headers;
pub mod health;
mod host;
mod lifecycle;
mod linger;
mod listen;
pub mod metrics;
mod mount;
mod notices;
mod openapi;
mod outgoing;
mod payload;
mod places;
mod policy;
pub mod problem;
mod proxies;
mod rate;
mod request_id;
mod route;
mod routes;
mod self_signed;
mod server;
mod settings;
mod table;
mod tls;
mod unreadable;
mod wire;

pub use address::ClientAddress;
pub use answer::{Accepted, Created, Json, NoContent, Page, Versioned};
pub use budget::AccountBudget;
pub use documents::Introduction;
pub use extract::{
    Body, Csv, IfMatch, MediaType, OctetStream, OptionalBody, Path, PathId, Query, Request, Stream,
    WholeBody,
};
pub use guard::{App, EdgeSettings};
pub use handler::{Answer, Extract, FromRef, Handler, State};
pub use http::{Method, StatusCode};
pub use lifecycle::{Lifecycle, Phase};
pub use listen::{InheritedSockets, ListenAddress, ListenAddresses, Socket};
pub use openapi::Operation;
pub use payload::{AnswerBody, BodyError, BrokenOff, RequestBody, Response};
pub use policy::{Admission, Anyone, Audience, Policy};
pub use problem::{Kind, Problem};
pub use proxies::{ForwardedHeader, TrustedProxies};
pub use rate::{AddressPrefix, RateLimiter};
pub use route::{Api, Endpoint, NoPolicy, Route, RouteLine};
pub(crate) use self_signed::make_certificate_folder;
pub use self_signed::self_signed;
pub use server::{ConnectionLimits, Server};
pub use settings::{LimitsSection, ServerSection, TlsMode, TlsSection, TlsVersion};
pub use table::CsvFile;
pub use tls::{Chain, Roots, TlsAcceptorSource, TlsError, TlsFiles, Validity};
