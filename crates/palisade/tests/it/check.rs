//! The deployment check of somebody else's service.

use palisade_testing::{Program, Service};
use serde_json::Value;

#[tokio::test]
async fn somebody_elses_service_has_a_check_without_a_word() {
    let checked = program().args(["check", "--format", "json"]).run().await;
    let loud = program().args(["check"]).env("MINIMAL__LOG__LEVEL", "trace").run().await;
    let open = program().args(["check"]).env("MINIMAL__SERVER__LISTEN", "0.0.0.0:80").run().await;

    let report: Value = serde_json::from_str(&checked.assert_code(0).stdout).unwrap();
    assert_eq!((&report["program"], &report["errors"]), (&"minimal".into(), &0.into()));
    let said = &loud.assert_code(0).stdout;
    assert!(
        said.contains("PAL109 warning [settings]")
            && said.contains("\n    log.level = \"trace\"\n"),
        "{said}"
    );
    let said = &open.assert_code(1).stdout;
    assert!(
        said.contains("PAL102 error [settings]") && said.contains("server.listen = \"0.0.0.0:80\""),
        "{said}"
    );
}

#[tokio::test]
async fn the_user_and_the_lockdown_are_told_as_they_are() {
    let checked = program().args(["check"]).run().await;
    let open = program().args(["check"]).env("MINIMAL__SANDBOX__MODE", "off").run().await;

    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(checked.stdout.contains("PAL701 warning [process]"), is_root, "{}", checked.stdout);
    assert!(checked.stdout.contains("PAL703 note [process]"), "{}", checked.stdout);
    assert!(open.stdout.contains("PAL702 warning"), "{}", open.stdout);
    assert!(!open.stdout.contains("PAL703"), "{}", open.stdout);
}

/// The check tells before the start what the start will say.
#[tokio::test]
async fn what_cannot_be_enforced_here_is_found_exactly_where_the_start_is_refused() {
    let enforced = || {
        program()
            .env("MINIMAL__SANDBOX__MODE", "enforce")
            .env("MINIMAL__SERVER__LISTEN", "127.0.0.1:0")
            .env("MINIMAL__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
    };

    let checked = enforced().args(["check"]).run().await;
    let started = enforced().try_start().await;

    let is_found = checked.stdout.contains("PAL704 error [process]");
    assert_eq!(is_found, started.is_err(), "{}\n{started:?}", checked.stdout);
    checked.assert_code(i32::from(is_found));
}

#[tokio::test]
async fn somebody_elses_service_is_looked_at_from_outside() {
    let service = program()
        .env("MINIMAL__SERVER__LISTEN", "127.0.0.1:0")
        .env("MINIMAL__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .start()
        .await;
    let (public, admin) = (service.public(), service.admin());
    let look = async |address: std::net::SocketAddr| {
        let url = format!("http://{address}");
        program().args(["check", "--url", &url]).run().await.stdout
    };

    let outside = look(public).await;
    let inside = look(admin).await;

    assert!(!outside.contains("PAL9"), "{outside}");
    assert_eq!(inside.matches("PAL921 error").count(), 3, "{inside}");
}

#[tokio::test]
async fn a_mistake_in_somebody_elses_settings_is_a_finding() {
    let wrong = program().args(["check"]).env("MINIMAL__LIMITS__BODY_BYTES", "lots").run().await;
    let unknown = program().args(["check", "--explain", "XYZ1"]).run().await;

    let said = &wrong.assert_code(1).stdout;
    assert!(
        said.contains("PAL101 error [settings]") && said.contains("MINIMAL__LIMITS__BODY_BYTES"),
        "{said}"
    );
    assert!(unknown.assert_code(2).stderr.contains("there is no finding \"XYZ1\""));
}

fn program() -> Program {
    Service::builder(&crate::minimal::built_example("minimal"))
}
