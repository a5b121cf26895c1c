//! The OpenAPI 3.1 document, made from the routes and the types of their handlers.

use serde_json::{Map, Value, json};

use super::extent::can_be_large;
use super::extract::{JSON, is_text};
use super::route::{Api, Endpoint};
use super::{Audience, Kind, problem};
use crate::input::{FromJson, Schema};

/// What is known of one operation; handlers' argument and answer types add to it.
#[derive(Debug, Clone)]
pub struct Operation {
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    tag: Option<&'static str>,
    who: String,
    needs_credential: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    is_inflated: bool,
    example: Option<Value>,
    responses: Vec<(u16, Value)>,
    kinds: Vec<&'static Kind>,
    links: Vec<&'static str>,
    schemas: Map<String, Value>,
    is_large: bool,
    reads_key: bool,
    keeps_answers: bool,
}

impl Operation {
    pub(super) fn new(path: &'static str, name: &'static str) -> Self {
        Self {
            path,
            name,
            summary: "",
            tag: None,
            who: String::new(),
            needs_credential: false,
            parameters: Vec::new(),
            body: None,
            is_inflated: false,
            example: None,
            responses: Vec::new(),
            kinds: EVERYWHERE.to_vec(),
            links: Vec::new(),
            schemas: Map::new(),
            is_large: false,
            reads_key: false,
            keeps_answers: false,
        }
    }

    pub(super) fn about(&mut self, summary: &'static str) {
        self.summary = summary;
    }

    pub(super) fn tagged(&mut self, tag: &'static str) {
        self.tag = Some(tag);
    }

    pub(super) fn links_to(&mut self, operation: &'static str) {
        self.links.push(operation);
    }

    pub(super) fn example(&mut self, body: Value) {
        self.example = Some(body);
    }

    /// States that the body may be compressed.
    pub(super) fn inflates(&mut self) {
        self.is_inflated = true;
        self.may_answer(problem::MALFORMED_BODY);
    }

    /// Tells whether the body may be compressed.
    pub(super) fn is_inflated(&self) -> bool {
        self.is_inflated
    }

    pub(super) fn admits(&mut self, audience: &Audience) {
        let scope = audience.scope.map(|scope| format!(", an API key with the scope `{scope}`"));
        self.who = format!("Who may call: {}{}.", audience.who, scope.unwrap_or_default());
        self.needs_credential = audience.needs_credential;
        if audience.needs_credential {
            self.may_answer(problem::AUTHENTICATION_FAILED);
        }
        if audience.may_forbid {
            self.may_answer(problem::FORBIDDEN);
        }
        if audience.may_ask_for_proof {
            self.may_answer(problem::STEP_UP_REQUIRED);
        }
    }

    /// States that the operation may answer with a problem of `kind`.
    pub fn may_answer(&mut self, kind: &'static Kind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// States a successful answer with a JSON body.
    ///
    /// If its schema lets it become longer than 128 KiB, or does not bound it, the route's requests
    /// on one HTTP/2 connection are worked on one after the other, as fast as their client reads;
    /// `maxItems` and `maxLength` where they are true avoid that.
    pub fn answers<T: Schema>(&mut self, status: u16, about: &str) {
        T::collect(&mut self.schemas);
        self.is_large |= can_be_large(&T::reference(), &self.schemas);
        let content = json!({JSON: {"schema": T::reference()}});
        self.responses.push((status, json!({"description": about, "content": content})));
    }

    /// States that answers may become longer than 128 KiB though no schema says so; what that means
    /// is told at [`Operation::answers`].
    pub fn may_be_large(&mut self) {
        self.is_large = true;
    }

    /// Tells whether answers may be large.
    pub(super) fn is_large(&self) -> bool {
        self.is_large
    }

    /// States a successful answer without a body, or with one that is no JSON.
    pub fn answers_nothing(&mut self, status: u16, about: &str) {
        self.responses.push((status, json!({"description": about})));
    }

    /// States a successful answer of `media_type` that is made while it is sent.
    pub fn answers_stream(&mut self, status: u16, about: &str, media_type: &str) {
        let schema = if is_text(media_type) { json!({"type": "string"}) } else { json!({}) };
        let mut content = Map::new();
        content.insert(media_type.to_owned(), json!({"schema": schema}));
        self.responses.push((status, json!({"description": about, "content": content})));
    }

    /// States a header of the answer with `status`.
    pub fn answer_header(&mut self, status: u16, name: &str, about: &str, schema: Value) {
        let header = json!({"description": about, "required": true, "schema": schema});
        for (known, response) in &mut self.responses {
            if *known == status {
                member(response, "headers").insert(name.to_owned(), header.clone());
            }
        }
    }

    pub(super) fn every_success_header(&mut self, name: &str, about: &str, schema: &Value) {
        let statuses: Vec<u16> = self.responses.iter().map(|(status, _)| *status).collect();
        for status in statuses {
            self.answer_header(status, name, about, schema.clone());
        }
    }

    /// States that a JSON body is read.
    ///
    /// # Panics
    ///
    /// If the operation reads a body already.
    pub fn reads_json<T: Schema + FromJson>(&mut self, required: bool) {
        T::collect(&mut self.schemas);
        self.reads_body(required, JSON, json!({"schema": T::reference()}));
        self.may_answer(problem::MALFORMED_BODY);
        self.may_answer(problem::VALIDATION_FAILED);
    }

    /// States that a body of `media_type` is read piece by piece.
    ///
    /// # Panics
    ///
    /// If the operation reads a body already.
    pub fn reads_stream(&mut self, media_type: &str) {
        // OpenAPI 3.1 describes bytes that are not text by leaving the schema empty.
        let schema = if is_text(media_type) { json!({"type": "string"}) } else { json!({}) };
        self.reads_body(true, media_type, json!({"schema": schema}));
    }

    #[expect(
        clippy::panic,
        reason = "a mistake in the program that must not start, told at its start"
    )]
    fn reads_body(&mut self, required: bool, media_type: &str, content: Value) {
        if self.body.is_some() {
            panic!("{} reads its body twice: only one argument of a handler can", self.name);
        }
        let mut all = Map::new();
        all.insert(media_type.to_owned(), content);
        self.body = Some(json!({"required": required, "content": all}));
        for kind in
            [problem::REQUEST_TIMEOUT, problem::BODY_TOO_LARGE, problem::UNSUPPORTED_MEDIA_TYPE]
        {
            self.may_answer(kind);
        }
    }

    /// States query parameters.
    pub fn reads_query(&mut self, parameters: Vec<Value>) {
        for mut parameter in parameters {
            if let Value::Object(parts) = &mut parameter {
                parts.insert("in".into(), "query".into());
            }
            self.parameters.push(parameter);
        }
        self.may_answer(problem::INVALID_QUERY);
    }

    /// States a path parameter.
    pub fn reads_path(&mut self, name: &str, about: &str, schema: Value) {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": about, "schema": schema,
        }));
        self.may_answer(problem::NOT_FOUND);
    }

    /// States that the only parameter of the path is read.
    ///
    /// # Panics
    ///
    /// If the path has none or several.
    #[expect(clippy::panic, reason = "a mistake in the program, told at its start")]
    pub(super) fn reads_only_parameter_of_path(&mut self, schema: Value) {
        let parameters: Vec<&str> = self.path.split('{').skip(1).collect();
        let [parameter] = parameters.as_slice() else {
            panic!("Path reads the only parameter, and {} has {}", self.path, parameters.len());
        };
        let name = parameter.split('}').next().unwrap_or_default();
        self.reads_path(name, "What it is about.", schema);
    }

    /// States that the handler reads an idempotency key.
    pub(crate) fn reads_idempotency_key(&mut self) {
        self.reads_key = true;
    }

    /// States that the handler answers by the key that it read.
    pub(crate) fn keeps_answers(&mut self) {
        self.keeps_answers = true;
    }

    /// Makes sure that a handler which reads an idempotency key also answers by it.
    ///
    /// # Panics
    ///
    /// If it does one without the other.
    #[expect(
        clippy::panic,
        reason = "a mistake in the program that must not start, told at its start"
    )]
    pub(super) fn refuse_half_idempotent(&self) {
        if self.reads_key != self.keeps_answers {
            panic!("{}: `Idempotent` as an argument and `Answered` go together", self.name);
        }
    }

    /// States an optional request header.
    pub fn reads_header(&mut self, name: &str, about: &str, schema: Value) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": about, "schema": schema,
        }));
    }

    fn document(&self) -> Value {
        let mut responses = Map::new();
        for (status, response) in &self.responses {
            let mut response = response.clone();
            for link in &self.links {
                let entry =
                    json!({"operationId": link, "parameters": {"id": "$response.body#/id"}});
                member(&mut response, "links").insert((*link).to_owned(), entry);
            }
            responses.insert(status.to_string(), response);
        }
        for kind in &self.kinds {
            let response = responses.entry(kind.status.to_string()).or_insert_with(refusal);
            let about = format!("`{}`: {}", kind.code, kind.title);
            if let Some(Value::String(text)) = response.get_mut("description") {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&about);
            }
            if let Some((name, header)) = refusal_header(kind) {
                member(response, "headers").insert(name.to_owned(), header);
            }
        }
        let mut operation = json!({
            "operationId": self.name,
            "summary": self.summary,
            "description": self.who,
            "responses": responses,
            "security": if self.needs_credential { json!([{"bearer": []}]) } else { json!([]) },
        });
        if let Value::Object(parts) = &mut operation {
            if let Some(tag) = self.tag {
                parts.insert("tags".into(), json!([tag]));
            }
            if !self.parameters.is_empty() {
                parts.insert("parameters".into(), Value::Array(self.parameters.clone()));
            }
            if let Some(body) = self.body_with_example() {
                parts.insert("requestBody".into(), body);
            }
        }
        operation
    }

    fn body_with_example(&self) -> Option<Value> {
        let mut body = self.body.clone()?;
        let content = body.get_mut("content").and_then(Value::as_object_mut);
        let media = content.and_then(|content| content.values_mut().next());
        if let (Some(Value::Object(media)), Some(example)) = (media, &self.example) {
            media.insert("examples".into(), json!({"typical": {"value": example}}));
        }
        if let (Value::Object(body), true) = (&mut body, self.is_inflated) {
            body.insert("description".into(), INFLATED.into());
        }
        Some(body)
    }
}

/// What a route says of its body that takes it compressed.
const INFLATED: &str = "May be sent with `Content-Encoding: gzip`, as exactly one member. Its \
    largest size holds for the bytes that are sent and for those they are inflated to.";

/// What any route can answer, whoever calls it.
const EVERYWHERE: &[&Kind] = &[
    problem::BAD_REQUEST,
    problem::URI_TOO_LONG,
    problem::RATE_LIMITED,
    problem::HEADERS_TOO_LARGE,
    problem::INTERNAL,
    problem::OVERLOADED,
];

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Returns the OpenAPI 3.1 document of all routes.
    pub fn openapi(
        &self,
        (title, version, about): (&str, &str, &str),
        public_url: Option<&str>,
    ) -> Value {
        let mut paths = Map::new();
        let mut schemas = Map::new();
        schemas.insert("Problem".into(), problem::schema());
        for Endpoint { method, path, operation, .. } in self.endpoints() {
            for (name, schema) in &operation.schemas {
                schemas.entry(name.clone()).or_insert_with(|| schema.clone());
            }
            let item = paths.entry(*path).or_insert_with(|| json!({}));
            if let Value::Object(item) = item {
                item.insert(method.as_str().to_lowercase(), operation.document());
            }
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "version": version,
                "description": about,
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            },
            "servers": [{"url": public_url.unwrap_or("/")}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A session token, or the machine operator's key.",
                    },
                },
            },
        })
    }
}

fn refusal() -> Value {
    json!({
        "description": "",
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
        }},
    })
}

fn refusal_header(kind: &Kind) -> Option<(&'static str, Value)> {
    let (name, about, schema) = match kind.status {
        401 => {
            let challenge = json!({"type": "string", "maxLength": 200});
            ("WWW-Authenticate", "The scheme to use.", challenge)
        }
        429 | 503 => {
            let seconds = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
            ("Retry-After", "Seconds to wait before the next try.", seconds)
        }
        _ => return None,
    };
    Some((name, json!({"description": about, "required": true, "schema": schema})))
}

/// Returns the object under `name` in `value`, made if it is not there.
fn member<'a>(value: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !value.get(name).is_some_and(Value::is_object) {
        value[name] = json!({});
    }
    #[expect(clippy::expect_used, reason = "the line above makes it an object")]
    value.get_mut(name).and_then(Value::as_object_mut).expect("an object")
}
