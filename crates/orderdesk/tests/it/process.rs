//! What the process takes from itself, and what signals do to it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::support::{Folder, Setup, TestService};

#[tokio::test]
async fn a_crash_leaves_no_core_file_and_nothing_gains_privileges() {
    let app = TestService::start().await;

    let limits = of_process(&app, "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let status = of_process(&app, "status");

    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_on_sighup_and_a_broken_one_is_not() {
    let other = Setup::default().dev().start().await;
    let app = Setup::default().dev().start().await;
    let data = app.folder.path().join("orderdesk-data");
    let first = fs::read_to_string(data.join("certificate.pem")).unwrap();

    fs::write(data.join("certificate.pem"), "no certificate").unwrap();
    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the certificate stays as it was")).await;
    assert!(trusts(&app, &first).await, "the one that works is kept");

    let renewed = other.folder.path().join("orderdesk-data");
    for file in ["certificate.pem", "key.pem"] {
        fs::copy(renewed.join(file), data.join(file)).unwrap();
    }
    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the certificate was read again")).await;

    let second = fs::read_to_string(data.join("certificate.pem")).unwrap();
    assert!(trusts(&app, &second).await && !trusts(&app, &first).await);
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_the_service_nor_its_end() {
    let folder = Setup::default().folder();
    let mut child = started(&folder, "exec \"$0\" serve");
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let public = loop {
        let line = stderr.next_line().await.unwrap().unwrap();
        if line.contains("listening") {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            break line["public"].as_str().unwrap().parse().unwrap();
        }
    };

    let client = palisade_testing::Client::http(public);
    let mut connection = client.connect().await.unwrap();
    for _ in 0..1_500 {
        client.get("/nothing").send_on(&mut connection).await.unwrap().assert_status(404);
    }
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();

    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}

#[tokio::test]
async fn no_more_connections_are_held_than_there_are_descriptors_for() {
    let folder = Setup::default().folder();
    let mut child = started(&folder, "ulimit -n 160; exec \"$0\" serve");
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();

    let warning = loop {
        let line = stderr.next_line().await.unwrap().unwrap();
        if line.contains("ulimit -n") {
            break line;
        }
    };

    assert!(warning.contains("\"wanted\":4096") && warning.contains("\"most\":96"), "{warning}");
}

/// Starts the service by a line of shell, with its log in a pipe that the test reads or not.
fn started(folder: &Folder, line: &str) -> Child {
    tokio::process::Command::new("/bin/sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_orderdesk")])
        .env_clear()
        .envs(folder.environment())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Tells whether the service shows a certificate that `root` vouches for.
async fn trusts(app: &TestService, root: &str) -> bool {
    let client = palisade_testing::Client::https(app.service.public(), root.as_bytes()).unwrap();
    client.get("/openapi.json").try_send().await.is_ok()
}

fn of_process(app: &TestService, file: &str) -> String {
    fs::read_to_string(Path::new("/proc").join(app.service.pid().to_string()).join(file)).unwrap()
}
