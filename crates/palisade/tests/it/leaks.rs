//! A service that gives its secret away wherever it can, and what of it gets out: nothing.

use palisade::config::KeyMaterial;
use palisade_testing::{Client, Markers, Program, Service};

use crate::minimal::built_example;

#[tokio::test]
async fn what_a_careless_service_logs_fails_with_and_panics_with_holds_no_secret() {
    let key = KeyMaterial::generate();
    let mut markers = marked(key.expose());
    markers.add(
        "the key's bytes",
        data_encoding::BASE64URL_NOPAD.decode(key.expose().as_bytes()).unwrap(),
    );
    let mut service = careless(key.expose()).start().await;
    let client = Client::http(service.public());

    let mut answers = Vec::new();
    for (path, status) in [("/log", 200), ("/panic", 500), ("/task", 500), ("/failure", 500)] {
        let reply = client.post(path).send().await;
        answers.extend_from_slice(reply.assert_status(status).body());
    }
    let metrics = Client::http(service.admin()).get("/metrics").send().await;
    assert!(service.terminate().await.success());

    let log = service.stderr();
    for said in [
        "starting with [redacted]",
        "cannot sign in with [redacted]",
        "in a task: [",
        "GET [redacted]",
    ] {
        assert!(log.contains(said), "{said} is not in the log:\n{log}");
    }
    for (place, bytes) in [
        ("the log", log.as_bytes()),
        ("standard output", service.stdout().as_bytes()),
        ("the answers", &answers),
        ("the metrics", metrics.body()),
    ] {
        assert_eq!(
            markers.found_in(bytes),
            [""; 0],
            "{place}:\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[tokio::test]
async fn a_start_that_fails_with_a_secret_in_its_words_does_not_say_it() {
    let key = format!("{}x", KeyMaterial::generate().expose());

    let refused = careless(&key).run().await;

    let said = &refused.assert_code(1).stderr;
    assert!(said.contains("the key [redacted] has not 43 characters"), "{said}");
    assert_eq!(marked(&key).found_in(said.as_bytes()), [""; 0], "{said}");
}

fn marked(key: &str) -> Markers {
    let mut markers = Markers::default();
    markers.add("the key", key);
    markers
}

fn careless(key: &str) -> Program {
    Service::builder(&built_example("careless"))
        .env("CARELESS__SERVER__LISTEN", "127.0.0.1:0")
        .env("CARELESS__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("CARELESS__LOG__LEVEL", "trace")
        .env("API_KEY", key)
}
