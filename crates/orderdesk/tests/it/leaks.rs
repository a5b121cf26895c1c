//! Nothing leaks: a service with marked secrets is driven through every route, right and wrong,
//! at log level trace, loses its database, and crashes. Then everything it left is searched.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use palisade::config::KeyMaterial;
use palisade_testing::Markers;
use tokio::io::AsyncReadExt;

use crate::leaks_drive::{Driven, PERSONAL, drive};
use crate::support::{Folder, Setup, TestService};

/// Everything a service left behind, by the name of the place.
type Sinks = BTreeMap<&'static str, Vec<u8>>;

/// What is surely in each place: a search that misses it does not look there.
const SURELY_THERE: [(&str, &str); 17] = [
    ("log", "\"route\":\"/orders/{id}/pay\""),
    ("standard error", "\"message\":\"listening\""),
    ("error bodies", "\"code\":\"authentication_failed\""),
    ("error bodies", "\"code\":\"forbidden\""),
    ("error bodies", "\"code\":\"not_found\""),
    ("error bodies", "\"code\":\"malformed_body\""),
    ("error bodies", "\"code\":\"invalid_query\""),
    ("error bodies", "\"code\":\"unsupported_media_type\""),
    ("error bodies", "\"code\":\"bad_request\""),
    ("error bodies", "\"code\":\"headers_too_large\""),
    ("error bodies", "\"code\":\"internal\""),
    ("metrics", "route=\"/sessions\""),
    ("database", "sqlite"),
    ("OpenAPI document", "\"/orders/{id}/pay\""),
    ("config show", "API_KEY = [redacted]"),
    ("what it says when it cannot start", "orderdesk: "),
    ("program", "SECRET_KEY_PREVIOUS"),
];

/// Places where nothing at all may be.
const EMPTY: [&str; 2] = ["standard output", "core files"];

#[tokio::test]
async fn no_secret_is_found_in_anything_that_a_service_leaves_behind() {
    let secrets = Marked::new();
    let mut app = secrets.setup().start().await;

    let driven = drive(&app).await;
    let sinks = gather(&mut app, &driven).await;

    let mut markers = secrets.markers();
    for (name, secret) in &driven.secrets {
        markers.add(name, secret);
    }
    for (place, bytes) in &sinks {
        assert_eq!(markers.found_in(bytes), [""; 0], "in {place}: {}", lossy(bytes));
    }
    for place in EMPTY {
        assert_eq!(lossy(&sinks[place]), "", "{place}");
    }
    assert_it_would_have_been_found(&sinks, &markers);
}

#[tokio::test]
async fn no_personal_value_is_found_where_operators_look() {
    let mut app = Marked::new().setup().start().await;

    let driven = drive(&app).await;
    let sinks = gather(&mut app, &driven).await;

    let mut markers = Markers::default();
    for (name, value) in PERSONAL {
        markers.add(name, value);
    }
    assert!(!markers.found_in(&sinks["database"]).is_empty(), "they were never stored");
    for place in ["log", "standard error", "standard output", "metrics", "OpenAPI document"] {
        assert_eq!(markers.found_in(&sinks[place]), [""; 0], "{place}: {}", lossy(&sinks[place]));
    }
}

#[tokio::test]
async fn a_start_that_is_refused_names_every_mistake_and_no_secret() {
    let secrets = Marked::new();
    let password = KeyMaterial::generate();
    let refusals = [
        ("DATABASE_URL", format!("postgres://orderdesk:{}@127.0.0.1/x", password.expose())),
        ("API_KEY", format!("change-me-{}", password.expose())),
        ("SECRET_KEY", format!("{} with a blank", password.expose())),
        ("API_KEY_FILE", password.expose().clone()),
        ("ORDERDESK__DATABASE__PASSWORD", password.expose().clone()),
    ];
    let mut markers = secrets.markers();
    markers.add("the refused secret", password.expose());

    for (name, value) in refusals {
        let folder = secrets.setup().variable(name, &value).folder();
        secrets.put_files(&folder);
        for command in [&["serve"][..], &["config", "show"], &["migrate"]] {
            let finished = folder.command(command.iter().copied()).run().await;
            let said = [finished.stdout.as_bytes(), finished.stderr.as_bytes()].concat();
            assert_eq!(markers.found_in(&said), [""; 0], "{name}, {command:?}: {}", lossy(&said));
        }
        folder.serve().run().await.assert_code(1);
    }
}

/// Secrets that nothing else in the world holds.
struct Marked {
    keys: Vec<(&'static str, String)>,
}

impl Marked {
    fn new() -> Self {
        let names = ["API_KEY", "API_KEY_PREVIOUS", "SECRET_KEY", "SECRET_KEY_PREVIOUS"];
        let make = |name| (name, KeyMaterial::generate().expose().clone());
        Self { keys: names.map(make).to_vec() }
    }

    /// Gives two of them as variables and two as files, and says everything there is to say.
    fn setup(&self) -> Setup {
        let mut setup = Setup::default().setting("log.level", "trace");
        for (name, secret) in &self.keys {
            setup = setup.variable(name, secret);
        }
        setup
    }

    /// Makes the file that one refused start points to.
    fn put_files(&self, folder: &Folder) {
        let file = folder.path().join("key");
        fs::write(&file, &self.keys[0].1).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }

    fn markers(&self) -> Markers {
        let mut markers = Markers::default();
        for (name, secret) in &self.keys {
            markers.add(name, secret);
            markers.add(name, data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap());
        }
        markers
    }
}

/// Takes the database away, crashes the service, and collects what is left.
async fn gather(app: &mut TestService, driven: &Driven) -> Sinks {
    let process = PathBuf::from(format!("/proc/{}", app.service.pid()));
    let metrics = app.admin().get("/metrics").send().await.body().to_vec();
    let mut answers = driven.refusals.clone();
    let database = app.folder.database_bytes();
    answers.extend(driven.without_a_database(app).await);
    // Nobody but root may read what belongs to a process that cannot be dumped.
    let read = |file: &str| match fs::read(process.join(file)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Vec::new(),
        bytes => bytes.unwrap(),
    };
    let (environ, status) = (read("environ"), read("cmdline"));
    app.service.crash().await;
    let refused = app.folder.serve().run().await.assert_code(1).stderr.clone();
    let said = |command: &'static [&'static str]| {
        let run = app.folder.command(command.iter().copied()).run();
        async move { run.await.assert_code(0).stdout.clone().into_bytes() }
    };
    let stderr = app.service.stderr().into_bytes();
    Sinks::from([
        ("standard output", app.service.stdout().into_bytes()),
        ("log", stderr.clone()),
        ("standard error", stderr),
        ("error bodies", answers),
        ("metrics", metrics),
        ("environment", environ),
        ("command line", status),
        ("core files", core_files(app.folder.path())),
        ("database", [database, app.folder.database_bytes()].concat()),
        ("what it says when it cannot start", refused.into_bytes()),
        ("OpenAPI document", said(&["openapi"]).await),
        ("config show", said(&["config", "show"]).await),
        ("program", fs::read(env!("CARGO_BIN_EXE_orderdesk")).unwrap()),
    ])
}

/// Returns whatever lies in the service's folder and is not one of its files.
fn core_files(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("orderdesk.") {
            bytes.extend(fs::read(path).unwrap());
        }
    }
    bytes
}

/// Plants every form of every secret in every place, one after the other, and asks for it.
fn assert_it_would_have_been_found(sinks: &Sinks, markers: &Markers) {
    for (place, there) in SURELY_THERE {
        let sink = &sinks[place];
        let is_there =
            sink.windows(there.len()).any(|window| window.eq_ignore_ascii_case(there.as_bytes()));
        assert!(is_there, "{there} is not in {place}, so what was searched is something else");
    }
    for (place, bytes) in sinks {
        // Its end, and not all of it: a megabyte for each of some hundred forms takes minutes.
        let end = bytes.get(bytes.len().saturating_sub(2_000)..).unwrap_or_default();
        for (name, planted) in markers.planted() {
            let sink = [end, planted, end].concat();
            assert!(markers.found_in(&sink).contains(&name), "{name}, planted in {place}");
        }
    }
}

#[tokio::test]
async fn the_environment_of_a_process_that_does_not_clear_it_is_a_leak_that_is_found() {
    let secret = KeyMaterial::generate();
    let mut markers = Markers::default();
    markers.add("it", secret.expose());
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", "echo ready; read line"])
        .env("API_KEY", secret.expose())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Before its first words it may still be on the way to what it is to be.
    let mut word = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut word).await.unwrap();

    let environ = fs::read(format!("/proc/{}/environ", child.id().unwrap())).unwrap();

    assert!(markers.found_in(&environ).contains(&"it as plain text".to_owned()));
    child.kill().await.unwrap();
}

#[test]
fn the_program_holds_no_key_of_its_tests_and_no_private_key() {
    let mut markers = Markers::default();
    markers.add("API_KEY", crate::support::API_KEY);
    markers.add("SECRET_KEY", crate::support::SECRET_KEY);

    let program = fs::read(env!("CARGO_BIN_EXE_orderdesk")).unwrap();

    assert_eq!(markers.found_in(&program), [""; 0]);
    let private_key: &[u8] = b"PRIVATE KEY-----\nMI";
    assert!(!program.windows(private_key.len()).any(|window| window == private_key));
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(20_000)).unwrap_or_default()).into_owned()
}
