//! SIGHUP: what a running service takes from its settings, and what it says of the rest.

use std::cell::Cell;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{API_KEY, Setup, TestService};

#[tokio::test]
async fn rates_change_while_the_service_runs_also_off_and_on_again() {
    let app = started("[rate]\nlogin = \"off\"\n").await;
    let tries = async || {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(app.sign_in("nobody", "correct horse battery staple").await.status());
        }
        statuses
    };
    assert_eq!(tries().await, [401, 401, 401, 401]);

    reload(&app, "[rate]\nlogin = \"1/h burst 2\"\n").await;
    assert_eq!(tries().await, [401, 401, 429, 429]);

    reload(&app, "[rate]\nlogin = \"off\"\n").await;
    assert_eq!(tries().await, [401, 401, 401, 401]);

    reload(&app, "[rate]\nlogin = \"1/h burst 1\"\n").await;
    assert_eq!(tries().await, [401, 429, 429, 429]);
}

#[tokio::test]
async fn the_limit_of_every_route_changes_while_the_service_runs() {
    let app = started("[rate]\nper_ip = \"off\"\n").await;
    let ask = async || app.client().get("/openapi.json").send().await.status();
    assert_eq!([ask().await, ask().await], [200, 200]);

    let read = reload(&app, "[rate]\nper_ip = \"1/h burst 1\"\n").await;

    assert_eq!(read["changed"], 1);
    assert_eq!([ask().await, ask().await], [200, 429]);
    let told = line(&app, "a setting was changed");
    assert_eq!((&told["section"], &told["key"]), (&"rate".into(), &"per_ip".into()));
    assert_eq!((&told["old"], &told["new"]), (&"\"off\"".into(), &"\"1/h\"".into()));
    assert!(told["origin"].as_str().unwrap().ends_with("orderdesk.toml:2"), "{told}");
}

#[tokio::test]
async fn the_level_of_the_log_changes_while_the_service_runs_and_the_change_is_told() {
    let app = started("[log]\nlevel = \"error\"\n").await;
    let request = |text: &str| text.contains("\"request\"");
    app.client().get("/openapi.json").send().await.assert_status(200);

    reload(&app, "[log]\nlevel = \"info\"\n").await;
    assert!(!request(&app.service.stderr()), "{}", app.service.stderr());
    app.client().get("/openapi.json").send().await.assert_status(200);
    app.service.wait_for_line(request).await;
    assert_eq!(line(&app, "a setting was changed")["new"], "\"info\"");

    write(&app, "[log]\nlevel = \"error\"\n");
    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains(r#""new":"\"error\"""#)).await;
}

#[tokio::test]
async fn a_fixed_setting_stays_and_is_named_until_a_restart() {
    let app = started("").await;

    reload(&app, "[limits]\nbody_bytes = 200\n[accounts]\nsign_up = \"closed\"\n").await;

    let told = line(&app, "a changed setting needs a restart");
    assert_eq!((&told["section"], &told["key"]), (&"limits".into(), &"body_bytes".into()));
    assert!(told["origin"].as_str().unwrap().ends_with("orderdesk.toml:2"), "{told}");
    let detail = ready(&app).await["detail"].clone();
    let expected = "A restart is needed for a change of limits.body_bytes, accounts.sign_up. Run";
    assert!(detail.as_str().unwrap().starts_with(expected), "{detail}");
    app.sign_up("ada").await.assert_status(201);

    reload(&app, "").await;
    assert_eq!(ready(&app).await.get("detail"), None, "it is as it was at the start");
}

#[tokio::test]
async fn with_any_mistake_every_old_value_stays_and_ready_says_where_it_is() {
    let app = started("[rate]\nlogin = \"off\"\n").await;
    write(&app, "[rate]\nlogin = \"1/h burst 1\"\nper_ip = \"s3cr3t\"\n[limit]\nx = \"s3cr3t\"\n");

    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the settings stay as they were")).await;

    let said = app.service.stderr();
    assert_eq!(said.matches("a setting is wrong").count(), 2, "{said}");
    for expected in
        ["orderdesk.toml:3", "rate.per_ip: expected", "orderdesk.toml:4", "unknown section [limit]"]
    {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let answer = ready(&app).await;
    assert_eq!(answer["status"], "ok");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("orderdesk.toml:3") && detail.contains("orderdesk.toml:4"), "{detail}");
    assert!(!detail.contains("s3cr3t"), "values are not repeated: {detail}");
    for _ in 0..3 {
        app.sign_in("nobody", "correct horse battery staple").await.assert_status(401);
    }

    reload(&app, "[rate]\nlogin = \"off\"\n").await;
    assert_eq!(ready(&app).await.get("detail"), None, "a reload was fine again");
}

#[tokio::test]
async fn settings_of_its_own_with_which_it_would_not_start_again_are_refused() {
    let app = started("").await;
    write(&app, "[rate]\nlogin = \"1/h\"\n[passwords]\nmemory_kib = 12288\niterations = 1\n");

    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the settings stay as they were")).await;

    let said = app.service.stderr();
    assert!(said.contains("PAL608") && !said.contains("a setting was changed"), "{said}");
}

#[tokio::test]
async fn after_a_mistake_nobody_is_told_to_restart_for_what_the_files_said_before() {
    let app = started("").await;
    reload(&app, "[limits]\nbody_bytes = 200\n").await;
    assert!(ready(&app).await["detail"].as_str().unwrap().contains("A restart is needed"));

    write(&app, "[limits]\nbody_bytes = \"lots\"\n");
    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the settings stay as they were")).await;

    let answer = ready(&app).await;
    let detail = answer["detail"].as_str().unwrap();
    assert!(!detail.contains("restart") && detail.contains("would not start again"), "{detail}");
    assert_eq!(detail.matches("orderdesk.toml:2").count(), 1, "{detail}");

    reload(&app, "[limits]\nbody_bytes = 200\n").await;
    let detail = ready(&app).await["detail"].clone();
    let expected = "A restart is needed for a change of limits.body_bytes. Run the check";
    assert!(detail.as_str().unwrap().starts_with(expected), "{detail}");
}

#[tokio::test]
async fn a_secret_in_a_setting_and_a_certificate_that_is_not_there_are_refused_while_it_runs() {
    let app = started("").await;
    let secret = format!("[check]\nsilenced = [\"PAL112: {API_KEY}\"]\n");
    let tls = "[tls]\nmode = \"files\"\ncertificate = \"/nowhere/a\"\nkey = \"/nowhere/b\"\n";

    for (text, told) in [
        (secret.as_str(), "PAL116: check.silenced (orderdesk.toml:2) holds a secret"),
        (tls, "PAL501: tls.key names /nowhere/b, which is not there"),
    ] {
        write(&app, text);
        app.service.hang_up();
        app.service.wait_for_line(|line| line.contains(told)).await;
        let detail = ready(&app).await["detail"].to_string();
        assert!(detail.contains("would not start again"), "{detail}");
        reload(&app, "").await;
    }

    assert!(!app.service.stderr().contains(API_KEY));
}

/// The settings are long, so that their reading is not over when the signal comes.
#[tokio::test]
async fn a_hangup_during_the_start_ends_nothing_and_reads_the_settings_again_afterwards() {
    let folder = Setup::default().folder();
    let lines = "  \"PAL105: the proxy is on this machine\",\n".repeat(20_000);
    let file = format!("[check]\nsilenced = [\n{lines}]\n");
    fs::write(folder.path().join("long.toml"), file).unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_orderdesk"))
        .args(["serve", "--config", "long.toml"])
        .current_dir(folder.path())
        .env_clear()
        .envs(folder.environment())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = child.id().unwrap();
    let status = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = tokio::time::timeout(DEADLINE, async {
        loop {
            let status = status();
            if catches_hangups(&status) {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });

    let caught = caught.await.unwrap();
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();

    assert!(caught.contains("\nThreads:\t1\n"), "it catches them before it has threads: {caught}");
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let read_again = tokio::time::timeout(DEADLINE, async {
        while let Some(line) = said.next_line().await.unwrap() {
            if line.contains(READ) {
                return true;
            }
        }
        false
    });
    assert!(read_again.await.unwrap(), "it ended: {:?}", child.wait().await);
}

const DEADLINE: Duration = Duration::from_secs(60);

/// Tells from `/proc/<pid>/status` whether the first signal, SIGHUP, has a handler.
fn catches_hangups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
    mask.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() & 1 == 1)
}

#[tokio::test]
async fn reloads_are_counted_by_what_became_of_them() {
    let app = started("").await;
    let started_at = metric(&app, "palisade_settings_last_success_timestamp_seconds").await;
    assert!(started_at > 1_700_000_000.0, "the start is a success: {started_at}");

    reload(&app, "[rate]\nlogin = \"1/h\"\n").await;
    reload(&app, "[limits]\nbody_bytes = 200\n").await;
    write(&app, "[limits]\nbody_bytes = \n");
    app.service.hang_up();
    app.service.wait_for_line(|line| line.contains("the settings stay as they were")).await;

    for outcome in ["applied", "needs_restart", "refused"] {
        let series = format!("palisade_settings_reloads_total{{outcome=\"{outcome}\"}}");
        assert!((metric(&app, &series).await - 1.0).abs() < 0.1, "{outcome}");
    }
}

#[tokio::test]
async fn the_time_to_drain_can_be_changed_before_the_end() {
    let mut app = started("[shutdown]\ngrace = \"5m\"\n").await;

    reload(&app, "[shutdown]\ngrace = \"0s\"\n").await;

    assert!(app.service.terminate().await.success());
}

#[tokio::test]
async fn variables_of_the_start_win_at_each_reload() {
    let setup = Setup::default().file("").setting("rate.login", "1/h burst 1");
    let app = setup.start().await;

    let read = reload(&app, "[rate]\nlogin = \"off\"\n").await;

    assert_eq!(read["changed"], 0);
    let sign_in = async || app.sign_in("nobody", "correct horse battery staple").await.status();
    assert_eq!([sign_in().await, sign_in().await], [401, 429]);
}

/// Starts a service whose rates and log are the file's to say.
async fn started(file: &str) -> TestService {
    Setup::default().with_rates().file(file).start().await
}

fn write(app: &TestService, file: &str) {
    fs::write(app.folder.path().join("orderdesk.toml"), file).unwrap();
}

/// Has the service read `file` as its settings, and returns the line that says so.
async fn reload(app: &TestService, file: &str) -> Value {
    write(app, file);
    let before = app.service.stderr().matches(READ).count();
    let seen = Cell::new(0);
    let is_next = |line: &str| {
        seen.set(seen.get() + usize::from(line.contains(READ)));
        seen.get() > before
    };
    app.service.hang_up();
    serde_json::from_str(&app.service.wait_for_line(is_next).await).unwrap()
}

const READ: &str = "the settings were read again";

/// Returns the first line of the log with this message.
#[track_caller]
fn line(app: &TestService, message: &str) -> Value {
    let said = app.service.stderr();
    let line = said.lines().find(|line| line.contains(message)).unwrap();
    serde_json::from_str(line).unwrap()
}

async fn ready(app: &TestService) -> Value {
    app.admin().get("/ready").send().await.assert_status(200).json()
}

async fn metric(app: &TestService, series: &str) -> f64 {
    let text = app.admin().get("/metrics").send().await.assert_status(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    line.trim().parse().unwrap()
}
