//! A service that gives its secret away wherever it can, and what of it gets out: nothing, as long
//! as the library knows the secret and is what writes.
//!
//! The same searches find a key that nobody declared a secret in every place that it leaks to: a
//! search that cannot fail would promise nothing.

use palisade::config::KeyMaterial;
use palisade_testing::{Client, Markers, Program, Service, Sinks};

use crate::minimal::built_example;

/// What the library holds back if it knows the secret: the route, its status, and what is said.
const HELD_BACK: [(&str, u16, &str); 4] = [
    ("/log", 200, "starting with [redacted]"),
    ("/panic", 500, "cannot sign in with [redacted]"),
    ("/task", 500, "in a task: ["),
    ("/failure", 500, "postgres://careless:[redacted]@db/careless"),
];

/// Where a secret gets out that the library does not know, by the route that gives it away.
const LEAKS: [(&str, u16, &str); 8] = [
    ("/log", 200, LOG),
    ("/panic", 500, LOG),
    ("/task", 500, LOG),
    ("/failure", 500, LOG),
    ("/answer", 404, "answers"),
    ("/output", 200, "standard output"),
    ("/file", 200, "file careless.debug"),
    ("/label", 200, "metrics"),
];
const LOG: &str = "log on standard error";

#[tokio::test]
async fn what_a_careless_service_logs_fails_with_and_panics_with_holds_no_secret() {
    let key = KeyMaterial::generate();
    let markers = marked(key.expose());

    for (path, status, said) in HELD_BACK {
        let sinks = left_by(&careless().env("API_KEY", key.expose()), path, status).await;

        sinks.assert_without(&markers);
        let log = String::from_utf8_lossy(sinks.at(LOG));
        assert!(log.contains(said), "{said} is not in the log:\n{log}");
    }
}

#[tokio::test]
async fn each_search_finds_a_key_that_nobody_declared_a_secret_where_it_leaks_and_only_there() {
    let key = unknown_key();
    let markers = marked(&key);

    for (path, status, place) in LEAKS {
        let sinks = left_by(&with_unknown(&key), path, status).await;

        let mut expected = vec!["config show", "environment", place];
        expected.sort_unstable();
        let mut found = sinks.holding(&markers);
        found.sort_unstable();
        assert_eq!(found, expected, "{path}");
    }
}

#[tokio::test]
async fn the_search_of_the_openapi_document_finds_a_key_in_it() {
    let key = unknown_key();
    let careless = with_unknown(&key).env("CARELESS__SHOP__IS_DOCUMENTED", "true");

    let sinks = left_by(&careless, "/output", 200).await;

    assert!(sinks.holding(&marked(&key)).contains(&"OpenAPI document"));
}

#[tokio::test]
async fn a_start_that_fails_with_a_secret_in_its_words_does_not_say_it() {
    let key = format!("{}x", KeyMaterial::generate().expose());

    let refused = careless().env("API_KEY", &key).run().await;

    let said = &refused.assert_code(1).stderr;
    assert!(said.contains("the key [redacted] has more than 43 characters"), "{said}");
    assert_eq!(marked(&key).found_in(said.as_bytes()), [""; 0], "{said}");
    let refused = with_unknown(&key).run().await;
    let said = &refused.assert_code(1).stderr;
    assert!(!marked(&key).found_in(said.as_bytes()).is_empty(), "the search finds none: {said}");
}

/// Starts the service, calls one route, ends it, and returns all that is left.
async fn left_by(careless: &Program, path: &str, status: u16) -> Sinks {
    let mut service = careless.clone().start().await;
    let client = Client::http(service.public());
    let mut sinks = Sinks::default();
    let reply = client.post(path).send().await;
    sinks.add("answers", reply.assert_status(status).body());
    sinks.add("answers", format!("{:?}", reply.headers()));
    sinks.add("OpenAPI document", client.get("/openapi.json").send().await.body());
    sinks.add_running(&service).await;
    let shown = careless.clone().args(["config", "show"]).run().await;
    sinks.add("config show", &shown.assert_code(0).stdout);
    assert!(service.terminate().await.success());
    sinks.add_left(&service);
    sinks
}

fn marked(key: &str) -> Markers {
    let mut markers = Markers::default();
    markers.add("the key", key);
    markers
}

/// Returns a key that does not look like one: the log leaves out of a panic whatever does.
fn unknown_key() -> String {
    KeyMaterial::generate().expose().chars().take(36).collect()
}

/// Describes the service with a key that the library does not know to be a secret, and locked down
/// in nothing, so that it can write a file and keeps its environment.
fn with_unknown(key: &str) -> Program {
    careless().env("CARELESS__SHOP__KEY", key).env("CARELESS__SANDBOX__MODE", "off")
}

fn careless() -> Program {
    Service::builder(&built_example("careless"))
        .env("CARELESS__SERVER__LISTEN", "127.0.0.1:0")
        .env("CARELESS__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("CARELESS__LOG__LEVEL", "trace")
}
