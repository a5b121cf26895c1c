//! The layers together: what wins, what is refused, and what is said about it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

crate::choice! {
    /// Where the certificate comes from.
    enum TlsMode {
        /// From two files.
        Files = "files",
        /// Made at the start.
        SelfSigned = "self-signed",
    }
}

crate::settings! {
    /// Where the service listens.
    struct Server in "server" {
        /// Where the public comes in.
        ///
        /// Port 0 takes a free one.
        listen: SocketAddr = ([127, 0, 0, 1], 8443).into();
        /// Who may say on whose behalf they ask.
        trusted_proxies: Vec<IpNet> = Vec::new();
    }
}

crate::settings! {
    /// How the connection is closed to listeners.
    struct Tls in "tls" checked by files_have_paths {
        /// Where the certificate comes from.
        mode: TlsMode = TlsMode::SelfSigned;
        /// The certificate.
        certificate: Option<PathBuf> = None;
    }
}

crate::settings! {
    /// What one request may cost.
    struct Limits in "limits" {
        /// Largest body.
        body_bytes: Size = Size::kib(64), in Size::bytes(1)..=Size::mib(16);
        /// Longest wait.
        body_timeout: Duration = Duration::from_secs(10), in Duration::from_millis(1)..=Duration::from_secs(3600);
        /// Most connections.
        connections: u16 = 1000;
        /// Most sign-ups.
        sign_up: Throttle = Throttle::At(Rate::per_minute(60));
        /// A name.
        label: String = "a \"b\" \\ # c\u{1b}".to_owned();
        /// Whether to migrate.
        migrate: bool = true;
    }
}

crate::settings_of! {
    /// Everything.
    struct Everything in "ORDERDESK" {
        /// Where the service listens.
        server: Server,
        /// How the connection is closed to listeners.
        tls: Tls,
        /// What one request may cost.
        limits: Limits,
    }
}

fn files_have_paths(tls: &Tls, reader: &mut Reader) {
    if tls.mode == TlsMode::Files && tls.certificate.is_none() {
        reader.refuse("tls", "mode", "a certificate with \"files\"");
    }
}

fn read(text: &str) -> Result<Loaded<Everything>, Mistakes> {
    read_with(text, &Environment::default())
}

fn read_with(text: &str, environment: &Environment) -> Result<Loaded<Everything>, Mistakes> {
    load_text(Path::new("orderdesk.toml"), text, environment)
}

fn mistakes_of(text: &str) -> String {
    read(text).expect_err("a mistake").to_string()
}

#[test]
fn nothing_said_means_the_defaults() {
    let loaded = read("").expect("the defaults");
    assert_eq!(loaded.settings(), &Everything::default());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let text = "[limits]\nbody_bytes = 1000\nbody_timeout = '5s'";
    let environment = Environment::from_pairs([
        ("ORDERDESK__LIMITS__BODY_BYTES", "2KiB"),
        ("ORDERDESK__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
        ("ORDERDESKTOP", "not ours"),
    ]);

    let loaded = read_with(text, &environment).expect("settings");

    let Everything { server, limits, .. } = loaded.settings();
    assert_eq!(limits.body_bytes, Size::kib(2));
    assert_eq!(limits.body_timeout, Duration::from_secs(5));
    assert_eq!(limits.connections, 1000);
    assert_eq!(server.trusted_proxies.len(), 2);
}

#[test]
fn an_empty_text_unsets_what_an_earlier_layer_set() {
    let environment = Environment::from_pairs([("ORDERDESK__TLS__CERTIFICATE", "")]);
    let loaded = read_with("tls.certificate = '/run/cert.pem'", &environment).expect("settings");
    assert_eq!(loaded.settings().tls.certificate, None);
}

#[test]
fn every_mistake_of_every_layer_is_reported_at_once() {
    let text = r#"listen = "127.0.0.1:1"
server = { lisen = "127.0.0.1:1" }
[limit]
x = 1
[limits]
body_bytes = 0
body_timeout = 30
connections = 70_000
listen = 1
sign_up = "60 per minute"
[tls]
mode = "none"
"#;
    let environment = Environment::from_pairs([
        ("ORDERDESK__LIMITS__BODY_BYTES", "lots"),
        ("ORDERDESK__LIMITS__BODY_BITES", "1"),
        ("ORDERDESK__API_KEY", "s3cr3t"),
        ("ORDERDESK__", "s3cr3t"),
    ]);

    let mistakes = read_with(text, &environment).expect_err("mistakes").to_string();

    insta::assert_snapshot!(mistakes);
}

#[test]
fn a_value_that_is_overridden_is_judged_all_the_same() {
    let environment = Environment::from_pairs([("ORDERDESK__LIMITS__CONNECTIONS", "7")]);
    assert!(read_with("[limits]\nconnections = 'many'", &environment).is_err());
}

#[test]
fn a_variable_that_is_not_utf8_is_a_mistake_only_if_it_is_ours() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(vec![0xff]);

    let others = Environment::from_pairs([("PATH", bad())]);
    assert!(read_with("", &others).is_ok());

    let ours = Environment::from_pairs([("ORDERDESK__TLS__MODE", bad())]);
    let mistakes = read_with("", &ours).expect_err("a mistake").to_string();
    assert_eq!(mistakes, "variable ORDERDESK__TLS__MODE: this is not UTF-8");

    let mut name = OsString::from("ORDERDESK__");
    name.push(bad());
    let unknown = Environment::from_pairs([(name, "")]);
    assert!(read_with("", &unknown).is_err());
}

#[test]
fn a_secret_in_the_file_is_told_where_it_belongs_and_never_repeated() {
    for text in [
        "[database]\nurl = 'postgres://u:s3cr3t@h/d'",
        "[server]\ndatabase_url = 's3cr3t'",
        "api_key = 's3cr3t'",
        "[server]\nsmtp_password = 's3cr3t'",
        "[secrets]\nsecret_key = 's3cr3t'",
    ] {
        let mistakes = mistakes_of(text);
        assert!(mistakes.contains("_FILE"), "{mistakes}");
        assert!(!mistakes.contains("s3cr3t"), "{mistakes}");
    }
}

#[test]
fn broken_toml_names_its_line_and_hides_its_text() {
    let text = "[server]\nlisten = s3cr3t s3cr3t\n[limits]\nbody_bites = 1\n";
    let mistakes = mistakes_of(text);
    assert!(mistakes.contains("orderdesk.toml:2: this is not TOML"), "{mistakes}");
    assert!(mistakes.contains("orderdesk.toml:4: unknown key body_bites"), "{mistakes}");
    assert!(!mistakes.contains("s3cr3t"), "{mistakes}");
}

#[test]
fn what_follows_a_broken_header_is_not_guessed_at() {
    let mistakes = read("[server]\nx = 1\n[limits\nbody_bytes = 1\ny = 2\n").expect_err("broken");
    let lines: Vec<String> = mistakes.all().iter().map(|one| one.place.to_string()).collect();
    assert!(lines.contains(&"orderdesk.toml:2".to_owned()), "{mistakes}");
    assert!(!mistakes.to_string().contains("unknown key y"), "{mistakes}");
}

#[test]
fn a_key_given_twice_is_refused() {
    let mistakes = mistakes_of("[limits]\nconnections = 1\nconnections = 2\n");
    assert!(mistakes.contains("orderdesk.toml:3: this is not TOML: duplicate key"), "{mistakes}");
}

#[test]
fn a_rule_over_several_keys_points_at_the_line_that_breaks_it() {
    let mistakes = mistakes_of("[tls]\nmode = 'files'");
    assert_eq!(
        mistakes,
        "orderdesk.toml:2: tls.mode: expected a certificate with \"files\", found \"files\""
    );
}

#[test]
fn a_default_out_of_its_own_bounds_is_found_by_the_first_test() {
    let mut reader = Reader::new(Vec::new(), Vec::new());
    let taken = reader.take("limits", Field::new("odd", "", 9_u8).within(1..=5));
    assert_eq!(taken, None);
    let (mistakes, _) = reader.into_parts();
    assert_eq!(
        Mistakes::gathered(mistakes).expect("a mistake").to_string(),
        "default: limits.odd: expected a whole number, from 1 to 5, found 9"
    );
}

#[test]
fn strange_names_cannot_upset_the_terminal() {
    let mistakes = mistakes_of("[\"\\u001b[31m\"]\n\"\\u001b\" = 1\n[server]\n\"a\\nb\" = 1\n");
    assert!(!mistakes.contains('\u{1b}'), "{mistakes:?}");
    assert_eq!(mistakes.lines().count(), 2, "{mistakes:?}");
}

#[test]
fn show_names_every_setting_with_its_origin_and_redacts_secrets() {
    let environment = Environment::from_pairs([("ORDERDESK__LIMITS__SIGN_UP", "off")]);
    let secrets = Secrets::of(&Environment::from_pairs([("API_KEY", "s3cr3t")]));
    let key = secrets.require("API_KEY").expect("the key");

    let loaded = read_with("[limits]\n\nconnections = 7", &environment);
    let (shown, mistakes) = survey(loaded, &[("API_KEY", key.origin)], Vec::new());

    insta::assert_snapshot!(shown);
    assert!(mistakes.is_ok());
}

#[test]
fn what_is_right_is_shown_beside_every_mistake() {
    let loaded = read("[limits]\nconnections = 'many'\nmigrate = false\nx = 1");

    let (shown, mistakes) = survey(loaded, &[], Vec::new());

    assert_eq!(mistakes.expect_err("two").all().len(), 2);
    assert!(shown.contains("limits.migrate = false   # orderdesk.toml:3\n"), "{shown}");
    assert!(!shown.contains("limits.connections"), "{shown}");
    let (shown, _) = survey(read("[limits]\nconnections = = 7\nmigrate = false"), &[], Vec::new());
    assert_eq!(shown, "", "the broken line could have been about anything");
}

#[test]
fn the_example_explains_every_key() {
    insta::assert_snapshot!(example::<Everything>());
}

#[test]
fn the_example_read_back_gives_the_defaults_also_with_every_default_uncommented() {
    let example = example::<Everything>();
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
        .collect();

    assert_eq!(read(&example).expect("the example").settings(), &Everything::default());
    let loaded = read(&uncommented.join("\n")).expect("the defaults, said aloud");
    assert_eq!(loaded.settings(), &Everything::default());
    assert!(loaded.shown().iter().all(|shown| shown.origin != Origin::Default));
}

#[test]
fn a_file_that_is_missing_too_large_binary_or_no_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("orderdesk.toml");
    let refusal = |path: &Path| {
        let mistakes = load::<Everything>(Some(path), &Environment::default()).expect_err("bad");
        assert_eq!(mistakes.all()[0].place, Place::File(path.to_owned()));
        mistakes.to_string()
    };
    assert!(refusal(&path).contains("cannot be read"));

    std::fs::write(&path, " ".repeat((1 << 20) + 1)).expect("a file");
    assert!(refusal(&path).contains("larger than 1048576 bytes"));

    std::fs::write(&path, b"# \xff").expect("a file");
    assert!(refusal(&path).contains("not UTF-8"));

    std::fs::remove_file(&path).expect("no file");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).expect("a pipe");
    assert!(refusal(&path).contains("not a regular file"));

    std::fs::remove_file(&path).expect("no pipe");
    std::fs::write(&path, "[limits]\nconnections = 7").expect("a file");
    let loaded = load::<Everything>(Some(&path), &Environment::default()).expect("settings");
    assert_eq!(loaded.into_settings().limits.connections, 7);
}

fn is_read_back<T: FromSetting + PartialEq + std::fmt::Debug>(
    value: T,
) -> Result<(), TestCaseError> {
    let document = format!("value = {}", value.to_toml());
    let table =
        toml::de::DeTable::parse(&document).map_err(|_| TestCaseError::fail(document.clone()))?;
    let written = table.get_ref().get("value").expect("the value");
    prop_assert_eq!(T::from_raw(&document::raw(written)), Ok(value));
    Ok(())
}

fn is_read_back_from_text<T>(value: T) -> Result<(), TestCaseError>
where
    T: FromSetting + PartialEq + std::fmt::Debug,
{
    let read = T::from_text(&value.written());
    prop_assert_eq!(read.as_ref(), Some(&value));
    is_read_back(value)
}

proptest! {
    #[test]
    fn no_variable_makes_it_panic(name in "[A-Z_]{0,20}", value in "[^\0]*") {
        let named = [(format!("ORDERDESK__{name}"), value.clone()), ("ORDERDESK__TLS__MODE".into(), value)];
        drop(read_with("", &Environment::from_pairs(named)));
    }

    #[test]
    fn numbers_and_truths_are_read_back(small: u8, large: u64, signed: i64, truth: bool) {
        is_read_back_from_text(small)?;
        is_read_back_from_text(large)?;
        is_read_back_from_text(signed)?;
        is_read_back_from_text(truth)?;
        is_read_back_from_text(Size::bytes(large))?;
    }

    #[test]
    fn texts_and_paths_are_read_back(text in ".*", path in "\\PC+") {
        is_read_back_from_text(text.clone())?;
        is_read_back(vec![text])?;
        is_read_back_from_text(PathBuf::from(&path))?;
        is_read_back_from_text(Some(PathBuf::from(path)))?;
    }

    #[test]
    fn addresses_and_networks_are_read_back(
        address: std::net::IpAddr, port: u16, prefix in 0..=32_u8, count in 0..4_usize
    ) {
        is_read_back_from_text(address)?;
        is_read_back_from_text(SocketAddr::new(address, port))?;
        let network = IpNet::new(address, prefix).expect("a prefix of either family");
        is_read_back_from_text(vec![network; count])?;
    }
}

#[test]
fn none_and_named_values_are_read_back() {
    is_read_back_from_text(None::<PathBuf>).expect("none");
    is_read_back_from_text(TlsMode::Files).expect("files");
    is_read_back_from_text(TlsMode::SelfSigned).expect("self-signed");
    is_read_back_from_text(Throttle::Off).expect("off");
    is_read_back_from_text(Rate::per_day(7).with_burst(3)).expect("a rate");
    is_read_back_from_text(Duration::from_millis(1500)).expect("a duration");
}
