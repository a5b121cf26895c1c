//! The example `minimal`: what a service of 30 lines has without saying so.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use palisade_testing::{Client, Program, Reply, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Headers on every answer, whatever it says.
const ON_EVERY_ANSWER: [&str; 6] = [
    "x-request-id",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "content-security-policy",
    "cache-control",
];

/// Longer than the drain that is the default.
const DRAINED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_route_of_somebody_elses_service_answers_json_behind_the_guard() {
    let service = minimal().start().await;
    let client = Client::http(service.public());

    let posted = client.post("/greetings").json(json!({"name": "Ada"})).send().await;
    let read = client.get("/time").send().await;

    assert_eq!(posted.assert_status(200).json(), json!({"hello": "Ada"}));
    assert!(read.assert_status(200).json().as_str().is_some_and(|time| time.ends_with('Z')));
    assert_guarded(&posted);
    assert_guarded(&read);
}

#[tokio::test]
async fn what_is_refused_is_a_problem_document_with_every_security_header() {
    let service = minimal().start().await;
    let client = Client::http(service.public());
    let post = async |body: Value| client.post("/greetings").json(body).send().await;
    let line = |length| "x".repeat(length);

    for (refused, status, code) in [
        (post(json!({"name": ""})).await, 400, "validation_failed"),
        (post(json!({"name": line(41)})).await, 400, "validation_failed"),
        (post(json!({"name": "a\nb"})).await, 400, "validation_failed"),
        (post(json!({"name": "Ada", "age": 36})).await, 400, "malformed_body"),
        (post(json!({"name": line(70_000)})).await, 413, "body_too_large"),
        (client.get("/nothing").send().await, 404, "not_found"),
        (client.delete("/greetings").send().await, 405, "method_not_allowed"),
    ] {
        assert_eq!(refused.assert_status(status).problem_code(), code);
        assert_guarded(&refused);
        let explained = client.get(&format!("/problems/{code}")).send().await;
        assert_eq!(explained.assert_status(200).json()["code"], code);
    }
    post(json!({"name": line(40)})).await.assert_status(200);
}

#[tokio::test]
async fn the_document_describes_the_routes_and_bears_the_programs_name() {
    let service = minimal().start().await;

    let document = Client::http(service.public()).get("/openapi.json").send().await;

    let document = document.assert_status(200).json();
    assert_eq!(document["info"]["title"], "minimal");
    assert_eq!(document["paths"]["/greetings"]["post"]["operationId"], "greet");
    assert_eq!(document["components"]["schemas"]["Greet"]["required"][0], "name");
}

#[tokio::test]
async fn health_and_metrics_are_on_the_admin_listener_and_only_there() {
    let service = minimal().start().await;
    let (public, admin) = (Client::http(service.public()), Client::http(service.admin()));
    public.post("/greetings").json(json!({"name": "Ada"})).send().await.assert_status(200);

    let metrics = admin.get("/metrics").send().await.assert_status(200).text();

    for expected in [
        "build_info{service=\"minimal\",version=\"1.0.0\"} 1",
        "route=\"/greetings\"",
        "process_open_fds",
    ] {
        assert!(metrics.contains(expected), "{expected}\n{metrics}");
    }
    assert!(!metrics.contains("Ada"), "{metrics}");
    admin.get("/ready").send().await.assert_status(200);
    admin.get("/live").send().await.assert_status(200);
    for path in ["/metrics", "/ready", "/live"] {
        public.get(path).send().await.assert_status(404);
    }
}

#[tokio::test]
async fn sigterm_ends_it_with_status_0_after_what_is_in_flight() {
    let mut service = minimal().start().await;
    let mut connection = TcpStream::connect(service.public()).await.unwrap();
    let head = "POST /greetings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 14\r\nExpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = BufReader::new(&mut connection).lines();
    assert_eq!(answer.next_line().await.unwrap().unwrap(), "HTTP/1.1 100 Continue");
    drop(answer);

    service.ask_to_end();
    service.wait_for_line(|line| line.contains("draining")).await;
    connection.write_all(br#"{"name":"Ada"}"#).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();

    assert!(
        answer.contains("HTTP/1.1 200 OK") && answer.ends_with(r#"{"hello":"Ada"}"#),
        "{answer}"
    );
    assert_eq!(service.ended(DRAINED).await.code(), Some(0));
    assert!(service.stderr().contains("\"drained\""), "{}", service.stderr());
}

#[tokio::test]
async fn a_file_and_then_the_environment_set_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("minimal.toml"), "[limits]\nbody_bytes = 15\n").unwrap();
    let with_file = || minimal().args(["--config", "minimal.toml"]).dir(folder.path());
    // 14 bytes and 16.
    let (ada, grace) = (json!({"name": "Ada"}), json!({"name": "Grace"}));
    let post = async |service: &Service, body: &Value| {
        Client::http(service.public()).post("/greetings").json(body.clone()).send().await
    };

    let by_file = with_file().start().await;
    let by_variable = with_file().env("MINIMAL__LIMITS__BODY_BYTES", "13").start().await;

    post(&by_file, &ada).await.assert_status(200);
    post(&by_file, &grace).await.assert_status(413);
    post(&by_variable, &ada).await.assert_status(413);
}

#[tokio::test]
async fn the_rate_of_an_address_is_a_setting() {
    let service = minimal().env("MINIMAL__RATE__PER_IP", "1/h burst 1").start().await;
    let client = Client::http(service.public());

    client.get("/time").send().await.assert_status(200);
    let refused = client.get("/time").send().await;

    assert_eq!(refused.assert_status(429).problem_code(), "rate_limited");
    assert_guarded(&refused);
}

#[tokio::test]
async fn a_setting_that_is_not_known_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("minimal.toml"), "[limits]\n\nbody_byte = 1\n").unwrap();

    let started = minimal().args(["--config", "minimal.toml"]).dir(folder.path());
    let refused = started.env("MINIMAL__LIMTS__BODY_BYTES", "1").run().await;

    let said = &refused.assert_code(1).stderr;
    let line = "minimal.toml:3: unknown key body_byte in [limits], did you mean `body_bytes`?";
    assert!(said.starts_with("minimal: this does not start"), "{said}");
    assert!(said.contains(line) && said.contains("MINIMAL__LIMTS__BODY_BYTES"), "{said}");
}

#[tokio::test]
async fn an_address_that_would_not_start_again_is_refused_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |address: &str, level: &str| {
        let text = format!("[server]\nlisten = \"{address}\"\n[log]\nlevel = \"{level}\"\n");
        fs::write(folder.path().join("minimal.toml"), text).unwrap();
    };
    write("127.0.0.1:0", "info");
    let started = program().env("MINIMAL__SERVER__ADMIN_LISTEN", "127.0.0.1:0");
    let started = started.args(["--config", "minimal.toml"]).dir(folder.path()).start().await;

    write("0.0.0.0:0", "debug");
    started.hang_up();

    let told = started.wait_for_line(|line| line.contains("a setting is wrong")).await;
    assert!(told.contains("PAL102") && told.contains("0.0.0.0:0"), "{told}");
    started.wait_for_line(|line| line.contains("the settings stay as they were")).await;
    assert!(!started.stderr().contains("a setting was changed"), "{}", started.stderr());
}

#[tokio::test]
async fn the_example_of_its_settings_starts_it() {
    let example = program().args(["config", "example"]).run().await.assert_code(0).stdout.clone();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("minimal.toml"), &example).unwrap();

    let show = program().args(["config", "show", "--config", "minimal.toml"]).dir(folder.path());
    let shown = show.run().await.assert_code(0).stdout.clone();
    minimal().args(["--config", "minimal.toml"]).dir(folder.path()).start().await;

    for section in ["server", "tls", "limits", "rate", "log", "sandbox", "shutdown"] {
        assert!(example.contains(&format!("\n[{section}]\n")), "{section}\n{example}");
        assert!(shown.contains(&format!("\n{section}.")) || shown.starts_with(section), "{shown}");
    }
}

#[tokio::test]
async fn tls_is_a_setting() {
    let service = minimal().env("MINIMAL__TLS__MODE", "self-signed").start().await;
    let pem = fs::read(service.folder().join("minimal-data/certificate.pem")).unwrap();
    let client = Client::https(service.public(), &pem).unwrap();

    for client in [client.clone(), client.http2()] {
        let posted = client.post("/greetings").json(json!({"name": "Ada"})).send().await;
        assert_guarded(posted.assert_status(200));
    }
    assert!(Client::http(service.public()).get("/time").try_send().await.is_err());
}

#[tokio::test]
async fn somebody_elses_service_does_not_leave_this_machine_in_the_clear() {
    for (mode, id, words) in
        [("off", "PAL102", "in the clear"), ("self-signed", "PAL103", "no client can trust")]
    {
        let refused = minimal()
            .env("MINIMAL__SERVER__LISTEN", "0.0.0.0:0")
            .env("MINIMAL__TLS__MODE", mode)
            .run()
            .await;

        let said = &refused.assert_code(1).stderr;
        assert!(said.starts_with("minimal: this does not start"), "{said}");
        assert!(said.contains(&format!("\n{id}: server.listen")) && said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn wrong_usage_is_told_with_the_right_one_and_status_2() {
    let refused = program().args(["--confg", "minimal.toml"]).run().await;
    let help = program().args(["--help"]).run().await;

    let said = &refused.assert_code(2).stderr;
    assert!(said.contains("unknown arguments: --confg") && said.contains("Usage: "), "{said}");
    assert!(help.assert_code(0).stdout.contains("Usage: minimal [COMMAND] [--config FILE]"));
}

#[track_caller]
fn assert_guarded(reply: &Reply) {
    for name in ON_EVERY_ANSWER {
        assert!(reply.header(name).is_some(), "{name} is missing\n{reply:?}");
    }
    assert_eq!(reply.header("server"), None);
}

/// Describes the program on free ports.
fn minimal() -> Program {
    program()
        .env("MINIMAL__SERVER__LISTEN", "127.0.0.1:0")
        .env("MINIMAL__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
}

fn program() -> Program {
    Service::builder(&built_example("minimal"))
}

/// Returns where cargo puts an example: beside the folder of this test. It has no variable for
/// that, as it has for binaries.
pub(crate) fn built_example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().with_file_name("examples").join(name);
    let exists = example.is_file();
    assert!(exists, "{} is not built: cargo build -p palisade --examples", example.display());
    example
}
