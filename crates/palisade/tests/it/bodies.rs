//! Bodies: of the type that the route reads, read once, coded as the route asked for.

use palisade::http::{
    Anyone, Api, Body, Extract, Json, OctetStream, Operation, Problem, Request, Route, Stream,
};
use palisade::input::{FromQuery, Parameters, QueryError};

use crate::support::{LIMIT, Note, Seen, api, app, code, gzip, post};

#[tokio::test]
async fn a_stream_has_exactly_one_content_type_and_it_is_the_routes() {
    let app = app(api(), &Seen::default());
    let refused = (415, "unsupported_media_type".to_owned());

    for given in ["text/csv", "Text/CSV", "text/csv; charset=utf-8", "text/csv;charset=\"UTF-8\""] {
        let (status, body) = post(&app, "/csv", &[("content-type", given)], "").await;
        assert_eq!((status, body.as_str()), (200, "0"), "{given}");
    }
    for given in [
        "",
        "text",
        "text/csvx",
        "text/plain",
        "text/*",
        "text/csv, text/csv",
        "text/csv; charset=latin1",
        "text/csv; header=present",
        "text/csv; charset=utf-8; header=present",
        "application/json",
    ] {
        let answer = post(&app, "/csv", &[("content-type", given)], "a").await;
        assert_eq!(code(&answer), refused, "{given}");
    }
    let none = post(&app, "/csv", &[], "").await;
    let two = [("content-type", "text/csv"), ("content-type", "text/csv")];
    let two = post(&app, "/csv", &two, "").await;
    let bytes_as_text = [("content-type", "application/octet-stream; charset=utf-8")];
    let bytes_as_text = post(&app, "/bytes", &bytes_as_text, "").await;
    for answer in [none, two, bytes_as_text] {
        assert_eq!(code(&answer), refused);
    }
}

#[tokio::test]
async fn a_stream_is_handed_on_up_to_the_limit_of_its_route_and_no_further() {
    for (length, wanted) in [(0, 200), (1, 200), (LIMIT, 200), (LIMIT + 1, 413)] {
        let seen = Seen::default();
        let app = app(api(), &seen);
        let headers = [("content-type", "application/octet-stream")];

        let answer = post(&app, "/bytes", &headers, vec![7; length]).await;

        assert_eq!(answer.0, wanted, "{length}");
        assert_eq!(seen.bytes(), if wanted == 200 { length } else { 0 });
    }
}

#[tokio::test]
async fn a_body_is_compressed_only_where_its_route_asked_for_that() {
    let app = app(api(), &Seen::default());
    let note = br#"{"text":"hello"}"#;

    for coding in ["gzip", "GZIP", "Gzip"] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        assert_eq!(post(&app, "/gzip-note", &headers, gzip(note)).await, (200, "5".to_owned()));
        assert_eq!(post(&app, "/note", &headers, gzip(note)).await.0, 415, "{coding}");
    }
    for path in ["/gzip-note", "/note"] {
        let headers = [("content-type", "application/json"), ("content-encoding", "Identity")];
        assert_eq!(post(&app, path, &headers, &note[..]).await.0, 200, "{path}");
        for coding in ["", "deflate", "br", "zstd", "gzip, gzip", "gzip,identity", "gzip;q=1", "*"]
        {
            let headers = [("content-type", "application/json"), ("content-encoding", coding)];
            let answer = post(&app, path, &headers, gzip(note)).await;
            assert_eq!(code(&answer), (415, "unsupported_media_type".into()), "{path} {coding}");
        }
        let json = ("content-type", "application/json");
        let twice = [json, ("content-encoding", "gzip"), ("content-encoding", "gzip")];
        assert_eq!(post(&app, path, &twice, gzip(&gzip(note))).await.0, 415, "{path}");
    }
}

async fn reads_twice(_: Body<Note>, _: Stream<OctetStream>) -> Result<Json<bool>, Problem> {
    Ok(Json(true))
}

#[test]
#[should_panic(expected = "twice reads its body twice: only one argument of a handler can")]
fn a_handler_that_reads_its_body_twice_does_not_start() {
    let route = Route::post("/twice", "twice").policy(Anyone);
    drop(Api::<()>::new().route(route.handle(reads_twice)));
}

/// Reads a body without saying so.
struct Hidden;

impl<S: Sync> Extract<S> for Hidden {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, state: &S) -> Result<Self, Problem> {
        Body::<Note>::extract(request, state).await.map(|_| Self)
    }
}

#[tokio::test]
async fn a_body_that_was_read_already_is_never_taken_for_an_empty_one() {
    async fn reads_again(_: Hidden, _: Body<Note>) -> Result<Json<bool>, Problem> {
        Ok(Json(true))
    }
    let route = Route::post("/again", "again").policy(Anyone).handle(reads_again);
    let app = app(Api::new().route(route), &());

    let headers = [("content-type", "application/json")];
    let answer = post(&app, "/again", &headers, r#"{"text":"hello"}"#).await;

    assert_eq!(code(&answer), (500, "internal".to_owned()));
}

#[tokio::test]
async fn a_stream_that_failed_fails_again_and_is_never_taken_for_one_that_ended() {
    async fn insists(mut upload: Stream<OctetStream>) -> Result<Json<bool>, Problem> {
        while let Ok(Some(_)) = upload.next().await {}
        for _ in 0..3 {
            assert!(upload.next().await.is_err(), "it looks as if it had ended");
        }
        Ok(Json(true))
    }
    let route = Route::post("/insists", "insists").takes_up_to(40).inflates().policy(Anyone);
    let app = app(Api::new().route(route.handle(insists)), &());
    let mut cut_off = gzip(b"1234567890");
    cut_off.pop();

    for body in [gzip(&[0; 41]), cut_off] {
        let kind = ("content-type", "application/octet-stream");
        let answer = post(&app, "/insists", &[kind, ("content-encoding", "gzip")], body).await;
        assert_eq!(answer.0, 200, "{answer:?}");
    }
}

#[test]
fn the_document_and_the_table_say_what_a_stream_is_and_that_it_may_be_compressed() {
    let document = api().openapi(("x", "1", "x"), None);
    let operation = |path: &str| document["paths"][path]["post"].clone();
    let csv = operation("/csv");
    let large = operation("/large");

    let text = serde_json::json!({"text/csv": {"schema": {"type": "string"}}});
    assert_eq!(csv["requestBody"]["content"], text);
    assert_eq!(csv["requestBody"]["required"], true);
    let bytes = serde_json::json!({"application/octet-stream": {"schema": {}}});
    assert_eq!(large["requestBody"]["content"], bytes);
    for status in ["408", "413", "415"] {
        assert!(csv["responses"][status].is_object(), "{status}");
    }
    let may_be_malformed = |operation: &serde_json::Value| {
        operation["responses"]["400"]["description"].as_str().unwrap().contains("`malformed_body`")
    };
    assert!(may_be_malformed(&large) && !may_be_malformed(&csv));
    assert!(large["requestBody"]["description"].as_str().unwrap().contains("gzip"));
    assert!(csv["requestBody"].get("description").is_none());

    let table = api().table();
    let limits = |path| table.iter().find(|line| line.path == path).unwrap().limits.clone();
    assert_eq!(limits("/large"), "body 67108864 B, inflates gzip");
    assert_eq!(limits("/csv"), "body 65536 B");
}

#[test]
fn of_more_than_32_query_parameters_none_is_looked_at() {
    let query = |count| vec!["a=1"; count].join("&");

    assert!(Parameters::parse(&query(32)).is_ok());
    assert_eq!(Parameters::parse(&query(33)).unwrap_err(), QueryError::TooMany);
}

palisade::query! {
    /// One parameter.
    struct One {
        /// Any text.
        text: Option<crate::support::Text>,
    }
}

#[test]
fn a_query_parameter_that_is_given_twice_is_refused_even_with_the_same_value() {
    let read = |query| Parameters::parse(query).unwrap().read::<One>();

    assert!(read("text=a").unwrap().text.is_some());
    for query in ["text=a&text=a", "text=a&text=b", "text=&text", "text=a&%74ext=a"] {
        assert!(read(query).is_err(), "{query}");
    }
    assert_eq!(One::parameters().len(), 1);
}
