//! The OpenAPI document and the explanations of problems: complete, and true.

use std::collections::BTreeSet;

use palisade_testing::Reply;
use serde_json::{Map, Value};

use crate::support::{TestService, orderdesk, text};
use crate::support_orders::{Answer, assert_problem};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

#[tokio::test]
async fn anybody_reads_the_document_and_the_program_prints_the_same() {
    let app = TestService::start().await;

    let reply = document_of(&app).await;
    let printed = orderdesk().args(["openapi"]).run().await;

    printed.assert_code(0);
    let document = reply.json();
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), document);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(text(&document, "openapi").starts_with("3.1."));
    assert_eq!(document["info"]["title"], "Orderdesk");
    Answer::from(&reply).assert_headers();
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();
    let mut references = 0;

    visit(&document, "", &mut |place, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            let target = reference.strip_prefix('#').and_then(|path| document.pointer(path));
            assert!(target.is_some(), "{place}: {reference}");
        }
    });

    assert!(references > 50, "{references}");
    let operations: BTreeSet<_> =
        operations(&document).iter().map(|(_, operation)| text(operation, "operationId")).collect();
    visit(&document, "", &mut |place, value| {
        for (name, link) in value.get("links").and_then(Value::as_object).into_iter().flatten() {
            assert!(operations.contains(text(link, "operationId")), "{place}: {name}");
        }
    });
}

#[tokio::test]
async fn every_operation_says_how_it_refuses() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();
    let mut names = BTreeSet::new();

    for (name, operation) in operations(&document) {
        assert!(names.insert(text(operation, "operationId")), "{name}: the name is taken");
        assert!(!text(operation, "summary").is_empty(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        let is_success = |status: &String| status.starts_with('2');
        assert!(responses.keys().any(is_success), "{name}");
        let refusals: Vec<_> = responses.iter().filter(|(status, _)| !is_success(status)).collect();
        for status in ["400", "414", "429", "431", "500", "503"] {
            assert!(responses.contains_key(status), "{name}: {status}");
        }
        for (status, response) in refusals {
            let content = response["content"].as_object().unwrap();
            let media: Vec<_> = content.keys().collect();
            assert_eq!(media, ["application/problem+json"], "{name}: {status}");
        }
        if operation.get("requestBody").is_some() {
            for status in ["408", "413", "415"] {
                assert!(responses.contains_key(status), "{name}: {status}");
            }
        }
    }
    assert!(names.len() >= 21, "{names:?}");
}

#[tokio::test]
async fn security_is_declared_for_every_operation_and_only_strangers_doors_are_open() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes["bearer"]["scheme"], "bearer");

    let mut open = Vec::new();
    for (name, operation) in operations(&document) {
        let security = operation["security"].as_array().expect("security is stated");
        if security.is_empty() {
            open.push(name);
            continue;
        }
        for requirement in security {
            for scheme in requirement.as_object().unwrap().keys() {
                assert!(schemes.contains_key(scheme), "{name}: {scheme}");
            }
        }
        assert!(operation["responses"]["401"]["headers"]["WWW-Authenticate"].is_object());
        let (method, path) = name.split_once(' ').unwrap();
        let (method, path) = (method.to_uppercase(), path.replace("{id}", "x"));
        let client = app.client();
        let reply = client.call(method.parse().unwrap(), &path).send().await;
        assert_problem(&reply, 401, "authentication_failed");
    }
    open.sort();
    assert_eq!(
        open,
        [
            "get /openapi.json",
            "get /problems/{code}",
            "post /password-resets",
            "post /sessions",
            "post /users",
        ]
    );
}

#[tokio::test]
async fn every_text_number_and_list_in_the_document_is_bounded() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();
    let mut unbounded = Vec::new();

    visit_schemas(&document, &mut |place, schema| {
        let has = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
        let is_bounded = match types(schema).as_slice() {
            _ if has(&["$ref", "anyOf", "enum", "const"]) => true,
            [] => false,
            kinds => kinds.iter().all(|kind| match *kind {
                "string" => has(&["maxLength"]) || has(&["format"]) && has(&["pattern"]),
                "integer" | "number" => has(&["minimum"]) && has(&["maximum"]),
                "array" => has(&["items"]) && has(&["maxItems"]),
                _ => true,
            }),
        };
        // A file has as many bytes as its route takes, and one that is read has no end of its own.
        if !is_bounded && !place.ends_with("/content/text/csv") {
            unbounded.push(place.to_owned());
        }
    });

    assert!(unbounded.is_empty(), "{unbounded:#?}");
}

#[tokio::test]
async fn every_body_in_the_document_refuses_unknown_members_and_has_an_example() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();

    for (name, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else { continue };
        if let Some(file) = body["content"].get("text/csv") {
            assert!(file["examples"]["typical"]["value"].is_string(), "{name}");
            continue;
        }
        let media = &body["content"]["application/json"];
        assert!(media["examples"]["typical"]["value"].is_object(), "{name}");
        let reference = text(&media["schema"], "$ref");
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        let alternatives = schema.get("anyOf").and_then(Value::as_array);
        for schema in alternatives.unwrap_or(&vec![schema.clone()]) {
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
    }
}

#[tokio::test]
async fn every_code_that_an_answer_can_have_is_explained() {
    let app = TestService::start().await;
    let document = document_of(&app).await.text();
    let table = [
        "malformed_body",
        "validation_failed",
        "invalid_query",
        "bad_request",
        "authentication_failed",
        "forbidden",
        "not_found",
        "method_not_allowed",
        "request_timeout",
        "body_too_large",
        "uri_too_long",
        "unsupported_media_type",
        "headers_too_large",
        "username_taken",
        "illegal_transition",
        "precondition_failed",
        "rate_limited",
        "overloaded",
        "internal",
    ];
    // The document names codes as `code`: in the description of each refusal.
    let named: BTreeSet<_> = document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
        .filter(|word| document.contains(&format!("`{word}`: ")))
        .collect();
    assert!(named.contains("illegal_transition") && named.contains("username_taken"), "{named:?}");

    for code in named.iter().copied().chain(table) {
        let reply = app.client().get(&format!("/problems/{code}")).send().await;

        reply.assert_status(200);
        let explanation = reply.json();
        assert_eq!(explanation["code"], code);
        assert!(explanation["status"].as_u64().is_some_and(|status| (400..600).contains(&status)));
        assert!(!text(&explanation, "title").is_empty());
        assert!(text(&explanation, "explanation").len() > 20, "{code}");
    }
    assert_problem(&app.client().get("/problems/no_such_code").send().await, 404, "not_found");
}

#[tokio::test]
async fn the_routes_that_are_printed_are_those_of_the_document() {
    let app = TestService::start().await;
    let document = document_of(&app).await.json();
    let documented: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();

    let printed = orderdesk().args(["routes"]).run().await;

    printed.assert_code(0);
    for name in &documented {
        let (method, path) = name.split_once(' ').unwrap();
        let method = method.to_uppercase();
        let is_line = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(&method) && words.next() == Some(path)
        };
        assert!(printed.stdout.lines().any(is_line), "{name} in\n{}", printed.stdout);
    }
}

async fn document_of(app: &TestService) -> Reply {
    let reply = app.client().get("/openapi.json").send().await;
    reply.assert_status(200);
    reply
}

/// Returns `method path` and the operation, for each.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            found.push((format!("{method} {path}"), operation));
        }
    }
    found
}

fn visit(value: &Value, place: &str, look: &mut impl FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                visit(member, &format!("{place}/{name}"), look);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                visit(element, &format!("{place}/{index}"), look);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Visits every schema: the shared ones, those of parameters, headers and bodies, and their parts.
fn visit_schemas(document: &Value, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        visit_schema(schema, name, look);
    }
    visit(&document["paths"], "", &mut |place, value| {
        if let Some(schema) = value.get("schema") {
            visit_schema(schema, place, look);
        }
    });
}

fn visit_schema(schema: &Value, place: &str, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    let Some(parts) = schema.as_object() else { panic!("{place}: {schema}") };
    look(place, parts);
    for (name, part) in parts.get("properties").and_then(Value::as_object).into_iter().flatten() {
        visit_schema(part, &format!("{place}/{name}"), look);
    }
    if let Some(items) = parts.get("items") {
        visit_schema(items, &format!("{place}/items"), look);
    }
    for part in parts.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        visit_schema(part, &format!("{place}/anyOf"), look);
    }
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
