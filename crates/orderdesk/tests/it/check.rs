//! The deployment check: nothing is said against a good deployment, and no fault of a bad one is
//! missed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use palisade::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::support::{API_KEY, SECRET_KEY, Setup, orderdesk};
use crate::support_certificates::{THIS_YEAR, self_issued};
use crate::support_site::{HOST, Site};

#[tokio::test]
async fn a_good_deployment_has_nothing_above_a_note() {
    let site = Site::good(HOST).await;

    let checked = site.check(&[]).await;

    checked.finished.assert_code(0);
    assert_eq!(checked.ids(), BTreeSet::from(["ODK101"]), "{}", checked.finished.stdout);
    assert_eq!(checked.report["ok"], true);
}

/// Each file that this repository shows people to start with.
#[tokio::test]
async fn the_files_that_are_shipped_have_nothing_above_a_note() {
    for (name, shipped) in [
        ("deploy/proxies", include_str!("../../../../deploy/proxies/orderdesk.toml")),
        ("the example", include_str!("../../orderdesk.toml")),
    ] {
        let site = Site::good(HOST).await;
        site.write("orderdesk.toml", shipped, 0o644);

        let checked = site.check(&[]).await;

        checked.finished.assert_code(0);
        let ids = checked.ids();
        let is_above_a_note = |finding: &&Value| {
            finding["level"] != "note" && ids.contains(finding["id"].as_str().unwrap())
        };
        let above: Vec<_> = checked.findings().iter().filter(is_above_a_note).collect();
        assert!(above.is_empty(), "{name}: {above:#?}");
    }
}

/// Everything at once, as it piles up on a machine that nobody looks after.
#[tokio::test]
async fn every_fault_of_a_bad_deployment_is_reported() {
    let mut site = Site::good(HOST).await;
    for (_, spoil) in NEGLECT {
        spoil(&mut site);
    }

    let checked = site.check(&[]).await;
    let refused = site.command(["serve"]).run().await;

    let planted: BTreeSet<&str> =
        NEGLECT.iter().flat_map(|(ids, _)| *ids).copied().chain([ALWAYS]).collect();
    checked.finished.assert_code(1);
    assert_eq!(checked.ids(), planted, "{:#}", checked.report);
    let stopping = ["PAL202", "PAL204", "PAL205", "PAL207", "PAL503", "PAL608"];
    let said = &refused.assert_code(1).stderr;
    for id in stopping {
        assert!(said.contains(&format!("\n{id}: ")), "{id} is missing\n{said}");
    }
    assert_eq!(said.matches("\nPAL").count(), stopping.len(), "{said}");
    assert!(!said.contains("listening"), "{said}");
    for shown in [said, &checked.finished.stdout, &checked.finished.stderr] {
        for secret in [API_KEY, SECRET_KEY, "changeme-"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

/// What has to be found for what was neglected.
type Neglect = (&'static [&'static str], fn(&mut Site));

/// What piles up.
const NEGLECT: &[Neglect] = &[
    (&["PAL107"], |site| site.set("server.trusted_proxies", "0.0.0.0/2,128.0.0.0/2")),
    (&["PAL109"], |site| site.set("log.level", "trace")),
    (&["PAL111"], |site| site.set("server.public_url", "http://orders.example.com")),
    (&["PAL114"], |site| site.set("database.danger_lose_last_commits_on_power_cut", "true")),
    (&["PAL190", "PAL192"], |site| {
        site.set("check.silenced", "PAL999: there is no such number, PAL104: it stops the start");
    }),
    (&["PAL601"], |site| site.set("rate.login", "off")),
    (&["PAL602"], |site| site.set("limits.body_bytes", "16MiB")),
    (&["PAL603"], |site| site.set("limits.header_timeout", "5m")),
    (&["PAL605"], |site| site.set("limits.connections_per_ip", "4096")),
    (&["PAL606"], |site| site.set("limits.least_bytes_per_second", "1")),
    (&["PAL607"], |site| site.set("sessions.absolute", "30d")),
    (&["PAL608"], |site| site.set("passwords.memory_kib", "12288")),
    (&["PAL702"], |site| site.set("sandbox.mode", "off")),
    (&["PAL301"], |site| site.close("orderdesk.toml", 0o666)),
    (&["PAL303", "PAL304"], |site| site.close("data", 0o777)),
    (&["PAL305"], |site| site.close("data/orderdesk.db", 0o644)),
    (&["PAL408"], |site| {
        site.set("database.migrate", "false");
        site.tamper(
            "DELETE FROM palisade_migrations WHERE component = 'orderdesk' AND version > 1",
        );
    }),
    (&["PAL410"], |site| {
        site.tamper(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO order_lines (order_id, position, sku, quantity, unit_price)
             VALUES ('no such order', 1, 'TEA-100', 1, 1250)",
        );
    }),
    (&["PAL503", "PAL505", "PAL510", "PAL511", "PAL512"], |site| {
        site.serve_with(&self_issued("old.example.com", [-400, -35]));
        site.close("tls/key.pem", 0o644);
    }),
    (&["PAL202"], |site| site.variable("API_KEY", API_KEY)),
    (&["PAL204"], |site| site.close("keys/secret", 0o644)),
    (&["PAL205"], |site| {
        site.write("keys/empty", "\n", 0o600);
        site.variable("SECRET_KEY_PREVIOUS_FILE", site.shown("keys/empty"));
    }),
    (&["PAL207", "PAL211"], |site| {
        site.variable("API_KEY_PREVIOUS", "changeme-changeme-changeme-changeme-changeme");
    }),
    (&["PAL802"], |site| {
        let tomorrow = SystemClock.now().after(Duration::from_secs(24 * 60 * 60));
        let since = Duration::from_millis(u64::try_from(tomorrow.as_millis()).unwrap());
        let settings = File::options().write(true).open(site.path("orderdesk.toml")).unwrap();
        settings.set_modified(UNIX_EPOCH + since).unwrap();
    }),
    (&["PAL306"], |site| {
        std::fs::copy(site.path("tls/chain.pem"), site.path("data/cert.pem")).unwrap();
        let moved = format!("{:?}", site.path("data/cert.pem"));
        site.set("tls.certificate", moved.trim_matches('"'));
    }),
];

/// What is said of every deployment whose sign-up is open.
const ALWAYS: &str = "ODK101";

#[tokio::test]
async fn mistakes_in_the_settings_are_findings_and_the_rest_is_judged_all_the_same() {
    let mut site = Site::good(HOST).await;
    let settings = "[server]\nadmin_listen = \"0.0.0.0:9443\"\nlisen = \"x\"\n\n\
                    [check]\nsilenced = [\"PAL105\"]\n";
    site.write("orderdesk.toml", settings, 0o644);
    site.without("API_KEY_FILE");

    let checked = site.check(&[]).await;
    let refused = site.command(["serve"]).run().await;

    checked.finished.assert_code(1);
    assert_eq!(checked.ids(), BTreeSet::from(["PAL101", "PAL201"]));
    let mistakes = checked.what("PAL101");
    for part in [
        "orderdesk.toml:2: server.admin_listen",
        "orderdesk.toml:3: unknown key lisen",
        "orderdesk.toml:6: check.silenced: expected a list, each element the number of a finding",
    ] {
        assert!(mistakes.iter().any(|what| what.contains(part)), "{part}\n{mistakes:?}");
        assert!(refused.stderr.contains(&format!("\nPAL101: {part}")), "{}", refused.stderr);
    }
    assert!(refused.assert_code(1).stderr.contains("\nPAL201: the secret API_KEY is missing"));
}

#[tokio::test]
async fn development_off_loopback_is_refused_by_number() {
    let refused =
        Setup::default().dev().setting("server.listen", "0.0.0.0:0").folder().serve().run().await;

    let said = &refused.assert_code(1).stderr;
    assert!(said.contains("\nPAL104: server.listen = \"0.0.0.0:0\" is not on loopback"), "{said}");
}

#[tokio::test]
async fn what_is_silenced_is_shown_with_its_reason_and_does_not_fail_the_check() {
    let mut site = Site::good(HOST).await;
    site.serve_with(&site.authority.issue("shop.example.com", THIS_YEAR));
    site.check(&[]).await.finished.assert_code(1);
    let silence = "[check]\nsilenced = [\"PAL510: shop is an alias, and clients know\"]\n";
    let settings = fs::read_to_string(site.path("orderdesk.toml")).unwrap();
    site.write("orderdesk.toml", &format!("{settings}\n{silence}"), 0o644);

    let checked = site.check(&[]).await;
    let text_form = site.command(["check"]).run().await;

    checked.finished.assert_code(0);
    let finding = checked.findings().iter().find(|finding| finding["id"] == "PAL510").unwrap();
    assert_eq!(finding["silenced"], "shop is an alias, and clients know");
    assert_eq!((&checked.report["errors"], &checked.report["silenced"]), (&0.into(), &1.into()));
    let said = &text_form.assert_code(0).stdout;
    assert!(said.contains("PAL510 error, silenced [tls]"), "{said}");
    assert!(said.contains("reason: shop is an alias, and clients know"), "{said}");
    // Silenced once, it does not hide what stops the start.
    site.set("tls.mode", "off");
    site.set("check.silenced", "PAL102: nobody will ever notice");
    site.check(&[]).await.finished.assert_code(1);
}

#[tokio::test]
async fn the_json_form_has_the_members_that_the_manual_promises() {
    let site = Site::good(HOST).await;

    let Value::Object(report) = site.check(&[]).await.report else { panic!("one object") };

    let members: Vec<&str> = report.keys().map(String::as_str).collect();
    let promised = [
        "errors", "findings", "notes", "ok", "program", "schema", "silenced", "version", "warnings",
    ];
    assert_eq!(members, promised);
    let Value::Object(finding) = &report["findings"][0] else { panic!("an object") };
    let members: Vec<&str> = finding.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["id", "level", "link", "mend", "silenced", "stops_start", "tag", "title", "what", "why"]
    );
    assert_eq!(report["schema"], 1);
    assert_eq!(report["program"], "orderdesk");
}

#[tokio::test]
async fn the_manual_holds_what_the_program_says_of_every_finding() {
    let all = orderdesk().args(["check", "--explain", "all"]).run().await;
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/check.md");
    let manual = fs::read_to_string(manual).unwrap();

    let said = &all.assert_code(0).stdout;

    assert!(
        manual.ends_with(said),
        "docs/operate/check.md is stale: it ends with `orderdesk check --explain all`"
    );
    let one = orderdesk().args(["check", "--explain", "pal204"]).run().await;
    let one = &one.assert_code(0).stdout;
    assert!(
        one.starts_with("### PAL204\n") && one.contains("docs/operate/check.md#pal204"),
        "{one}"
    );
}

#[tokio::test]
async fn wrong_usage_is_2_and_says_so_on_standard_error() {
    for args in [
        &["check", "--explain", "PAL000"][..],
        &["check", "--url", "orders.example.com"],
        &["check", "--url", "https://a:b@orders.example.com"],
        &["check", "--ca", "authority.pem"],
        &["check", "--format", "xml"],
    ] {
        let refused = orderdesk().args(args.iter().copied()).run().await;

        refused.assert_code(2);
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{refused:?}");
    }
}
