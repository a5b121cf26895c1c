//! TLS as clients and certificate renewals meet it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use palisade::clock::{Clock, SystemClock};
use palisade::http::self_signed;
use palisade_testing::{Client, raw};
use tempfile::TempDir;

use crate::lockdown::strictest;
use crate::support::{Setup, TestService};

#[tokio::test]
async fn a_replaced_certificate_is_served_without_a_signal_and_open_connections_go_on() {
    let (served, renewed) = (certificate(), certificate());
    let first = root(&served);
    let setup = with_certificate(&served).setting("sandbox.mode", strictest().await);
    let app = setup.start().await;
    let client = Client::https(app.service.public(), first.as_bytes()).unwrap();
    let mut open = client.connect().await.unwrap();
    client.get("/openapi.json").send_on(&mut open).await.unwrap().assert_status(200);

    replace(&served, &renewed, ["certificate.pem", "key.pem"]);
    let read = app.service.wait_for_line(|line| line.contains("the certificate was read again"));

    assert!(read.await.contains("\"not_after\":\""), "the log says until when it is good");
    assert!(trusts(&app, &root(&renewed)).await && !trusts(&app, &first).await);
    client.get("/openapi.json").send_on(&mut open).await.unwrap().assert_status(200);
}

#[tokio::test]
async fn a_renewal_that_is_half_done_keeps_the_old_certificate_until_it_is_whole() {
    let (served, renewed) = (certificate(), certificate());
    let first = root(&served);
    let app = with_certificate(&served).start().await;

    replace(&served, &renewed, ["certificate.pem"]);
    let kept = app.service.wait_for_line(|line| line.contains("the certificate stays as it was"));
    assert!(kept.await.contains("is not the key of the certificate"));
    assert!(trusts(&app, &first).await && !trusts(&app, &root(&renewed)).await);
    let told = detail(&app).await.unwrap();
    assert!(told.contains("certificate stays") && told.contains("key.pem"), "{told}");

    replace(&served, &renewed, ["key.pem"]);
    app.service.wait_for_line(|line| line.contains("the certificate was read again")).await;
    assert!(trusts(&app, &root(&renewed)).await && !trusts(&app, &first).await);
    assert_eq!(detail(&app).await, None, "it is over");
    assert_eq!(app.service.stderr().matches("stays as it was").count(), 1, "told once");
}

#[tokio::test]
async fn a_pipe_in_place_of_a_key_is_refused_and_not_waited_for() {
    let (served, renewed) = (certificate(), certificate());
    let app = with_certificate(&served).start().await;
    let key = served.path().join("key.pem");

    std::fs::remove_file(&key).unwrap();
    let made = tokio::process::Command::new("mkfifo").arg(&key).status().await.unwrap();
    assert!(made.success());
    app.service.wait_for_line(|line| line.contains("not a regular file")).await;

    std::fs::remove_file(&key).unwrap();
    replace(&served, &renewed, ["certificate.pem", "key.pem"]);
    app.service.wait_for_line(|line| line.contains("the certificate was read again")).await;
    assert!(trusts(&app, &root(&renewed)).await);
}

#[tokio::test]
async fn a_certificate_that_should_have_been_renewed_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let almost_a_year_ago = SystemClock.now().before(Duration::from_secs(360 * 86_400));
    self_signed(folder.path(), almost_a_year_ago).unwrap();

    let app = with_certificate(&folder).start().await;

    app.service.wait_for_line(|line| line.contains("the certificate ends soon")).await;
}

#[tokio::test]
async fn versions_of_tls_that_are_too_old_are_refused_by_name() {
    let served = certificate();
    // Short, because a hello that is accepted is not followed by anything.
    let setup = || with_certificate(&served).setting("limits.header_timeout", "300ms");
    let default = setup().start().await;
    let modern = setup().setting("tls.min_version", "1.3").start().await;

    assert_eq!(hello(&default, TLS_1_0).await, PROTOCOL_VERSION);
    assert_eq!(hello(&default, TLS_1_1).await, PROTOCOL_VERSION);
    assert_eq!(hello(&default, TLS_1_2).await.first(), Some(&SERVER_HELLO));
    assert_eq!(hello(&modern, TLS_1_2).await, PROTOCOL_VERSION);
    assert!(trusts(&modern, &root(&served)).await, "TLS 1.3 is spoken");
}

#[tokio::test]
async fn sighup_ends_no_service_that_has_no_certificate() {
    let app = TestService::start().await;

    app.service.hang_up();

    app.admin().get("/ready").send().await.assert_status(200);
}

#[tokio::test]
async fn sighup_reads_the_certificate_at_once_also_when_the_settings_are_wrong() {
    let (served, renewed) = (certificate(), certificate());
    let app = with_certificate(&served).file("").start().await;
    replace(&served, &renewed, ["certificate.pem", "key.pem"]);
    fs::write(app.folder.path().join("orderdesk.toml"), "[limit]\n").unwrap();

    app.service.hang_up();

    app.service.wait_for_line(|line| line.contains("the settings stay as they were")).await;
    app.service.wait_for_line(|line| line.contains("the certificate was read again")).await;
    assert!(trusts(&app, &root(&renewed)).await);
}

/// Returns what `/ready` says beside its status.
async fn detail(app: &TestService) -> Option<String> {
    let ready = app.admin().get("/ready").send().await.assert_status(200).json();
    ready.get("detail").map(|detail| detail.as_str().unwrap().to_owned())
}

/// Makes a certificate and its key in a folder of their own.
fn certificate() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    self_signed(folder.path(), SystemClock.now()).unwrap();
    folder
}

fn with_certificate(folder: &TempDir) -> Setup {
    Setup::default()
        .setting("tls.mode", "files")
        .setting("tls.certificate", path(folder, "certificate.pem").to_str().unwrap())
        .setting("tls.key", path(folder, "key.pem").to_str().unwrap())
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// Writes files of one folder over those of another, in place as `cp` does.
fn replace<const N: usize>(served: &TempDir, renewed: &TempDir, names: [&str; N]) {
    for name in names {
        fs::copy(path(renewed, name), path(served, name)).unwrap();
    }
}

fn root(folder: &TempDir) -> String {
    fs::read_to_string(path(folder, "certificate.pem")).unwrap()
}

/// Tells whether the service shows a certificate that `root` vouches for.
async fn trusts(app: &TestService, root: &str) -> bool {
    let client = Client::https(app.service.public(), root.as_bytes()).unwrap();
    client.get("/openapi.json").try_send().await.is_ok()
}

const TLS_1_0: [u8; 2] = [3, 1];
const TLS_1_1: [u8; 2] = [3, 2];
const TLS_1_2: [u8; 2] = [3, 3];
/// The type of a record that goes on with the handshake.
const SERVER_HELLO: u8 = 22;
/// The record of a fatal alert `protocol_version` (RFC 8446, section 6.2).
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

/// Offers `version` as the newest, with suites and groups that it knows; returns the answer.
async fn hello(app: &TestService, version: [u8; 2]) -> Vec<u8> {
    const SUITES: [u8; 8] = [0xc0, 0x2b, 0xc0, 0x2c, 0xc0, 0x09, 0x00, 0x2f];
    const GROUPS: [u8; 8] = [0, 10, 0, 4, 0, 2, 0, 0x17];
    const SIGNATURES: [u8; 10] = [0, 13, 0, 6, 0, 4, 0x04, 0x03, 0x02, 0x03];
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(prefixed(&SUITES));
    body.extend([1, 0]);
    body.extend(prefixed(&[&GROUPS[..], &SIGNATURES].concat()));
    let message = [&[1, 0][..], &prefixed(&body)].concat();
    let record = [&[22, 3, 1][..], &prefixed(&message)].concat();
    raw(app.service.public(), record).await
}

/// Returns `bytes` behind their length in two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}
