//! A crash: what it writes of a process that gave up its core files, and of one that did not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;

use palisade_testing::{Service, Sinks};

use crate::leaks::Marked;

/// Aborts a service, and asserts that it had given up core files for good, that nobody but root may
/// read it, and that the system wrote no core.
pub(crate) async fn assert_crashes_without_a_core(service: &mut Service) {
    assert_eq!(core_limits(service), ["0", "0"], "soft and hard");
    assert_eq!(owner(service), 0, "what cannot be dumped is shown as root's");

    let status = service.crash().await;

    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
    assert_eq!(core_files(service), [""; 0]);
}

#[tokio::test]
async fn without_the_lockdown_the_environment_and_a_core_file_are_leaks_that_are_found() {
    let secrets = Marked::new();
    let folder = secrets.setup().setting("sandbox.mode", "off").folder();
    let mut service = folder.serve().may_dump_core().start().await;
    let [soft, hard] = core_limits(&service);
    assert_eq!(soft, hard, "it is as high as these tests can give it");
    assert_eq!(owner(&service), fs::metadata(folder.path()).unwrap().uid());
    let mut sinks = Sinks::default();
    sinks.add_running(&service).await;

    let status = service.crash().await;
    sinks.add_left(&service);

    let found = sinks.holding(&secrets.markers());
    assert!(found.contains(&"environment"), "{found:?}");
    // Whatever else takes core files on this machine is not for a test to look into.
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if hard == "unlimited" && pattern.trim_end() == "core" {
        assert!(status.core_dumped(), "{status}");
        assert_eq!(core_files(&service).len(), 1);
        assert!(found.iter().any(|place| place.starts_with("file core")), "{found:?}");
    }
}

/// Returns the soft and the hard limit of core files, as the system writes them.
fn core_limits(service: &Service) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let values = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let mut values = values.unwrap().split_whitespace().map(str::to_owned);
    [values.next().unwrap(), values.next().unwrap()]
}

/// Returns the user that a process belongs to as far as reading it goes.
fn owner(service: &Service) -> u32 {
    fs::metadata(format!("/proc/{}/environ", service.pid())).unwrap().uid()
}

fn core_files(service: &Service) -> Vec<String> {
    let entries = fs::read_dir(service.folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("core")).collect()
}
