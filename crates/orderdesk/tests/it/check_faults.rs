//! The deployment check: a good deployment spoilt in one way has exactly that finding.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::{API_KEY, SECRET_KEY, SOMEBODY, Setup, give, is_root, text};
use crate::support_certificates::{Authority, THIS_YEAR, self_issued};
use crate::support_site::{HOST, Site, is_in_memory};

/// A password that must never be shown.
const DATABASE_PASSWORD: &str = "hunter2";

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
        (
            "a socket where no folder is, one in the place of a file, and one address twice",
            |site| {
                let paths = ["none/x.sock", "orderdesk.toml"].map(|name| site.shown(name));
                let [missing, taken] = paths.map(|path| format!("unix:{path}"));
                site.set(
                    "server.listen",
                    &format!("127.0.0.1:8443,127.0.0.1:8443,{missing},{taken}"),
                );
            },
            &["PAL115"],
        ),
        (
            "the address of another machine",
            |site| site.set("server.listen", "192.0.2.1:8443"),
            &["PAL115"],
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
        (
            "every address as a proxy, in halves",
            |site| {
                let halves = "0.0.0.0/1,128.0.0.0/1";
                site.set("server.trusted_proxies", halves);
            },
            &["PAL101", "PAL107"],
        ),
        (
            "a secret in a setting",
            |site| {
                let url = format!("https://{HOST}/{API_KEY}");
                site.set("check.silenced", &format!("PAL112: see {url}"));
            },
            &["PAL116", "PAL191"],
        ),
        (
            "no second factor",
            |site| site.set("accounts.require_second_factor", "none"),
            &["ODK102"],
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
                    format!("mysql://orders:{DATABASE_PASSWORD}@localhost/orders"),
                );
            },
            &["PAL211", "PAL212", "PAL213"],
        ),
        (
            "a server, with a short password",
            |site| {
                site.variable(
                    "DATABASE_URL",
                    format!("postgres://orders:{DATABASE_PASSWORD}@localhost/orders"),
                );
            },
            &["PAL211", "PAL212", "PAL450"],
        ),
        (
            "a key as the password of the database",
            |site| {
                site.variable(
                    "DATABASE_URL",
                    format!("postgres://orders:{API_KEY}@localhost/orders"),
                );
            },
            &["PAL209", "PAL211", "PAL450"],
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
            &["PAL204"],
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
            &["PAL204"],
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
            &["PAL204"],
        ),
        ("a data folder to look into", |site| site.close("data", 0o755), &["PAL304"]),
    ])
    .await;
}

#[tokio::test]
async fn each_fault_of_the_database_is_its_own_finding() {
    find(&[
        (
            "no folder",
            |site| site.variable("DATABASE_URL", "sqlite:///nowhere/orderdesk.db"),
            &["PAL401"],
        ),
        (
            "no database yet",
            |site| fs::remove_file(site.path("data/orderdesk.db")).unwrap(),
            &["PAL411"],
        ),
        (
            "half a database",
            |site| {
                let file = fs::File::options().write(true).open(site.path("data/orderdesk.db"));
                file.unwrap().set_len(20_000).unwrap();
            },
            &["PAL405"],
        ),
        (
            "no database at all",
            |site| site.write("data/orderdesk.db", &"dear diary, ".repeat(500), 0o600),
            &["PAL405"],
        ),
        (
            "a newer release was here",
            |site| {
                site.tamper(
                    "INSERT INTO palisade_migrations
                     SELECT component, max(version) + 1, 'later', max(checksum), 0
                     FROM palisade_migrations WHERE component = 'orderdesk'",
                );
            },
            &["PAL406"],
        ),
        ("nothing was migrated", |site| site.write("data/orderdesk.db", "", 0o600), &["PAL407"]),
        (
            "a changed migration",
            |site| {
                site.tamper(
                    "UPDATE palisade_migrations SET checksum = 'x'
                     WHERE component = 'orderdesk' AND version = 2",
                );
            },
            &["PAL409"],
        ),
        (
            "a pipe in its place",
            |site| {
                fs::remove_file(site.path("data/orderdesk.db")).unwrap();
                let pipe = site.path("data/orderdesk.db");
                rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o600.into()).unwrap();
            },
            &["PAL412"],
        ),
        (
            "a link that leads nowhere in its place",
            |site| {
                fs::remove_file(site.path("data/orderdesk.db")).unwrap();
                symlink(site.path("nowhere/else.db"), site.path("data/orderdesk.db")).unwrap();
            },
            &["PAL412"],
        ),
        (
            "a folder in its place",
            |site| {
                fs::remove_file(site.path("data/orderdesk.db")).unwrap();
                fs::create_dir(site.path("data/orderdesk.db")).unwrap();
                site.close("data/orderdesk.db", 0o700);
            },
            &["PAL412"],
        ),
        (
            "a journal that somebody else may write",
            |site| {
                fs::write(site.path("data/orderdesk.db-journal"), "").unwrap();
                site.close("data/orderdesk.db-journal", 0o666);
            },
            &["PAL305"],
        ),
        (
            "a folder in the place of its lock",
            |site| {
                fs::create_dir(site.path("data/orderdesk.db.lock")).unwrap();
                site.close("data/orderdesk.db.lock", 0o700);
            },
            &["PAL412"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_the_services_own_account_cannot_do_is_found_before_it_starts() {
    if !is_root() {
        println!("skipped: root is needed to become somebody else");
        return;
    }
    let given = async |files: &[&str]| {
        let mut site = Site::good(HOST).await;
        site.set("sandbox.user", &format!("{SOMEBODY}:{SOMEBODY}"));
        for file in files {
            give(&site.path(file), Some(SOMEBODY));
        }
        site
    };
    let all = ["data", "data/orderdesk.db", "tls/key.pem"];

    let nothing = given(&[]).await.check(&[]).await;
    let half = given(&["data", "tls/key.pem"]).await.check(&[]).await;
    let good = given(&all).await;
    let whole = good.check(&[]).await;

    for (checked, file) in [(&nothing, "tls/key.pem"), (&half, "data/orderdesk.db")] {
        assert_eq!(checked.ids(), BTreeSet::from([ALWAYS, "PAL707"]), "{file}");
        let what = checked.what("PAL707");
        assert!(what[0].contains(&SOMEBODY.to_string()) && what[0].contains(file), "{what:?}");
        assert!(!checked.finished.status.success());
    }
    assert_eq!(whole.ids(), BTreeSet::from([ALWAYS]), "what is its own is not somebody else's");
    good.close("data/orderdesk.db", 0o400);
    assert_eq!(good.check(&[]).await.ids(), BTreeSet::from([ALWAYS, "PAL707"]));
}

#[tokio::test]
async fn an_account_that_is_not_to_be_had_is_found() {
    let mut site = Site::good(HOST).await;
    site.set("sandbox.user", "no-such-user");

    let checked = site.check(&[]).await;

    assert_eq!(checked.ids(), BTreeSet::from([ALWAYS, "PAL706"]));
    assert!(checked.what("PAL706")[0].contains("no-such-user"), "{:?}", checked.what("PAL706"));
}

#[tokio::test]
async fn root_is_nobody_to_become() {
    for root in ["root", "0:0", "0:1000"] {
        let mut site = Site::good(HOST).await;
        site.set("sandbox.user", root);

        let checked = site.check(&[]).await;

        let what = checked.what("PAL706");
        assert!(what[0].contains(root) && what[0].contains("is root"), "{root}: {what:?}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_found_and_a_start_leaves_nothing_beside_it() {
    let folder = Setup::default().by_somebody().folder();
    folder.command(["migrate"]).run().await.assert_code(0);
    fs::set_permissions(folder.database(), fs::Permissions::from_mode(0o400)).unwrap();

    let checked = folder.command(["check", "--format", "json"]).run().await;
    let refused = folder.serve().run().await;

    let report: Value = serde_json::from_str(&checked.assert_code(1).stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == "PAL414").unwrap();
    assert_eq!(found["what"], folder.database().display().to_string());
    assert!(refused.assert_code(1).stderr.contains("may not write"), "{}", refused.stderr);
    for beside in ["-wal", "-shm"] {
        let mut name = folder.database().into_os_string();
        name.push(beside);
        assert!(!Path::new(&name).exists(), "{beside}");
    }
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
        (
            "a certificate for clients",
            |site| {
                let issued = site.authority.issue_for_clients(HOST, THIS_YEAR);
                site.serve_with(&issued);
            },
            &["PAL515"],
        ),
        (
            "signed over SHA-1",
            |site| site.write("tls/chain.pem", SIGNED_OVER_SHA_1, 0o644),
            &["PAL502", "PAL513", "PAL516"],
        ),
        ("a certificate for everybody", |site| site.close("tls/chain.pem", 0o666), &["PAL517"]),
        ("a certificate for a group", |site| site.close("tls/chain.pem", 0o664), &["PAL517"]),
    ])
    .await;
}

/// Each is told in words, and with what to do about it.
#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_without_the_insides_of_libraries() {
    let told = async |spoil: fn(&mut Site), id: &str| {
        let mut site = Site::good(HOST).await;
        spoil(&mut site);
        let checked = site.check(&[]).await;
        let what = checked.what(id).join("\n");
        for inside in ["DnsName", "Other", "Error", "{", "[4", "no items"] {
            assert!(!what.contains(inside), "{inside}: {what}");
        }
        what
    };

    let elsewhere = |site: &mut Site| {
        site.serve_with(&site.authority.issue("shop.example.com", THIS_YEAR));
    };
    let names = told(elsewhere, "PAL510").await;
    assert!(names.ends_with("is not among its names: shop.example.com"), "{names}");
    let none = told(|site| site.write("tls/chain.pem", RSA_1024, 0o644), "PAL509").await;
    assert!(none.contains("1024"), "{none}");
    let nameless =
        |site: &mut Site| site.serve_with(&site.authority.issue_without_names(THIS_YEAR));
    let nameless = told(nameless, "PAL510").await;
    assert!(nameless.contains("it has none (subjectAltName)"), "{nameless}");
    let encrypted = |site: &mut Site| site.write("tls/key.pem", ENCRYPTED_KEY, 0o600);
    let encrypted = told(encrypted, "PAL501").await;
    assert!(
        encrypted.contains("openssl pkey -in ") && encrypted.contains("key.pem"),
        "{encrypted}"
    );
    let older = |site: &mut Site| site.write("tls/key.pem", ENCRYPTED_AS_OF_OLD, 0o600);
    assert!(told(older, "PAL501").await.contains("openssl pkey -in "));
    let cut =
        |site: &mut Site| site.write("tls/key.pem", "-----BEGIN PRIVATE KEY-----\nMC4", 0o600);
    let cut = told(cut, "PAL501").await;
    assert!(cut.contains("it is cut off"), "{cut}");
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let site = Site::good(HOST).await;
    site.write("tls/chain.pem", damaged, 0o644);
    let damaged = site.check(&[]).await.what("PAL501").join("\n");
    assert!(damaged.contains("damaged: it cannot be read"), "{damaged}");
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

/// The first lines of what `openssl pkey -aes256` writes, and what `openssl rsa -aes256
/// -traditional` does: nothing behind them is looked at.
const ENCRYPTED_KEY: &str =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n";
const ENCRYPTED_AS_OF_OLD: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
     DEK-Info: AES-256-CBC,6A1B\n\nMIHs\n-----END RSA PRIVATE KEY-----\n";

/// Made by openssl until the year 2109; rcgen signs over nothing that weak.
const SIGNED_OVER_SHA_1: &str = include_str!("sha1.crt");

/// Made by openssl; rcgen makes no key that weak.
const RSA_1024: &str = include_str!("rsa_1024.crt");
