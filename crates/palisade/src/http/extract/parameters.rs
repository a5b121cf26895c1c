//! What a request says beside its body: query string, parts of the path, preconditions.

use http::header::IF_MATCH;
use serde_json::json;

use super::Request;
use crate::http::answer::entity_tag;
use crate::http::{Extract, Operation, Problem, problem};
use crate::id::Id;
use crate::input::{FromQuery, FromText, Parameters, QueryError, Rejection, Schema};

/// The validated query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The id in the path, from the parameter named `id`. One that could never be an id is 404, just
/// as one that was never given out.
#[derive(Debug)]
pub struct PathId<T>(pub Id<T>);

/// The only parameter of the path, percent-decoded. What `T` refuses is 404, just as what does not
/// exist. A route whose path has none or several does not start with it.
///
/// ```
/// use palisade::http::{Anyone, Json, Path, Problem, Route};
/// use palisade::input::Line;
///
/// async fn greet(Path(name): Path<Line<1, 40>>) -> Result<Json<Line<1, 40>>, Problem> {
///     Ok(Json(name))
/// }
///
/// let route = Route::get("/greetings/{name}", "greet").policy(Anyone).handle(greet);
/// # let _: palisade::http::Endpoint<()> = route;
/// ```
#[derive(Debug)]
pub struct Path<T>(pub T);

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

impl<S: Sync, T: FromText + Schema + Send> Extract<S> for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.reads_only_parameter_of_path(T::schema());
    }

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let [(_, text)] = request.parameters.as_slice() else { return Err(Problem::not_found()) };
        T::from_text(text).map(Self).map_err(|_| Problem::not_found())
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
