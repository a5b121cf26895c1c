//! The deployment check: a good deployment has nothing to say about, and no planted fault is missed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use palisade::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::support::{API_KEY, SECRET_KEY, Setup, orderdesk, text};
use crate::support_certificates::{Authority, THIS_YEAR, self_issued};
use crate::support_site::{HOST, Site, is_in_memory};

/// A password that must never be shown.
const DATABASE_PASSWORD: &str = "hunter2";

#[tokio::test]
async fn a_good_deployment_has_nothing_above_a_note() {
    let site = Site::good(HOST).await;

    let checked = site.check(&[]).await;

    checked.finished.assert_code(0);
    assert_eq!(checked.ids(), BTreeSet::from(["ODK101"]), "{}", checked.finished.stdout);
    assert_eq!(checked.report["ok"], true);
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
    (&["PAL107"], |site| site.set("server.trusted_proxies", "0.0.0.0/1,128.0.0.0/1")),
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
            "DELETE FROM palisade_migrations WHERE component = 'orderdesk' AND version = 2",
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
];

/// A way to spoil a good deployment, and what has to be found then, beside [`ALWAYS`].
type Fault = (&'static str, fn(&mut Site), &'static [&'static str]);

/// What is said of the good deployment, too.
const ALWAYS: &str = "ODK101";

#[tokio::test]
async fn each_fault_of_the_settings_is_its_own_finding() {
    find(&[
        ("no TLS", |site| site.set("tls.mode", "off"), &["PAL102", "PAL110"]),
        (
            "a certificate of our own",
            |site| site.set("tls.mode", "self-signed"),
            &["PAL103", "PAL110"],
        ),
        (
            "a proxy elsewhere",
            |site| {
                site.set("tls.mode", "off");
                site.set("server.trusted_proxies", "10.1.0.0/16");
            },
            &["PAL105", "PAL110"],
        ),
        (
            "loopback",
            |site| {
                site.set("tls.mode", "off");
                site.set("server.listen", "127.0.0.1:8443");
            },
            &["PAL106", "PAL110"],
        ),
        (
            "a quarter of the Internet",
            |site| site.set("server.trusted_proxies", "64.0.0.0/2"),
            &["PAL107"],
        ),
        (
            "every private network",
            |site| {
                site.set("server.trusted_proxies", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16");
            },
            &["PAL108"],
        ),
        ("a talkative log", |site| site.set("log.level", "debug"), &["PAL109"]),
        (
            "an address instead of a name",
            |site| site.set("server.public_url", "https://203.0.113.7"),
            &["PAL110", "PAL510"],
        ),
        ("no public_url", |site| site.set("server.public_url", ""), &["PAL112"]),
        (
            "silence for nothing",
            |site| {
                site.set("check.silenced", "PAL105: there is no proxy any more");
            },
            &["PAL191"],
        ),
        ("sessions without use", |site| site.set("sessions.idle", "2h"), &["PAL607"]),
        (
            "every rate off",
            |site| {
                for rate in ["per_ip", "per_account", "sign_up", "login"] {
                    site.set(&format!("rate.{rate}"), "off");
                }
            },
            &["PAL601"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn each_fault_of_a_secret_is_its_own_finding() {
    find(&[
        ("missing", |site| site.without("API_KEY_FILE"), &["PAL201"]),
        ("a file that is not there", |site| site.variable("API_KEY_FILE", "/nowhere"), &["PAL203"]),
        (
            "a key of 31 bytes",
            |site| site.write("keys/api", "hJzVbTt0Yy8rYQ3mX4kLw2PpZcVn7uQeRsTgUaBdFw", 0o600),
            &["PAL206"],
        ),
        ("nothing but zeros", |site| site.write("keys/api", &"0".repeat(64), 0o600), &["PAL208"]),
        (
            "one key for two purposes",
            |site| site.variable("SECRET_KEY_FILE", site.shown("keys/api")),
            &["PAL209"],
        ),
        (
            "one key in two writings",
            |site| {
                site.write(
                    "keys/api",
                    "9f2ac4e17b035d8866f01b3ce94a72d5108e3f6b57ac21d09be47f6d35c8a012",
                    0o600,
                );
                site.write("keys/secret", "nyrE4XsDXYhm8Bs86Upy1RCOP2tXrCHQm-R_bTXIoBI", 0o600);
            },
            &["PAL209"],
        ),
        (
            "a rotation that changes nothing",
            |site| {
                site.variable("SECRET_KEY_PREVIOUS_FILE", site.shown("keys/secret"));
            },
            &["PAL210"],
        ),
        (
            "a variable",
            |site| {
                site.without("API_KEY_FILE");
                site.variable("API_KEY", API_KEY);
            },
            &["PAL211"],
        ),
        (
            "an address that is none, with a short password",
            |site| {
                site.variable(
                    "DATABASE_URL",
                    format!("postgres://orders:{DATABASE_PASSWORD}@localhost/orders"),
                );
            },
            &["PAL211", "PAL212", "PAL213"],
        ),
        (
            "a key as the password of the database",
            |site| {
                site.variable(
                    "DATABASE_URL",
                    format!("postgres://orders:{API_KEY}@localhost/orders"),
                );
            },
            &["PAL209", "PAL211", "PAL213"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn each_fault_of_a_file_is_its_own_finding() {
    find(&[
        ("settings for a group", |site| site.close("orderdesk.toml", 0o664), &["PAL302"]),
        ("a folder of keys for everybody", |site| site.close("keys", 0o777), &["PAL303"]),
        ("a folder of keys for a group", |site| site.close("keys", 0o775), &["PAL303"]),
        (
            "a link that leads through an open folder",
            |site| {
                fs::create_dir(site.path("open")).unwrap();
                site.write("open/api", API_KEY, 0o600);
                site.close("open", 0o777);
                symlink(site.path("open/api"), site.path("keys/link")).unwrap();
                site.variable("API_KEY_FILE", site.shown("keys/link"));
            },
            &["PAL303"],
        ),
        (
            "a link to a link in an open folder",
            |site| {
                fs::create_dir(site.path("open")).unwrap();
                site.close("open", 0o777);
                symlink(site.path("keys/api"), site.path("open/link")).unwrap();
                symlink("../open/link", site.path("keys/link")).unwrap();
                site.variable("API_KEY_FILE", site.shown("keys/link"));
            },
            &["PAL303"],
        ),
        (
            "a linked folder",
            |site| {
                fs::create_dir(site.path("open")).unwrap();
                symlink(site.path("keys"), site.path("open/keys")).unwrap();
                site.close("open", 0o777);
                symlink("open/keys", site.path("linked")).unwrap();
                site.variable("API_KEY_FILE", site.shown("linked/api"));
            },
            &["PAL303"],
        ),
        ("a data folder to look into", |site| site.close("data", 0o755), &["PAL304"]),
    ])
    .await;
}

#[tokio::test]
async fn each_fault_of_the_database_is_its_own_finding() {
    find(&[
        ("no folder", |site| site.variable("DATABASE_URL", "sqlite:///nowhere/orderdesk.db"), &["PAL401"]),
        ("no database yet", |site| fs::remove_file(site.path("data/orderdesk.db")).unwrap(), &["PAL411"]),
        ("no database at all", |site| site.write("data/orderdesk.db", &"dear diary, ".repeat(500), 0o600), &["PAL405"]),
        ("a newer release was here", |site| site.tamper("INSERT INTO palisade_migrations SELECT 'orderdesk', 3, 'later', checksum, 0 FROM palisade_migrations LIMIT 1"), &["PAL406"]),
        ("nothing was migrated", |site| site.write("data/orderdesk.db", "", 0o600), &["PAL407"]),
        ("a changed migration", |site| site.tamper("UPDATE palisade_migrations SET checksum = 'x' WHERE component = 'orderdesk' AND version = 2"), &["PAL409"]),
        ("a folder in its place", |site| {
            fs::remove_file(site.path("data/orderdesk.db")).unwrap();
            fs::create_dir(site.path("data/orderdesk.db")).unwrap();
            site.close("data/orderdesk.db", 0o700);
        }, &["PAL412"]),
    ])
    .await;
}

#[tokio::test]
async fn a_database_in_memory_is_found() {
    let shared = Path::new("/dev/shm");
    if !is_in_memory(shared) {
        println!("skipped: /dev/shm is not in memory here");
        return;
    }
    let mut site = Site::good(HOST).await;
    let folder = tempfile::tempdir_in(shared).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    site.variable("DATABASE_URL", format!("sqlite://{}/orderdesk.db", folder.path().display()));

    let checked = site.check(&[]).await;

    assert_eq!(checked.ids(), BTreeSet::from([ALWAYS, "PAL403", "PAL411"]));
}

#[tokio::test]
async fn each_fault_of_the_certificate_is_its_own_finding() {
    find(&[
        ("no file", |site| fs::remove_file(site.path("tls/chain.pem")).unwrap(), &["PAL501"]),
        (
            "another key",
            |site| site.write("tls/key.pem", &self_issued(HOST, THIS_YEAR).key, 0o600),
            &["PAL502"],
        ),
        (
            "an end within days",
            |site| site.serve_with(&site.authority.issue(HOST, [-360, 5])),
            &["PAL505"],
        ),
        (
            "an end within weeks",
            |site| site.serve_with(&site.authority.issue(HOST, [-345, 20])),
            &["PAL506"],
        ),
        (
            "a beginning tomorrow",
            |site| site.serve_with(&site.authority.issue(HOST, [1, 365])),
            &["PAL508"],
        ),
        (
            "a key of 1024 bits",
            |site| site.write("tls/chain.pem", RSA_1024, 0o644),
            &["PAL502", "PAL509", "PAL511"],
        ),
        (
            "another name",
            |site| site.serve_with(&site.authority.issue("shop.example.com", THIS_YEAR)),
            &["PAL510"],
        ),
        (
            "issued by itself",
            |site| {
                let issued = self_issued(HOST, THIS_YEAR);
                site.write("tls/chain.pem", &issued.certificate, 0o644);
                site.write("tls/key.pem", &issued.key, 0o600);
            },
            &["PAL511"],
        ),
        (
            "a certificate missing from the chain",
            |site| {
                let issued = site.authority.issue(HOST, THIS_YEAR);
                let chain = format!("{}{}", issued.certificate, site.authority.root);
                site.write("tls/chain.pem", &chain, 0o644);
                site.write("tls/key.pem", &issued.key, 0o600);
            },
            &["PAL512"],
        ),
        (
            "no chain",
            |site| {
                let issued = site.authority.issue(HOST, THIS_YEAR);
                site.write("tls/chain.pem", &issued.certificate, 0o644);
                site.write("tls/key.pem", &issued.key, 0o600);
            },
            &["PAL513"],
        ),
        (
            "an authority that has ended",
            |site| {
                site.authority = Authority::with_intermediate([-100, -10]);
                site.serve_with(&site.authority.issue(HOST, THIS_YEAR));
            },
            &["PAL514"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_key_of_another_user_is_found() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    let site = Site::good(HOST).await;
    std::os::unix::fs::chown(site.path("tls/key.pem"), Some(65_534), None).unwrap();

    let checked = site.check(&[]).await;

    assert_eq!(checked.ids(), BTreeSet::from([ALWAYS, "PAL504"]));
}

#[tokio::test]
async fn mistakes_in_the_settings_are_findings_and_the_rest_is_judged_all_the_same() {
    let mut site = Site::good(HOST).await;
    let settings = "[server]\nadmin_listen = \"0.0.0.0:9443\"\nlisen = \"x\"\n\n[check]\nsilenced = [\"PAL105\"]\n";
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
        "orderdesk.toml:6: check.silenced: expected the number of a finding and a reason of at least 10 characters",
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
        ["id", "level", "link", "mend", "silenced", "stops_start", "tag", "what", "why"]
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

/// Spoils a good deployment in each way, and looks whether exactly that is found.
async fn find(faults: &[Fault]) {
    for (fault, spoil, expected) in faults {
        let mut site = Site::good(HOST).await;
        spoil(&mut site);

        let checked = site.check(&[]).await;

        let mut ids = checked.ids();
        assert!(ids.remove(ALWAYS), "{fault}");
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(ids, expected, "{fault}: {:#}", checked.report);
        let is_error = |finding: &&Value| text(finding, "level") == "error";
        let errors = checked.findings().iter().filter(is_error).count();
        checked.finished.assert_code(i32::from(errors > 0));
        for secret in [API_KEY, SECRET_KEY, DATABASE_PASSWORD] {
            assert!(!checked.finished.stdout.contains(secret), "{fault}");
        }
    }
}

/// Made by openssl; rcgen makes no key that weak.
const RSA_1024: &str = include_str!("rsa_1024.pem");
