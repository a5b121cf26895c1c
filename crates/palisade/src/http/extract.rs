//! The extractors: bounded JSON bodies, query strings, ids from the path, preconditions.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http_body_util::BodyExt;
use serde_json::json;

use super::answer::entity_tag;
use super::payload::BodyError;
use super::routes::PathParameters;
use super::{ClientAddress, Extract, Operation, Problem, RequestBody, problem};
use crate::id::Id;
use crate::input::{FromJson, FromQuery, Parameters, QueryError, Rejection, Schema, read_json};

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

impl Request {
    /// Returns the address that limits and decisions use.
    pub fn client(&self) -> ClientAddress {
        self.client
    }
}

/// How much body a route reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// Largest body in bytes.
    pub(super) bytes: usize,
}

/// A validated JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A validated JSON body that may be left out altogether.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

/// The validated query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The id in the path, from the parameter named `id`. One that could never be an id is 404, just
/// as one that was never given out.
#[derive(Debug)]
pub struct PathId<T>(pub Id<T>);

/// The text of the path parameter `code`, percent-decoded.
#[derive(Debug)]
pub struct PathText(pub String);

/// The `If-Match` header, where there is one.
#[derive(Debug, Clone, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Tells whether a change of `version` may go on: the client named it, any, or none. If not,
    /// the answer is 412 `precondition_failed`.
    pub fn holds(&self, version: u32) -> bool {
        let Some(wanted) = &self.0 else { return true };
        let current = entity_tag(version);
        wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag == current)
    }
}

impl<S: Sync, T: FromJson + Schema + Send> Extract<S> for Body<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_json::<T>(true);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        check_json(&request.parts)?;
        let bytes = read(request).await?;
        Ok(Self(read_json(&bytes)?))
    }
}

impl<S: Sync, T: FromJson + Schema + Send> Extract<S> for OptionalBody<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_json::<T>(false);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let is_typed = request.parts.headers.contains_key(CONTENT_TYPE);
        if is_typed {
            check_json(&request.parts)?;
        }
        match read(request).await? {
            // Many clients name the type of the body that they leave out.
            bytes if bytes.is_empty() => Ok(Self(None)),
            bytes if is_typed => Ok(Self(Some(read_json(&bytes)?))),
            _ => Err(wrong_media_type()),
        }
    }
}

impl<S: Sync, T: FromQuery + Send> Extract<S> for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_query(T::parameters());
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        read_query(request.parts.uri.query()).map(Self)
    }
}

impl<S: Sync, T: 'static> Extract<S> for PathId<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_path("id", "The id of the thing.", Id::<T>::schema());
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let id = path_parameter(request, "id").and_then(Id::parse);
        id.map(Self).ok_or_else(Problem::not_found)
    }
}

impl<S: Sync> Extract<S> for PathText {
    fn describe(operation: &mut Operation) {
        operation.reads_path("code", "The code of the problem.", problem::code_schema());
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let code = path_parameter(request, "code").ok_or_else(Problem::not_found)?;
        Ok(Self(code.to_owned()))
    }
}

impl<S: Sync> Extract<S> for IfMatch {
    fn describe(operation: &mut Operation) {
        let about = "Go on only if the thing still has this version, as its ETag said.";
        operation.reads_header("If-Match", about, json!({"type": "string", "maxLength": 256}));
        operation.may_answer(problem::PRECONDITION_FAILED);
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in request.parts.headers.get_all(IF_MATCH) {
            let unreadable = || Problem::new(problem::BAD_REQUEST).detail("If-Match is not text.");
            tags.push(value.to_str().map_err(|_| unreadable())?);
        }
        Ok(Self((!tags.is_empty()).then(|| tags.join(","))))
    }
}

fn read_query<T: FromQuery>(query: Option<&str>) -> Result<T, Problem> {
    let parameters = Parameters::parse(query.unwrap_or_default()).map_err(|error| {
        Problem::new(problem::INVALID_QUERY).detail(match error {
            QueryError::Encoding => "The query string is not percent-encoded UTF-8.",
            QueryError::TooMany => "The query string has too many parameters.",
        })
    })?;
    parameters.read().map_err(|rejection| match rejection {
        Rejection::Invalid(violations) => Problem::invalid_query(violations),
        Rejection::Malformed(detail) => Problem::new(problem::INVALID_QUERY).detail(detail),
    })
}

fn path_parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let (_, value) = request.parameters.iter().find(|(known, _)| known == name)?;
    Some(value)
}

fn check_json(parts: &Parts) -> Result<(), Problem> {
    let mut types = parts.headers.get_all(CONTENT_TYPE).iter();
    let (Some(given), None) = (types.next(), types.next()) else {
        return Err(wrong_media_type());
    };
    let is_plain = !parts.headers.contains_key(CONTENT_ENCODING);
    if is_plain && given.to_str().is_ok_and(is_json) { Ok(()) } else { Err(wrong_media_type()) }
}

fn is_json(content_type: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let parameters = parameters.trim();
    let is_utf8 = parameters.is_empty()
        || parameters.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    essence.trim().eq_ignore_ascii_case("application/json") && is_utf8
}

fn wrong_media_type() -> Problem {
    Problem::new(problem::UNSUPPORTED_MEDIA_TYPE)
        .detail("Send one Content-Type: application/json, in UTF-8 and not compressed.")
}

/// Reads the body up to the route's limits; the limit bites while reading, not after.
async fn read(request: &mut Request) -> Result<Bytes, Problem> {
    let limits = request.limits;
    let Some(body) = request.body.take() else { return Ok(Bytes::new()) };
    let too_large = || {
        let detail = format!("This route takes at most {} bytes.", limits.bytes);
        Problem::new(problem::BODY_TOO_LARGE).detail(detail)
    };
    let announced = http_body::Body::size_hint(&body).lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limits.bytes) {
        return Err(too_large());
    }
    gather(body, limits.bytes).await.map_err(|error| match error {
        Gathering::TooLarge => too_large(),
        Gathering::Unreadable(BodyError::TooSlow) => Problem::new(problem::REQUEST_TIMEOUT),
        Gathering::Unreadable(BodyError::Broken) => {
            Problem::new(problem::BAD_REQUEST).detail("The body broke off or is framed wrongly.")
        }
    })
}

enum Gathering {
    TooLarge,
    Unreadable(BodyError),
}

async fn gather(mut body: RequestBody, most: usize) -> Result<Bytes, Gathering> {
    let mut gathered = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Gathering::Unreadable)?.into_data() else { continue };
        if first.len() + gathered.len() + data.len() > most {
            return Err(Gathering::TooLarge);
        }
        // Most bodies come in one piece, which need not be copied.
        if first.is_empty() && gathered.is_empty() {
            first = data;
            continue;
        }
        gathered.extend_from_slice(&std::mem::take(&mut first));
        gathered.extend_from_slice(&data);
    }
    Ok(if gathered.is_empty() { first } else { gathered.freeze() })
}
