//! The extractors: bounded JSON bodies and streams, query strings, ids from the path,
//! preconditions.
//!
//! 1. A body is bounded by its route while it is read, and again while it is inflated where the
//!    route asks for that; nothing is inflated otherwise.
//! 2. It is read once: a handler with two arguments that read it does not start.

mod body;
mod gunzip;
mod media_type;
mod parameters;
mod reading;
mod stream;

pub use body::{Body, OptionalBody, WholeBody};
pub(super) use media_type::{JSON, is_text};
pub use parameters::{IfMatch, Path, PathId, Query};
pub(super) use reading::{too_large, unreadable};
pub use stream::{Csv, MediaType, OctetStream, Stream};

use http::request::Parts;

use super::routes::PathParameters;
use super::{ClientAddress, Extract, Operation, Problem, RequestBody};

/// A request on its way to a handler: the head, the body as long as nobody has read it, and the
/// limits of the route.
#[derive(Debug)]
pub struct Request {
    /// The method, path, headers and what the guard and the policy have added.
    pub parts: Parts,
    pub(super) body: Option<RequestBody>,
    pub(super) limits: BodyLimits,
    pub(super) parameters: PathParameters,
    pub(super) client: ClientAddress,
}

/// The address that the request comes from, as limits see it.
impl<S: Sync> Extract<S> for ClientAddress {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        Ok(request.client)
    }
}

impl Request {
    /// Returns the address that limits and decisions use.
    pub fn client(&self) -> ClientAddress {
        self.client
    }
}

/// How much body a route reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// Largest body in bytes, as it is sent and as it is inflated.
    pub(super) bytes: usize,
    /// Whether a body may be compressed.
    pub(super) inflates: bool,
}
