//! Asks a service to read settings again that hold secrets where none belongs.

use std::cell::Cell;
use std::fs;

use serde_json::Value;

use crate::leaks_drive::Driven;
use crate::support::TestService;

/// What the service says when it has read its settings, and when it has refused them.
const READ: [&str; 2] = ["the settings were read again", "the settings stay as they were"];

/// Reloads settings that are wrong by holding a secret, and right ones at the end, and returns what
/// `/ready` says in between.
pub(crate) async fn reload_with_secrets(app: &TestService, driven: &Driven) -> Vec<u8> {
    let mut said = Vec::new();
    let mut secrets = vec![app.folder.secret("API_KEY"), app.folder.secret("SECRET_KEY")];
    // A short word that nobody knows to be one is repeated: whoever wrote it has to find it.
    secrets.extend(["session token", "key of tomorrow"].map(|name| driven.secret(name).to_owned()));
    for secret in &secrets {
        let quoted = Value::from(secret.clone());
        for file in [
            format!("[rate]\nper_ip = {quoted}\n"),
            // A message repeats no more than the first characters of what is long.
            format!("[rate]\nlogin = \"{} {secret}\"\n", "x".repeat(50)),
            format!("[log]\nlevel = {quoted}\nformat = [{quoted}]\n"),
            format!("[server]\nlisten = {quoted}\ntrusted_proxies = [{quoted}]\n"),
            format!("[server]\npublic_url = \"https://desk:{secret}@shop.example\"\n"),
            // Nor of a name.
            format!("[rate]\n\"{}{secret}\" = \"1/s\"\n", "x".repeat(45)),
            format!("[\"{}\"]\n", data_encoding::HEXLOWER.encode(secret.as_bytes())),
            format!("[database]\nurl = {quoted}\n"),
            format!("API_KEY = {quoted}\n[rate]\nper_ip = \"off\"\nper_ip = {quoted}\n"),
            format!("{secret}\n"),
            format!("[rate]\nlogin = \"{secret}\n"),
        ] {
            reload(app, &file).await;
            said.extend_from_slice(app.admin().get("/ready").send().await.body());
        }
    }
    let foreign = driven.secret("foreign credential");
    reload(app, &format!("[rate]\nper_ip = \"https://desk:{foreign}@shop.example\"\n")).await;
    said.extend_from_slice(app.admin().get("/ready").send().await.body());
    // Nor is what the service knows to be secret told as the new value of a setting.
    for name in ["API_KEY", "SECRET_KEY"] {
        let secret = app.folder.secret(name);
        reload(app, &format!("[tls]\ncertificate = \"{secret}\"\n[shutdown]\ndrain = \"7s\"\n"))
            .await;
        reload(app, &format!("[rate]\n{secret} = 1\n[{secret}]\n{secret} = 1\n")).await;
        said.extend_from_slice(app.admin().get("/ready").send().await.body());
    }
    // What is right is told with its values.
    reload(app, "[limits]\nbody_bytes = \"63KiB\"\n[shutdown]\ndrain = \"7s\"\n").await;
    reload(app, "").await;
    said
}

/// Has the service read `file` as its settings, and waits until it has said what became of them.
async fn reload(app: &TestService, file: &str) {
    fs::write(app.folder.path().join("orderdesk.toml"), file).unwrap();
    let is_told = |line: &str| READ.iter().any(|words| line.contains(words));
    let before = app.service.stderr().lines().filter(|line| is_told(line)).count();
    let seen = Cell::new(0);
    app.service.hang_up();
    let is_next = |line: &str| {
        seen.set(seen.get() + usize::from(is_told(line)));
        seen.get() > before
    };
    app.service.wait_for_line(is_next).await;
}
