//! What a stranger finds who runs code as the service's user, and inside the service itself.
//!
//! The attacks are in `attacks.c`, which is put into the real program by `LD_PRELOAD`: nothing of
//! them is in the product. Each is tried without the lockdown too, so that one that never works
//! cannot pass for a defence.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palisade::clock::{Clock, SystemClock};
use palisade_testing::{Finished, Program, Service};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{API_KEY, SOMEBODY, Setup, TestService, give, is_root};

/// How a process ends that calls what no service calls.
const SIGSYS: i32 = 31;

/// How an attack is answered.
const NO_CALL: &str = "ENOSYS";
const NO_FAMILY: &str = "EAFNOSUPPORT";
const NO_ACCESS: &str = "EACCES";

#[tokio::test]
async fn a_process_of_the_same_user_reads_neither_environment_nor_memory_nor_maps() {
    let Some(locked) = enforced().await else { return };
    let open = Setup::default().by_somebody().setting("sandbox.mode", "off").start().await;

    for file in ["environ", "mem", "maps"] {
        let refused = look_into(&locked, file).await;
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{file}: {refused:?}");
        assert!(refused.stderr.contains("Permission denied"), "{file}: {}", refused.stderr);
    }
    assert!(look_into(&open, "environ").await.stdout.contains(API_KEY));
    assert!(look_into(&open, "maps").await.stdout.contains("orderdesk"));
}

#[tokio::test]
async fn nothing_is_left_of_the_environment_and_the_arguments_stay() {
    let open = Setup::default().setting("sandbox.mode", "off").start().await;
    let locked = TestService::start().await;
    let shown = |app: &TestService, file| {
        fs::read(format!("/proc/{}/{file}", app.service.pid())).map_err(|error| error.kind())
    };

    assert!(String::from_utf8(shown(&open, "environ").unwrap()).unwrap().contains(API_KEY));
    match shown(&locked, "environ") {
        Ok(bytes) => assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 0)),
        // Only root may look at all.
        Err(refused) => assert_eq!(refused, std::io::ErrorKind::PermissionDenied),
    }
    assert!(shown(&locked, "cmdline").unwrap().ends_with(b"\0serve\0"));
}

#[tokio::test]
async fn a_command_that_waits_for_a_password_shows_no_environment() {
    let folder = Setup::default().folder();
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_orderdesk"))
        .args(["user", "add", "--username", "ada", "--email", "a@example.com"])
        .args(["--role", "customer"])
        .env_clear()
        .envs(folder.environment())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let environ = format!("/proc/{}/environ", waiting.id().unwrap());

    let is_gone = async {
        while fs::read(&environ).unwrap().iter().any(|byte| *byte != 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };

    tokio::time::timeout(Duration::from_secs(20), is_gone).await.unwrap();
    assert!(waiting.try_wait().unwrap().is_none(), "it still waits for the password");
}

#[tokio::test]
async fn code_inside_the_service_opens_no_file_but_its_own() {
    let Some(library) = attacks().await else { return };
    let outside = tempfile::tempdir().unwrap();
    give(outside.path(), is_root().then_some(SOMEBODY));
    let (file, link) = (outside.path().join("file"), outside.path().join("link"));

    for (attack, path) in [
        ("read", Path::new("/etc/passwd")),
        ("read", Path::new("/proc/self/maps")),
        ("list", Path::new("/")),
        ("write", file.as_path()),
        ("link", link.as_path()),
    ] {
        let path = path.to_str().unwrap();
        assert_eq!(library.tries(attack, path, "off").await, "succeeded", "{attack} {path}");
        if attack == "link" {
            fs::remove_file(&link).unwrap();
        }
        let refused = library.tries(attack, path, "enforce").await;
        // What is told first is the kernel's choice: symlinks are refused as calls.
        let expected = if attack == "link" { NO_CALL } else { NO_ACCESS };
        assert_eq!(refused, expected, "{attack} {path}");
    }
    assert_eq!(library.tries("read", "/dev/urandom", "enforce").await, "succeeded");
}

#[tokio::test]
async fn code_inside_the_service_makes_no_process_no_socket_and_no_code() {
    let Some(library) = attacks().await else { return };

    for (attack, refused) in [
        ("fork", NO_CALL),
        ("internet-socket", NO_FAMILY),
        ("netlink-socket", NO_FAMILY),
        ("map-code", NO_CALL),
        ("make-code", NO_CALL),
        ("dumpable", NO_CALL),
        ("limits", NO_CALL),
        ("memory-file", NO_CALL),
        ("datagrams", NO_CALL),
        ("signals-to-others", NO_CALL),
    ] {
        assert_eq!(library.tries(attack, "", "off").await, "succeeded", "{attack}");
        assert_eq!(library.tries(attack, "", "enforce").await, refused, "{attack}");
    }
}

#[tokio::test]
async fn code_inside_the_service_reaches_no_other_process_and_no_other_service() {
    let Some(library) = attacks().await else { return };
    let other = Setup::default().by_somebody().start().await;
    let (process, port) = (other.service.pid(), other.service.public().port());

    for (attack, target) in [
        ("signal", process.to_string()),
        ("reconnect", port.to_string()),
        ("open-by-sending", port.to_string()),
    ] {
        assert_eq!(library.tries(attack, &target, "off").await, "succeeded", "{attack}");
        assert_eq!(library.tries(attack, &target, "enforce").await, NO_CALL, "{attack}");
    }
}

#[tokio::test]
async fn code_inside_the_service_opens_no_file_to_others_and_leaves_no_program_behind() {
    let Some(library) = attacks().await else { return };

    for (attack, file) in [("change-mode", "orderdesk.db"), ("set-user-id", "program")] {
        assert_eq!(library.tries(attack, file, "off").await, "succeeded", "{attack}");
        assert_eq!(library.tries(attack, file, "enforce").await, NO_CALL, "{attack}");
    }
}

#[tokio::test]
async fn what_only_an_attacker_calls_ends_the_service() {
    let Some(library) = attacks().await else { return };

    for attack in ["execute", "trace", "namespace"] {
        let mut app = library.put_into(attack, "", "enforce").await;
        app.client().get("/openapi.json").try_send().await.unwrap_err();

        let ended = app.service.ended(Duration::from_secs(20)).await;

        assert_eq!(ended.signal(), Some(SIGSYS), "{attack}: {}", app.service.stderr());
    }
}

#[tokio::test]
async fn an_order_goes_its_whole_way_through_a_restart_in_a_locked_down_service() {
    let Some(mut app) = enforced().await else { return };
    let ada = app.customer("ada").await;
    let operator = app.operator("grace").await;

    let order = ada.places_order("12.50").await;
    operator.pay(&order).await.assert_status(200);
    app.kill_and_restart().await;
    app.again(&operator).ship(&order).await.assert_status(200);
    app.restart().await;

    let order = app.again(&ada).order(&order).await.assert_status(200).json();
    assert_eq!(order["status"], "shipped");
    assert!(app.service.terminate().await.success(), "{}", app.service.stderr());
}

#[tokio::test]
async fn a_certificate_behind_swapped_links_is_renewed_in_a_locked_down_service() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let user = is_root().then_some(SOMEBODY);
    give(folder.path(), user);
    // As Kubernetes mounts a secret: the files are links into a folder that is a link.
    for version in ["..1", "..2"] {
        palisade::http::self_signed(&at(version), SystemClock.now()).unwrap();
        for file in ["", "certificate.pem", "key.pem"] {
            give(&at(version).join(file), user);
        }
    }
    symlink("..1", at("..data")).unwrap();
    for file in ["certificate.pem", "key.pem"] {
        symlink(Path::new("..data").join(file), at(file)).unwrap();
    }
    let setup = Setup::default().by_somebody().setting("sandbox.mode", strictest().await);
    let setup = setup.setting("tls.mode", "files");
    let setup = setup.setting("tls.certificate", at("certificate.pem").to_str().unwrap());
    let app = setup.setting("tls.key", at("key.pem").to_str().unwrap()).start().await;

    symlink("..2", at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();

    app.service.wait_for_line(|line| line.contains("the certificate was read again")).await;
}

#[tokio::test]
async fn what_took_effect_is_logged_and_counted() {
    let Some(app) = enforced().await else { return };

    let line = app.service.wait_for_line(|line| line.contains("locked down")).await;
    let metrics = app.admin().get("/metrics").send().await.assert_status(200).text();

    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["mode"], &line["level"]), (&"enforce".into(), &"INFO".into()));
    for measure in MEASURES {
        assert!(line["taken"].as_str().unwrap().contains(measure), "{line}");
        let series = format!("palisade_lockdown{{measure=\"{measure}\"}} 1\n");
        assert!(metrics.contains(&series), "{measure}\n{metrics}");
    }
}

#[tokio::test]
async fn best_effort_goes_on_with_less_and_says_exactly_what() {
    let Some(library) = attacks().await else { return };

    for (kernel, missing) in [
        ("no-landlock", &["files", "network", "signals"][..]),
        ("landlock-2", &["files", "network", "signals"]),
        ("no-seccomp", &["system_calls"]),
    ] {
        let app = library.on(kernel, "best-effort").start().await;
        let line = app.service.wait_for_line(|line| line.contains("locked down in part")).await;
        let metrics = app.admin().get("/metrics").send().await.assert_status(200).text();

        for measure in MEASURES {
            let is_missing = missing.contains(&measure);
            let value = if is_missing { 0 } else { 1 };
            let series = format!("palisade_lockdown{{measure=\"{measure}\"}} {value}\n");
            assert!(metrics.contains(&series), "{kernel}: {series}\n{metrics}");
            let told = line.split("\"missing\":").nth(1).unwrap().contains(measure);
            assert_eq!(told, is_missing, "{kernel}: {line}");
        }
    }
}

#[tokio::test]
async fn enforce_refuses_to_start_with_less_and_says_what_is_missing() {
    let Some(library) = attacks().await else { return };

    for (kernel, words) in [
        ("no-landlock", "files (this kernel has no Landlock)"),
        ("landlock-2", "network (needs Linux 6.7; this kernel has Landlock ABI 2)"),
        ("no-seccomp", "system_calls (Error calling `seccomp`"),
    ] {
        let folder = library.on(kernel, "enforce").folder();

        let refused = folder.serve().run().await;

        assert!(refused.assert_code(1).stderr.contains(words), "{kernel}: {}", refused.stderr);
        assert!(refused.stderr.contains("best-effort"), "{}", refused.stderr);
        assert!(!folder.database().exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn root_becomes_another_user_for_good_once_it_listens() {
    if !is_root() {
        return skipped("root is needed to become somebody else");
    }
    let someone = SOMEBODY;
    let setup = Setup::default().setting("sandbox.user", &format!("{someone}:{someone}"));
    let folder = setup.folder();
    let socket = folder.path().join("public.sock");
    give(folder.path(), Some(someone));
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());

    let serve = folder.serve().env("ORDERDESK__SERVER__LISTEN", listen);
    let mut app = TestService { service: serve.start().await, folder };

    let status = fs::read_to_string(format!("/proc/{}/status", app.service.pid())).unwrap();
    for expected in [
        format!("Uid:\t{someone}\t{someone}\t{someone}\t{someone}\n"),
        format!("Gid:\t{someone}\t{someone}\t{someone}\t{someone}\n"),
        format!("Groups:\t{someone} \n"),
        "CapPrm:\t0000000000000000\n".to_owned(),
        "CapEff:\t0000000000000000\n".to_owned(),
    ] {
        assert!(status.contains(&expected), "{expected:?}\n{status}");
    }
    assert!(!app.service.stderr().contains("running as root"));
    app.customer("ada").await.places_order("12.50").await;
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&socket).unwrap());
    assert_eq!(owner, someone, "the socket is the service's");
    assert!(app.service.terminate().await.success());
    assert!(!socket.exists(), "and is removed at the end");
}

#[tokio::test]
async fn a_user_who_cannot_write_the_database_is_refused_with_the_name_of_the_folder() {
    if !is_root() {
        return skipped("root is needed to become somebody else");
    }
    let folder = Setup::default().setting("sandbox.user", "65533:65533").folder();

    let refused = folder.serve().run().await;

    let (stderr, place) = (&refused.assert_code(1).stderr, folder.path().display().to_string());
    assert!(stderr.contains("user 65533 may not write") && stderr.contains(&place), "{stderr}");
}

#[tokio::test]
async fn a_user_who_is_not_there_or_not_to_be_had_is_refused_before_anything_is_bound() {
    let nobody = Setup::default().setting("sandbox.user", "no-such-user").folder();
    let other = Setup::default().by_somebody().setting("sandbox.user", "1:1").folder();

    let unknown = nobody.serve().run().await;
    let refused = other.serve().run().await;

    assert!(unknown.assert_code(1).stderr.contains("no such user"), "{}", unknown.stderr);
    assert!(refused.assert_code(1).stderr.contains("start it as root"), "{}", refused.stderr);
}

/// Everything that is taken from a process that is not root.
const MEASURES: [&str; 10] = [
    "environment",
    "user",
    "capabilities",
    "core_files",
    "memory",
    "privileges",
    "files",
    "network",
    "signals",
    "system_calls",
];

/// Starts a service that has everything taken from it, as a user who is not root.
///
/// `None`, and the reason on standard error, where this machine cannot do it.
async fn enforced() -> Option<TestService> {
    let folder = Setup::default().by_somebody().setting("sandbox.mode", "enforce").folder();
    match folder.serve().try_start().await {
        Ok(service) => Some(TestService { service, folder }),
        Err(error) if error.to_string().contains("demands what cannot be had here") => {
            skipped(&error.to_string());
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// Returns "enforce", or where this machine cannot do that, "best-effort", and says so.
pub(crate) async fn strictest() -> &'static str {
    if enforced().await.is_some() { "enforce" } else { "best-effort" }
}

/// Tells on standard error why a test shows nothing on this machine.
fn skipped(reason: &str) {
    std::io::stderr().lock().write_all(format!("SKIPPED: {reason}\n").as_bytes()).unwrap();
}

/// Reads a file of the service's process as the user that it runs as.
async fn look_into(app: &TestService, file: &str) -> Finished {
    let path = format!("/proc/{}/{file}", app.service.pid());
    let cat = Service::builder(Path::new("cat")).args([path]).env("PATH", "/usr/bin:/bin");
    let cat: Program = if is_root() { cat.user(SOMEBODY) } else { cat };
    cat.run().await
}

/// The attacks as a library to load.
struct Attacks {
    folder: TempDir,
}

/// Compiles the attacks; `None`, and the reason on standard error, where `enforce` is not to be had.
async fn attacks() -> Option<Attacks> {
    enforced().await?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/attacks.c");
    let folder = tempfile::tempdir().unwrap();
    let attacks = Attacks { folder };
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .args([attacks.library(), source])
        .arg("-ldl")
        .status();
    assert!(compiler.await.unwrap().success(), "the attacks do not compile");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(attacks.folder.path(), everybody).unwrap();
    Some(attacks)
}

impl Attacks {
    fn library(&self) -> PathBuf {
        self.folder.path().join("attacks.so")
    }

    /// Describes a service with the library in it, on a machine that has what `kernel` says.
    fn on(&self, kernel: &str, mode: &str) -> Setup {
        Setup::default()
            .by_somebody()
            .setting("sandbox.mode", mode)
            .variable("LD_PRELOAD", self.library().to_str().unwrap())
            .variable("KERNEL", kernel)
    }

    /// Starts a service in which `attack` is tried as soon as it is asked for something.
    async fn put_into(&self, attack: &str, argument: &str, mode: &str) -> TestService {
        let setup = self.on("", mode).variable("ATTACK", attack);
        setup.variable("ATTACK_ARGUMENT", argument).start().await
    }

    /// Returns what an attack comes to: "succeeded", or the name of the error.
    async fn tries(&self, attack: &str, argument: &str, mode: &str) -> String {
        let app = self.put_into(attack, argument, mode).await;
        // A connection that was turned elsewhere is answered by nobody.
        app.client().get("/openapi.json").try_send().await.ok();
        let line = app.service.wait_for_line(|line| line.starts_with("attack: ")).await;
        line.trim_start_matches("attack: ").to_owned()
    }
}

#[tokio::test]
async fn a_database_behind_a_link_is_served_from_where_it_is() {
    let folder = Setup::default().by_somebody().folder();
    let elsewhere = tempfile::tempdir().unwrap();
    give(elsewhere.path(), is_root().then_some(SOMEBODY));
    let real = elsewhere.path().join("real.db");
    fs::write(&real, "").unwrap();
    give(&real, is_root().then_some(SOMEBODY));
    fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&real, folder.database()).unwrap();

    let app = TestService { service: folder.serve().start().await, folder };

    app.customer("ada").await.places_order("12.50").await;
    assert!(fs::metadata(&real).unwrap().len() > 0);
}
