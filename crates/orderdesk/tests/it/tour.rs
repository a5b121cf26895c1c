//! The README's tour, run to the letter: a newcomer must see what it promises.
//!
//! Within the section `## A tour`, every `sh` block is run in order, all in one bash. A `json` or
//! `text` block after one is what it prints; a block with none prints nothing. `…` stands for
//! anything, and of JSON the layout does not count.
//!
//! Only the addresses are replaced, because a test takes free ports, and the lockdown is demanded.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::ffi::OsString;
use std::path::Path;

use palisade_testing::{Finished, Program, Service};
use serde_json::Value;

use crate::lockdown::strictest;

#[tokio::test]
async fn the_tour_of_the_readme_works_as_printed() {
    let steps = steps(section(README, "## A tour"));
    assert!(steps.len() >= 10, "the tour has {} steps: is the README read as meant?", steps.len());
    let service = serve().await;

    let printed = follow(&steps, &service).await;

    for (step, printed) in steps.iter().zip(&printed) {
        if let Err(difference) = step.expects.check(printed) {
            panic!("the README says otherwise\n\n{}\n{difference}\n{printed}", step.commands);
        }
    }
    assert_eq!(printed.len(), steps.len());
}

#[test]
fn the_placeholder_stands_for_anything_and_nothing_else_does() {
    let of = |language: &str, text: &str| Expected::of(language, text.to_owned());

    assert_eq!(of("text", "a…c\n").check("abbbc\n"), Ok(()));
    assert_eq!(of("text", "…").check(""), Ok(()));
    assert!(of("text", "a…c").check("abcd").is_err());
    assert!(of("text", "ab…ba").check("aba").is_err());
    assert_eq!(of("json", r#"{"a": ["…", 1]}"#).check(r#"{"a":["x",1]}"#), Ok(()));
    for other in [r#"{"a":["x",2]}"#, r#"{"a":["x"]}"#, r#"{"a":[7,1]}"#, r#"{"a":["x",1],"b":0}"#]
    {
        assert!(of("json", r#"{"a": ["…", 1]}"#).check(other).is_err(), "{other}");
    }
    assert_eq!(Expected::Nothing.check("\n"), Ok(()));
    assert!(Expected::Nothing.check("x").is_err());
}

const README: &str = include_str!("../../../../README.md");
const PROGRAM: &str = "$ cargo run --release -p orderdesk -- ";
/// What a step's output ends with; no answer of the service holds it.
const END: &str = "-- end of a step of the tour --";
/// How bash ends when there is no such command.
const NOT_FOUND: i32 = 127;
const NEEDS_CURL: &str = "The tour is made of curl commands: install curl to test it.";

/// Some commands of the tour and what they print.
struct Step {
    commands: String,
    expects: Expected,
}

enum Expected {
    Nothing,
    Text(String),
    Json(String),
}

/// Starts the service by the README's first command, on free ports.
async fn serve() -> Service {
    let command = README.lines().find_map(|line| line.strip_prefix(PROGRAM));
    let arguments = command.expect("the README starts the service").split_whitespace();
    Service::builder(Path::new(env!("CARGO_BIN_EXE_orderdesk")))
        .args(arguments)
        .env("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0")
        .env("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("ORDERDESK__SANDBOX__MODE", strictest().await)
        .start()
        .await
}

/// Runs all steps in one bash and returns what each printed.
async fn follow(steps: &[Step], service: &Service) -> Vec<String> {
    let commands: String =
        steps.iter().map(|step| format!("{}\nprintf '%s\\n' '{END}'\n", step.commands)).collect();
    let commands = commands
        .replace("localhost:8443", &format!("localhost:{}", service.public().port()))
        .replace("127.0.0.1:9443", &service.admin().to_string());

    let done = bash(&format!("set -euo pipefail\n{commands}"), service.folder()).run().await;

    let mut printed: Vec<_> = done.stdout.split(&format!("{END}\n")).map(str::to_owned).collect();
    let rest = printed.pop().unwrap_or_default();
    if !done.status.success() || !rest.is_empty() {
        let Finished { status, stderr, .. } = &done;
        let hint = if status.code() == Some(NOT_FOUND) { NEEDS_CURL } else { "" };
        let stopped = steps.get(printed.len()).map_or("", |step| step.commands.as_str());
        panic!("the tour stopped ({status}) in\n\n{stopped}\n{rest}\n{stderr}{hint}");
    }
    printed
}

/// A bash that sees the programs of this machine and none of its settings for curl.
fn bash(script: &str, folder: &Path) -> Program {
    Service::builder(Path::new("bash"))
        .args(["-c", script])
        .env("PATH", search_path())
        .env("HOME", folder)
        .dir(folder)
}

#[expect(clippy::disallowed_methods, reason = "where bash and curl are is no setting of a service")]
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Returns what stands between `heading` and the next one of its level.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, after) = document.split_once(&format!("\n{heading}\n")).expect("there is a tour");
    after.split("\n## ").next().unwrap_or(after)
}

/// Returns the fenced blocks of `section` as steps.
fn steps(section: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut blocks = section.split("\n```");
    blocks.next();
    // Blocks and what stands between them take turns.
    while let (Some(block), Some(_)) = (blocks.next(), blocks.next()) {
        let (language, text) = block.split_once('\n').expect("a block has lines");
        let text = format!("{text}\n");
        match (language, steps.last_mut()) {
            ("sh", _) => steps.push(Step { commands: text, expects: Expected::Nothing }),
            (language, Some(step)) => step.expects = Expected::of(language, text),
            (language, None) => panic!("a block of {language} comes before any commands"),
        }
    }
    steps
}

impl Expected {
    fn of(language: &str, text: String) -> Self {
        match language {
            "text" => Self::Text(text),
            "json" => Self::Json(text),
            other => panic!("the tour knows blocks of sh, json and text, not {other:?}"),
        }
    }

    /// Compares with what was printed, and says where it differs.
    fn check(&self, printed: &str) -> Result<(), String> {
        match self {
            Self::Nothing if printed.trim().is_empty() => Ok(()),
            Self::Nothing => Err("prints what the README does not show:".to_owned()),
            Self::Text(text) if matches(text.trim(), printed.trim()) => Ok(()),
            Self::Text(text) => Err(format!("should print\n{text}and prints")),
            Self::Json(text) => {
                let shown: Value = serde_json::from_str(text).expect("the README shows JSON");
                let found = serde_json::from_str(printed)
                    .map_err(|error| format!("prints no JSON ({error}):"))?;
                compare(&shown, &found, "")
            }
        }
    }
}

/// Compares member by member; `at` is the JSON pointer of the value.
fn compare(shown: &Value, found: &Value, at: &str) -> Result<(), String> {
    match (shown, found) {
        (Value::String(pattern), Value::String(text)) if matches(pattern, text) => Ok(()),
        (Value::Array(shown), Value::Array(found)) if shown.len() == found.len() => {
            let mut pairs = (0..).zip(shown.iter().zip(found));
            pairs.try_for_each(|(index, (shown, found))| {
                compare(shown, found, &format!("{at}/{index}"))
            })
        }
        (Value::Object(shown), Value::Object(found)) if shown.keys().eq(found.keys()) => {
            let mut pairs = shown.iter().zip(found.values());
            pairs.try_for_each(|((name, shown), found)| {
                compare(shown, found, &format!("{at}/{name}"))
            })
        }
        _ if shown == found => Ok(()),
        _ => Err(format!("shows {shown} at {at:?}, which is {found} in")),
    }
}

/// Tells whether `text` is `pattern`, in which `…` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}
