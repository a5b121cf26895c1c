//! What `docs/operate/settings.md` shows, run as it stands there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use palisade_testing::Program;

use crate::support::{API_KEY, SECRET_KEY, orderdesk};

#[tokio::test]
async fn a_mixed_configuration_shows_the_right_origin_of_each_value_and_no_secret() {
    let manual = section("What is in force");
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("orderdesk.toml"), &manual.block("toml"));
    let at = |path: &str| format!("{}/{path}", folder.path().display());
    let here = |text: String| text.replace("/etc/", &at("")).replace("/run/credentials/", &at(""));
    fs::create_dir(at("orderdesk")).unwrap();
    fs::create_dir(at("orderdesk.service")).unwrap();
    write(at("orderdesk/api_key").as_ref(), API_KEY);
    write(at("orderdesk.service/SECRET_KEY").as_ref(), SECRET_KEY);

    let mut show = show().dir(folder.path());
    for variable in here(manual.block("sh")).lines() {
        let (name, value) = variable.split_once('=').unwrap();
        show = show.env(name, value);
    }
    let shown = show.run().await;

    let lines: Vec<&str> = shown.assert_code(0).stdout.lines().collect();
    let expected = here(manual.block("text"));
    assert!(expected.lines().count() >= 10);
    for line in expected.lines() {
        assert!(lines.contains(&line), "{line}\n{}", shown.stdout);
    }
    for secret in [API_KEY, SECRET_KEY, "sqlite:"] {
        assert!(!shown.stdout.contains(secret), "{}", shown.stdout);
    }
    assert_eq!(shown.stderr, "");
}

#[tokio::test]
async fn five_mistakes_in_one_file_are_five_messages_in_one_run() {
    let manual = section("What is wrong");
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("orderdesk.toml"), &manual.block("toml"));

    let show = show().dir(folder.path()).env("DATABASE_URL", "sqlite:///nowhere/orderdesk.db");
    let refused = show.env("API_KEY", API_KEY).env("SECRET_KEY", SECRET_KEY).run().await;

    assert_eq!(refused.assert_code(1).stderr, manual.block("text"));
    assert_eq!(refused.stderr.lines().count(), 1 + 5);
}

fn show() -> Program {
    orderdesk().args(["config", "show", "--config", "orderdesk.toml"])
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A section of the manual.
struct Section(String);

fn section(heading: &str) -> Section {
    let manual = include_str!("../../../../docs/operate/settings.md");
    let (_, behind) = manual.split_once(&format!("\n## {heading}\n")).unwrap();
    Section(behind.split("\n## ").next().unwrap().to_owned())
}

impl Section {
    /// Returns the first block of code in `language`.
    fn block(&self, language: &str) -> String {
        let (_, behind) = self.0.split_once(&format!("\n```{language}\n")).unwrap();
        let (block, _) = behind.split_once("```").unwrap();
        block.to_owned()
    }
}
