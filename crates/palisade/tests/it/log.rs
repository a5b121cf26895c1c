//! The log of a whole process, read from outside of it.
//!
//! Each test runs one of the ignored ones as a process of its own, because a process has one log.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use palisade::config::{Environment, KeyMaterial, Secrets};
use palisade::crypto::{Token, TokenKind};
use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Purpose, Tx};
use palisade::http::{Anyone, Api, Json, Problem, RequestBody, Route, State};
use palisade::secret::Secret;
use palisade::telemetry::{self, LogFormat, LogLevel, LogSection, RequestScope};
use serde_json::Value;

use crate::support;

const API_KEY: &str = "pL2f9Qx7Tz0wVb4RkNq8Yd3HsJm6CgEa1UoXiZ5_W-A";
const PASSWORD: &str = "hunter2/\"hunter2\" x";
const URL: &str = "postgres://desk:hunter2%2F%22hunter2%22%20x@db.internal/orders";
const IN_URL: &str = "hunter2%2F%22hunter2%22%20x";
const KIND: TokenKind = TokenKind::new("shop_");

#[test]
fn a_dependency_that_logs_a_secret_at_warn_has_it_replaced_in_every_form() {
    let said = said_by("log::a_dependency_that_logs_secrets");

    for line in said.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let key = KeyMaterial::parse(&Secret::new(API_KEY.to_owned())).unwrap();
    for (name, form) in forms(API_KEY.as_bytes())
        .into_iter()
        .chain(forms(PASSWORD.as_bytes()))
        .chain(forms(key.expose()))
        .chain([("url", URL.to_owned()), ("as it stands in the url", IN_URL.to_owned())])
    {
        assert!(!said.contains(&form), "{name} {form} is in\n{said}");
    }
    assert!(!said.contains("shop_"), "{said}");
    assert_eq!(said.matches("a dependency says").count(), 25, "{said}");
    assert!(said.matches("[redacted]").count() >= 25, "{said}");
}

#[test]
#[ignore = "the test above runs it as a process of its own"]
fn a_dependency_that_logs_secrets() {
    let mut log = telemetry::start("it", &LogSection::default());
    let environment = Environment::from_pairs([("API_KEY", API_KEY), ("DATABASE_URL", URL)]);
    let secrets = Secrets::of(&environment);
    secrets.require("API_KEY").unwrap();
    secrets.require("DATABASE_URL").unwrap();
    KIND.keep_out_of_the_log();
    let key = KeyMaterial::parse(&Secret::new(API_KEY.to_owned())).unwrap();

    let forms = [forms(API_KEY.as_bytes()), forms(PASSWORD.as_bytes()), forms(key.expose())];
    for (_, form) in forms.concat().iter().filter(|(name, _)| *name != "inside of base64") {
        tracing::warn!(target: "hyper::client", "a dependency says {form}");
    }
    for secret in [API_KEY.as_bytes(), PASSWORD.as_bytes(), key.expose()] {
        tracing::warn!(target: "hyper::client", "a dependency says {}", basic(secret));
    }
    // Half of them before there is anybody to write them, and half after.
    log.begin().unwrap();
    for text in [API_KEY, PASSWORD, URL, Token::generate(KIND).expose()] {
        tracing::warn!(target: "hyper::client", error = %text, text, "a dependency says");
    }
    let url = Secret::new(URL.to_owned());
    tracing::warn!(target: "hyper::client", error = ?url.expose(), "a dependency says");
    std::thread::spawn(|| panic!("a dependency says {PASSWORD}")).join().unwrap_err();
}

/// What `Authorization: Basic` and the like make of a secret.
fn basic(secret: &[u8]) -> String {
    data_encoding::BASE64.encode(&[b"ada:", secret, b"\n"].concat())
}

/// The forms of `bytes` that are looked for, made here by others than the registry.
fn forms(bytes: &[u8]) -> Vec<(&'static str, String)> {
    use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
    let basic = basic(bytes);
    let mut forms = vec![
        ("hex", HEXLOWER.encode(bytes)),
        ("HEX", HEXUPPER.encode(bytes)),
        ("base64", BASE64.encode(bytes).trim_end_matches('=').to_owned()),
        // Without what its neighbours share.
        ("inside of base64", basic.get(6..(4 + bytes.len()) * 8 / 6).unwrap().to_owned()),
        ("numbers", format!("{bytes:?}").trim_matches(['[', ']']).to_owned()),
    ];
    if let Ok(text) = std::str::from_utf8(bytes) {
        forms.push(("plain", text.to_owned()));
        forms.push(("debug", format!("{text:?}").trim_matches('"').to_owned()));
    }
    forms
}

#[test]
fn every_line_that_a_request_causes_carries_its_id_and_no_other_line_does() {
    let said = said_by("log::a_service_that_logs_everywhere");

    let lines: Vec<Value> = objects(&said);
    let access: Vec<&Value> =
        lines.iter().filter(|line| line["target"] == "palisade::access").collect();
    assert_eq!(access.len(), 6, "{said}");
    for answered in access {
        let of_it = lines.iter().filter(|line| line["request_id"] == answered["request_id"]);
        let mut of_it: Vec<&str> = of_it.map(|line| line["message"].as_str().unwrap()).collect();
        of_it.sort_unstable();
        let expected: &[&str] = match answered["route"].as_str().unwrap() {
            "/works" => &[
                "after a wait",
                "dropped",
                "in a look-up",
                "in a task",
                "in a write",
                "in the handler",
                "request",
            ],
            "/panics" => &["dropped", "handler panicked", "request"],
            "/fails" => &["request", "request failed"],
            "/never" => &["dropped", "request"],
            route => panic!("{route}"),
        };
        assert_eq!(of_it, expected, "{said}");
    }
    let alone: Vec<&Value> = lines.iter().filter(|line| line["request_id"].is_null()).collect();
    assert!(alone.iter().any(|line| line["message"] == "of no request"), "{said}");
    assert!(!alone.iter().any(|line| line["message"] == "in a task"), "{said}");
}

/// Says when it is dropped.
struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        tracing::info!("dropped");
    }
}

async fn works(State(db): State<Db>) -> Result<Json<bool>, Problem> {
    let _noisy = Noisy;
    tracing::info!("in the handler");
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    tracing::info!("after a wait");
    let write = async |_: &mut Tx<'_>| -> Result<(), DbError> {
        tracing::info!("in a write");
        Ok(())
    };
    db.write(write).await?;
    let look_up = async |_: &mut Tx<'_>| -> Result<(), DbError> {
        tracing::info!("in a look-up");
        Ok(())
    };
    db.look_up(look_up).await?;
    let request = RequestScope::current();
    let task = tokio::spawn(async move { request.run(|| tracing::info!("in a task")) });
    task.await.map_err(Problem::internal)?;
    Ok(Json(true))
}

async fn panics() -> Result<Json<bool>, Problem> {
    let _noisy = Noisy;
    panic!("at work")
}

async fn fails() -> Result<Json<bool>, Problem> {
    Err(Problem::internal(std::io::Error::other("it does not work")))
}

async fn never() -> Result<Json<bool>, Problem> {
    let _noisy = Noisy;
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the test above runs it as a process of its own"]
async fn a_service_that_logs_everywhere() {
    let mut log = telemetry::start("it", &LogSection::default());
    log.begin().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/log.db", folder.path().display());
    let db = Db::open(&DatabaseUrl::parse(&url).unwrap(), DbSettings::new(Purpose::Serve)).await;
    let api = Api::new()
        .route(Route::get("/works", "works").policy(Anyone).handle(works))
        .route(Route::get("/panics", "panics").policy(Anyone).handle(panics))
        .route(Route::get("/fails", "fails").policy(Anyone).handle(fails))
        .route(Route::get("/never", "never").policy(Anyone).handle(never));
    let app = support::app(api, &db.unwrap());
    let ask = async |path: &'static str| {
        let request = http::Request::get(path).header("host", "x");
        let request = request.body(RequestBody::whole("")).unwrap();
        app.respond(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await.status().as_u16()
    };

    let asked = (ask("/works"), ask("/works"), ask("/works"), ask("/panics"), ask("/fails"));
    let (first, second, third, panicked, failed) =
        tokio::join!(asked.0, asked.1, asked.2, asked.3, asked.4);
    tracing::info!("of no request");
    let given_up = tokio::time::timeout(Duration::from_millis(20), ask("/never")).await;

    assert_eq!([first, second, third, panicked, failed], [200, 200, 200, 500, 500]);
    assert!(given_up.is_err());
}

#[test]
fn level_and_format_change_while_the_log_runs() {
    let said = said_by("log::a_service_that_changes_its_log");

    let shown: Vec<&str> = said.lines().filter(|line| line.contains("number")).collect();
    assert_eq!(shown.len(), 3, "{said}");
    assert!(shown[0].contains(r#""level":"DEBUG""#) && shown[0].contains("number 2"), "{said}");
    assert!(shown[1].ends_with("Z DEBUG it::log: number 3 error=\"two words\" n=3"), "{said}");
    assert!(shown[2].contains("ERROR it::log: number 6"), "{said}");
}

#[test]
#[ignore = "the test above runs it as a process of its own"]
fn a_service_that_changes_its_log() {
    let mut log = telemetry::start("it", &LogSection::default());
    log.begin().unwrap();
    let say = |number: u8| tracing::debug!(error = "two words", n = number, "number {number}");
    let change = |level, format| telemetry::apply(&LogSection { level, format });

    say(1);
    change(LogLevel::Debug, LogFormat::Json);
    say(2);
    change(LogLevel::Trace, LogFormat::Text);
    say(3);
    change(LogLevel::Error, LogFormat::Text);
    say(4);
    tracing::warn!("number 5");
    tracing::error!("number 6");
}

/// Runs an ignored test as a process of its own and returns what it wrote to standard error.
#[expect(clippy::disallowed_types, reason = "a log can only be read from outside of its process")]
fn said_by(test: &str) -> String {
    let itself = std::env::current_exe().unwrap();
    let ended = std::process::Command::new(itself)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stdout));
    said
}

fn objects(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
