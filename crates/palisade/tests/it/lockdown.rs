//! What is left to a process that connects somewhere: tried from inside, in a process of its own.
//!
//! The test starts its own binary again, for a test that does nothing otherwise. There the lockdown
//! holds for one thread of several, which it must say; on that thread everything is tried.

#![expect(clippy::disallowed_types, reason = "what is tried is whether a connection goes out")]

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use palisade::config::Environment;
use palisade::process::{Measure, Needs, Report, Sandbox, State, lock_down};
use palisade_testing::Service;

/// Where the child may write; set, it tells the test that it is the child.
const FOLDER: &str = "PALISADE_TEST_LOCKED_DOWN_IN";

#[tokio::test]
async fn a_process_that_connects_reaches_the_ports_that_it_lists_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let binary = std::env::current_exe().unwrap();

    let tried = Service::builder(&binary)
        .args(["--exact", "lockdown::inside_a_process_of_its_own", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .run()
        .await;

    tried.assert_code(0);
    assert!(tried.stdout.contains("1 passed"), "{}", tried.stdout);
    let said = fs::read_to_string(folder.path().join("outcome")).unwrap();
    if said != "tried" {
        // Told by whoever runs the tests with their output.
        assert_eq!(said, "this kernel has less than Landlock ABI 6");
    }
}

#[test]
#[ignore = "runs in a process of its own, which another test starts"]
fn inside_a_process_of_its_own() {
    let Some(folder) = Environment::of_process().path(FOLDER) else { return };
    let (listed, other) = (listener(), listener());
    let name = format!("palisade-test-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(name).unwrap();
    let _held = UnixListener::bind_addr(&abstract_address).unwrap();
    let needs = Needs::new().writes(&folder).connects(port(&listed));

    let report = lock_down(Sandbox::BestEffort, None, &needs).unwrap();

    assert_says_that_threads_ran(&report);
    if !is_whole(&report) {
        return fs::write(folder.join("outcome"), "this kernel has less than Landlock ABI 6")
            .unwrap();
    }
    connect_only_to(&listed, &other);
    assert!(UdpSocket::bind("127.0.0.1:0").is_err() && TcpListener::bind("127.0.0.1:0").is_err());
    // Bound before the lockdown, it is as outside as another process's.
    let reached = UnixStream::connect_addr(&abstract_address).map(drop);
    assert_eq!(reached.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
    use_only(&folder);
    fs::write(folder.join("outcome"), "tried").unwrap();
}

/// The kernel has all that is asked: what is missing is missing for other threads only.
fn is_whole(report: &Report) -> bool {
    report.missing().all(|outcome| outcome.detail.contains("threads ran already"))
}

fn assert_says_that_threads_ran(report: &Report) {
    let privileges = report.outcomes().iter().find(|one| one.measure == Measure::Privileges);
    let privileges = privileges.unwrap();
    assert_eq!(privileges.state, State::Missing);
    assert!(privileges.detail.contains("threads ran already"), "{}", privileges.detail);
    assert!(report.is_in_effect(Measure::Memory), "it holds for all threads");
}

fn connect_only_to(listed: &TcpListener, other: &TcpListener) {
    let connect = |to| TcpStream::connect(("127.0.0.1", port(to))).map(drop);
    connect(listed).unwrap();
    assert_eq!(connect(other).map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
}

fn use_only(folder: &Path) {
    let file = folder.join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    fs::remove_file(&file).unwrap();
    for outside in ["/etc/passwd", "/proc/self/status"] {
        let refused = fs::read(outside).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::PermissionDenied), "{outside}");
    }
    fs::write(&file, "x").unwrap();
    assert!(fs::rename(&file, folder.with_extension("moved")).is_err());
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}
