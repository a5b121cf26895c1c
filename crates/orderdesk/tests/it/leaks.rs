//! Nothing leaks: a service with marked secrets is driven through every route, right and wrong, at
//! log level trace, is given settings with secrets in them, loses its database, and crashes. Then
//! everything it left is searched.
//!
//! No request and no damage is known that makes it panic, and a hook for tests would be one for
//! strangers: here its log is asserted to tell of no panic, and what a panic may say is for the
//! library's example `careless`, which does. A database with a password is not served yet
//! (PostgreSQL): what is said of one is a start that is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use palisade::config::KeyMaterial;
use palisade_testing::{Markers, Sinks};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::leaks_crash::assert_crashes_without_a_core;
use crate::leaks_drive::{Driven, PERSONAL, drive};
use crate::leaks_reload::reload_with_secrets;
use crate::support::{
    API_KEY, SECRET_KEY, SOMEBODY, Setup, TestService, give, is_root, order_body,
};

/// What is surely in each place: a search that misses it does not look there.
const SURELY_THERE: [(&str, &str); 22] = [
    ("log on standard error", "\"route\":\"/orders/{id}/pay\""),
    ("log on standard error", "\"message\":\"listening\""),
    ("log on standard error", "\"message\":\"a setting is wrong\""),
    ("log on standard error", "\"message\":\"a setting was changed\""),
    ("log on standard error", "\"message\":\"a changed setting needs a restart\""),
    ("answers", "\"code\":\"authentication_failed\""),
    ("answers", "\"code\":\"forbidden\""),
    ("answers", "\"code\":\"not_found\""),
    ("answers", "\"code\":\"malformed_body\""),
    ("answers", "\"code\":\"invalid_query\""),
    ("answers", "\"code\":\"unsupported_media_type\""),
    ("answers", "\"code\":\"bad_request\""),
    ("answers", "\"code\":\"headers_too_large\""),
    ("answers", "\"code\":\"internal\""),
    ("metrics", "route=\"/sessions\""),
    ("database", "sqlite"),
    ("readiness", "settings were read again and refused"),
    ("openapi", "\"/orders/{id}/pay\""),
    ("config show", "API_KEY = [redacted]"),
    ("check --format json", "\"findings\""),
    ("serve", "orderdesk: "),
    ("program", "SECRET_KEY_PREVIOUS"),
];

/// What is run beside the service and after it.
const COMMANDS: [&[&str]; 7] = [
    &["openapi"],
    &["routes"],
    &["config", "show"],
    &["check"],
    &["check", "--format", "json"],
    &["migrate"],
    &["serve"],
];

#[tokio::test]
async fn no_secret_is_found_in_anything_that_a_service_leaves_behind() {
    let secrets = Marked::new();
    let mut app = secrets.start().await;

    let driven = drive(&app).await;
    let sinks = gather(&mut app, &driven).await;

    let mut markers = secrets.markers();
    for (name, secret) in &driven.secrets {
        markers.add(name, secret);
    }
    markers.add("session token's random part", random_part(driven.secret("session token")));
    sinks.assert_without(&markers);
    assert_eq!(String::from_utf8_lossy(sinks.at("standard output")), "");
    for (place, there) in SURELY_THERE {
        assert!(sinks.says(place, there), "{there} is not in {place}: it is something else");
    }
    assert!(!sinks.says("log on standard error", "panicked"), "something made it panic");
}

#[tokio::test]
async fn no_personal_value_is_found_where_operators_look() {
    let mut app = Marked::new().start().await;

    let driven = drive(&app).await;
    let sinks = gather(&mut app, &driven).await;

    let mut markers = Markers::default();
    for (name, value) in PERSONAL {
        markers.add(name, value);
    }
    let mut holding = sinks.holding(&markers);
    assert!(holding.contains(&"database"), "they were never stored");
    // Whoever they belong to is answered with them.
    let may = |place: &str| ["answers", "database"].contains(&place) || place.contains(".db");
    holding.retain(|place| !may(place));
    assert_eq!(holding, [""; 0]);
}

#[tokio::test]
async fn a_token_that_is_stored_as_text_or_as_bytes_is_a_leak_that_is_found_in_the_database() {
    for is_text in [true, false] {
        let mut app = TestService::start().await;
        let ada = app.customer("ada").await;
        let token = ada.token.clone().unwrap();
        let mut order = order_body("12.50");
        order["reference"] = if is_text { token.clone().into() } else { "mine".into() };
        ada.post("/orders").json(order).send().await.assert_status(201);
        assert!(app.service.terminate().await.success());
        if !is_text {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(random_part(&token).as_bytes());
            let database = app.folder.open_database();
            database.execute("CREATE TABLE debug (token BLOB)", ()).unwrap();
            database.execute("INSERT INTO debug VALUES (?1)", [bytes.unwrap()]).unwrap();
        }

        let mut sinks = Sinks::default();
        sinks.add_left(&app.service);

        let mut markers = Markers::default();
        markers.add("session token", &token);
        markers.add("session token's random part", random_part(&token));
        assert_eq!(sinks.holding(&markers), ["file orderdesk.db"]);
    }
}

#[tokio::test]
async fn a_start_that_is_refused_names_every_mistake_and_no_secret() {
    let secrets = Marked::new();
    let key = KeyMaterial::generate();
    let key = key.expose();
    let database =
        |place: &str| place.replace("KEY", key).replace("WORD", "Zebra%26%2Fp%40ssw0rd2026");
    let refusals = [
        ("DATABASE_URL", database("postgres://orderdesk:KEY@127.0.0.1/x")),
        ("DATABASE_URL", database("postgres://orderdesk:WORD@127.0.0.1/x")),
        ("DATABASE_URL", database("postgresql://127.0.0.1/x?user=desk&password=KEY")),
        ("DATABASE_URL", database("sqlite://orderdesk:WORD@/x.db")),
        ("DATABASE_URL", database("mysql://orderdesk:KEY@127.0.0.1/x")),
        ("DATABASE_URL_FILE", database("postgres://orderdesk:WORD@127.0.0.1/x")),
        ("ORDERDESK__DATABASE__URL", database("postgres://orderdesk:KEY@127.0.0.1/x")),
        ("API_KEY", format!("change-me-{key}")),
        ("SECRET_KEY", format!("{key} with a blank")),
        ("API_KEY_FILE", key.clone()),
        ("ORDERDESK__DATABASE__PASSWORD", key.clone()),
    ];
    let mut markers = secrets.markers();
    markers.add("the refused key", key);
    markers.add("the database's password", "Zebra&/p@ssw0rd2026");

    for (name, value) in refusals {
        let folder = secrets.setup().variable(name, &value).folder();
        let mut sinks = Sinks::default();
        for command in COMMANDS {
            let finished = folder.command(command.iter().copied()).run().await;
            sinks.add(&command.join(" "), finished.stdout + &finished.stderr);
        }
        sinks.assert_without(&markers);
        assert!(sinks.says("serve", "orderdesk: "), "{name}");
        folder.serve().run().await.assert_code(1);
    }
}

#[tokio::test]
async fn the_command_line_of_a_process_is_a_leak_that_is_found() {
    let secret = KeyMaterial::generate();
    let mut markers = Markers::default();
    markers.add("it", secret.expose());
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", "echo ready; read line", "sh", secret.expose()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Before its first words it may still be on the way to what it is to be.
    let mut word = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut word).await.unwrap();

    let arguments = fs::read(format!("/proc/{}/cmdline", child.id().unwrap())).unwrap();

    assert!(markers.found_in(&arguments).contains(&"it as plain text".to_owned()));
    child.kill().await.unwrap();
}

#[test]
fn the_program_holds_no_key_of_its_tests_and_no_private_key() {
    let mut markers = Markers::default();
    markers.add("API_KEY", API_KEY);
    markers.add("SECRET_KEY", SECRET_KEY);

    let program = fs::read(env!("CARGO_BIN_EXE_orderdesk")).unwrap();

    assert_eq!(markers.found_in(&program), [""; 0]);
    let test = fs::read("/proc/self/exe").unwrap();
    let found = markers.found_in(&test);
    assert!(found.contains(&"API_KEY as plain text".to_owned()), "the tests do: {found:?}");
    let private_key: &[u8] = b"PRIVATE KEY-----\nMI";
    assert!(!program.windows(private_key.len()).any(|window| window == private_key));
}

/// Secrets that nothing else in the world holds.
pub(crate) struct Marked {
    given: Vec<(&'static str, String)>,
    in_files: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Marked {
    pub(crate) fn new() -> Self {
        let make = |name| (name, KeyMaterial::generate().expose().clone());
        let given = ["API_KEY", "SECRET_KEY"].map(make).to_vec();
        let in_files = ["API_KEY_PREVIOUS", "SECRET_KEY_PREVIOUS"].map(make).to_vec();
        let folder = tempfile::tempdir().unwrap();
        let user = is_root().then_some(SOMEBODY);
        give(folder.path(), user);
        for (name, secret) in &in_files {
            let file = folder.path().join(name);
            fs::write(&file, secret).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            give(&file, user);
        }
        Self { given, in_files, folder }
    }

    /// Gives two of them as variables and two as files, and says everything there is to say.
    pub(crate) fn setup(&self) -> Setup {
        let mut setup = Setup::default().by_somebody().file("").setting("log.level", "trace");
        for (name, secret) in &self.given {
            setup = setup.variable(name, secret);
        }
        for (name, _) in &self.in_files {
            let file = self.folder.path().join(name);
            setup = setup.variable(&format!("{name}_FILE"), file.to_str().unwrap());
        }
        setup
    }

    /// Starts a service that could write a core file, if it did not take that from itself.
    async fn start(&self) -> TestService {
        let folder = self.setup().folder();
        let service = folder.serve().may_dump_core().start().await;
        TestService { service, folder }
    }

    pub(crate) fn markers(&self) -> Markers {
        let mut markers = Markers::default();
        for (name, secret) in self.given.iter().chain(&self.in_files) {
            markers.add(name, secret);
        }
        markers
    }
}

/// Gives the service settings with secrets in them, takes its database away, crashes it, and
/// collects what is left.
async fn gather(app: &mut TestService, driven: &Driven) -> Sinks {
    let mut sinks = Sinks::default();
    sinks.add("answers", &driven.refusals);
    sinks.add("readiness", reload_with_secrets(app, driven).await);
    sinks.add_running(&app.service).await;
    sinks.add("database", app.folder.database_bytes());
    sinks.add("answers", driven.without_a_database(app).await);
    assert_crashes_without_a_core(&mut app.service).await;
    sinks.add_left(&app.service);
    for command in COMMANDS {
        let finished = app.folder.command(command.iter().copied()).run().await;
        sinks.add(&command.join(" "), finished.stdout + &finished.stderr);
    }
    sinks.add("program", fs::read(env!("CARGO_BIN_EXE_orderdesk")).unwrap());
    sinks
}

/// Returns the 32 random bytes of a token, in base64url: without its prefix and its checksum.
fn random_part(token: &str) -> &str {
    token.strip_prefix("ods_").and_then(|rest| rest.get(..43)).unwrap()
}
