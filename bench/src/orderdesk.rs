//! The program that is measured: built for release, started on a fresh folder.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use palisade_testing::{Program, Service};
use serde_json::Value;

/// Builds the service for release and returns where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    build_program("orderdesk", &["-p", "orderdesk"])
}

/// Builds the release program `name` with more arguments for cargo, and returns where it is, as
/// cargo tells it.
///
/// # Errors
/// When it does not build.
#[expect(
    clippy::disallowed_types,
    reason = "a bench builds what it measures; no service does this"
)]
pub(crate) fn build_program(name: &str, arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let built = std::process::Command::new(toolchain_program("CARGO", "cargo"))
        .args(["build", "--release", "--locked"])
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    ensure!(built.status.success(), "{name} does not build");

    let messages = String::from_utf8(built.stdout)?;
    let program = messages.lines().find_map(|message| executable(message, name));
    program.with_context(|| format!("cargo built no program {name}"))
}

/// Reads the path of the program from one of cargo's messages.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_ours = message.pointer("/target/name")? == name;
    let executable = message.get("executable")?.as_str()?;
    is_ours.then(|| PathBuf::from(executable))
}

/// Describes `serve` in `folder` as in production but for TLS, with SQLite and secrets given.
///
/// # Errors
/// When the program cannot make a secret, or the settings file cannot be written.
pub(crate) async fn serve(binary: &Path, folder: &Path) -> anyhow::Result<Program> {
    let settings = folder.join("orderdesk.toml");
    std::fs::write(&settings, SETTINGS)?;
    Ok(Service::builder(binary)
        .args([OsString::from("serve"), "--config".into(), settings.into_os_string()])
        .env("DATABASE_URL", format!("sqlite://{}/orderdesk.db", folder.display()))
        .env("API_KEY", secret(binary).await?)
        .env("SECRET_KEY", secret(binary).await?)
        .dir(folder))
}

/// Describes `serve --dev` in `folder`: everything made on the spot, TLS self-signed.
pub(crate) fn serve_dev(binary: &Path, folder: &Path) -> Program {
    Service::builder(binary)
        .args(["serve", "--dev"])
        .env("ORDERDESK__SERVER__LISTEN", "127.0.0.1:0")
        .env("ORDERDESK__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .dir(folder)
}

/// Has the program make a secret.
///
/// # Errors
/// When it does not.
pub(crate) async fn secret(binary: &Path) -> anyhow::Result<String> {
    let finished = Service::builder(binary).args(["secret", "new"]).try_run().await?;
    if !finished.status.success() {
        bail!("`orderdesk secret new` failed: {}", finished.stderr);
    }
    Ok(finished.stdout.trim().to_owned())
}

/// Returns the certificate that `serve --dev` has made somewhere below `folder`, as PEM.
pub(crate) fn self_signed_certificate(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            if bytes.starts_with(b"-----BEGIN CERTIFICATE-----") {
                return Ok(bytes);
            }
        }
    }
    bail!("`serve --dev` left no certificate")
}

/// Runs `future` on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future))
}

/// Returns the program that cargo told us of by `variable`, or `name` to be looked up.
#[expect(clippy::disallowed_methods, reason = "cargo tells its own place in the environment")]
pub(crate) fn toolchain_program(variable: &str, name: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| name.into())
}

/// Gives a toolchain program what it finds its parts by.
#[expect(clippy::disallowed_methods, reason = "the toolchain is found by PATH and HOME")]
pub(crate) fn with_home(program: Program) -> Program {
    ["PATH", "HOME", "RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN"].into_iter().fold(
        program,
        |program, name| match std::env::var_os(name) {
            Some(value) => program.env(name, value),
            None => program,
        },
    )
}

/// TLS may be off on loopback; everything else is the default.
const SETTINGS: &str = "\
[server]
listen = \"127.0.0.1:0\"
admin_listen = \"127.0.0.1:0\"

[tls]
mode = \"off\"
";
