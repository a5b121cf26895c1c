//! The routes that explain the others: `GET /openapi.json` and `GET /problems/{code}`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::json_response;
use super::{Answer, Anyone, Api, Json, Kind, Operation, Path, Problem, Response, Route};
use crate::input::{FromText, Invalid, Schema};

/// How the OpenAPI document introduces the service.
#[derive(Debug, Clone, Copy)]
pub struct Introduction {
    /// The service's name.
    pub title: &'static str,
    /// The version of its interface.
    pub version: &'static str,
    /// What a stranger should know first.
    pub about: &'static str,
}

/// What a code means.
#[derive(Debug, Clone, Serialize)]
struct Explanation {
    code: &'static str,
    status: u16,
    title: &'static str,
    explanation: String,
}

impl Schema for Explanation {
    const NAME: Option<&'static str> = Some("Explanation");

    fn schema() -> Value {
        json!({
            "type": "object",
            "description": "What the code of a problem means.",
            "properties": {
                "code": super::problem::code_schema(),
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "title": {"type": "string", "maxLength": 100},
                "explanation": {"type": "string", "maxLength": 1000},
            },
            "required": ["code", "status", "title", "explanation"],
            "additionalProperties": false,
        })
    }
}

/// What may be the code of a problem; whether it is one is for the handler to find out.
struct Code(String);

impl FromText for Code {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        Ok(Self(raw.to_owned()))
    }
}

impl Schema for Code {
    fn schema() -> Value {
        super::problem::code_schema()
    }
}

/// A JSON document that was written once.
struct Written(Bytes);

impl Answer for Written {
    fn describe(operation: &mut Operation) {
        operation.answers::<Anything>(200, "The OpenAPI 3.1 document.");
    }

    fn into_response(self) -> Result<Response, Problem> {
        let mut response = json_response(StatusCode::OK, self.0);
        let public = HeaderValue::from_static("public, max-age=300");
        response.headers_mut().insert(CACHE_CONTROL, public);
        Ok(response)
    }
}

struct Anything;

impl Schema for Anything {
    fn schema() -> Value {
        json!({"type": "object"})
    }
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Adds `GET /problems/{code}` and `GET /openapi.json`, which describe all routes there are by
    /// then; call it last. Returns the document too.
    #[must_use]
    pub fn documented(self, introduction: Introduction, public_url: Option<&str>) -> (Self, Value) {
        let kinds: Arc<[&'static Kind]> = self.all_kinds().into();
        let with_routes = self
            .route(
                Route::get("/problems/{code}", "explainProblem")
                    .about("Explains the code of a problem.")
                    .tagged("documents")
                    .policy(Anyone)
                    .handle(move |Path(code): Path<Code>| {
                        std::future::ready(explain(&kinds, &code))
                    }),
            )
            .route(document_route(Bytes::new()));
        let Introduction { title, version, about } = introduction;
        let document = with_routes.openapi((title, version, about), public_url);
        let written = Bytes::from(document.to_string());
        (with_routes.replace_last(document_route(written)), document)
    }
}

fn document_route<S: Clone + Send + Sync + 'static>(document: Bytes) -> super::Endpoint<S> {
    Route::get("/openapi.json", "readOpenApi")
        .about("Returns this document.")
        .tagged("documents")
        .policy(Anyone)
        .handle(move || std::future::ready(Ok::<_, Problem>(Written(document.clone()))))
}

fn explain(kinds: &[&'static Kind], code: &Code) -> Result<Json<Explanation>, Problem> {
    let kind = kinds.iter().find(|kind| kind.code == code.0).ok_or_else(Problem::not_found)?;
    Ok(Json(Explanation {
        code: kind.code,
        status: kind.status,
        title: kind.title,
        explanation: kind.about.split_whitespace().collect::<Vec<_>>().join(" "),
    }))
}
