//! What the process costs the machine, read when somebody asks.
//!
//! The names are those that every Prometheus client uses
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). What the system
//! does not tell is left out, never written as 0.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::telemetry::metrics::{MetricError, Metrics};

/// Adds the metrics of this process and `build_info`, of `service` in `version`.
///
/// # Errors
///
/// [`MetricError::Taken`] when they are there already.
pub fn register(
    metrics: &Metrics,
    service: &'static str,
    version: &'static str,
) -> Result<(), MetricError> {
    let labels = [("service", service), ("version", version)];
    metrics.gauge("build_info", "Which program this is; always 1.", &labels)?.set(1);
    let gauges: [(_, _, Reading); 4] = [
        ("process_resident_memory_bytes", "Resident memory in bytes.", resident_bytes),
        ("process_open_fds", "File descriptors that are open.", open_descriptors),
        ("process_max_fds", "File descriptors that may be open.", most_descriptors),
        ("process_start_time_seconds", "Start of the process, in Unix time.", started),
    ];
    for (name, help, read) in gauges {
        metrics.gauge_at_scrape(name, help, &[], read)?;
    }
    let help = "Processor time that the process used.";
    metrics.counter_at_scrape("process_cpu_seconds_total", help, &[], processor_seconds)
}

/// Reads one number from the system.
type Reading = fn() -> Option<f64>;

fn resident_bytes() -> Option<f64> {
    resident_bytes_in(&fs::read_to_string("/proc/self/status").ok()?)
}

fn open_descriptors() -> Option<f64> {
    // One of them is the folder's own, open while it is read.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(open).ok().map(f64::from)
}

fn most_descriptors() -> Option<f64> {
    let limit = getrlimit(Resource::Nofile).current;
    // No limit at all is no number; the kernel caps it below 2^31 anyway.
    limit.and_then(|limit| u32::try_from(limit).ok()).map(f64::from)
}

fn started() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    Some(boot_time_in(&system)? + field(&own, STARTED_AT)? / TICKS_PER_SECOND)
}

fn processor_seconds() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    Some((field(&own, USER_TIME)? + field(&own, SYSTEM_TIME)?) / TICKS_PER_SECOND)
}

fn resident_bytes_in(status: &str) -> Option<f64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let number: u32 = kibibytes.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(number) * 1024.0)
}

fn boot_time_in(stat: &str) -> Option<f64> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    seconds.trim().parse::<u32>().ok().map(f64::from)
}

/// Returns a number of `/proc/self/stat`, by its place in proc(5) counted from 1. The second is
/// the program's name in brackets, in which anything may stand, brackets too.
fn field(stat: &str, place: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(place.checked_sub(3)?)?.parse().ok()
}

const USER_TIME: usize = 14;
const SYSTEM_TIME: usize = 15;
const STARTED_AT: usize = 22;
/// The unit in which Linux tells times here, `USER_HZ`: 100 wherever Rust's library runs.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 12345 1 2";

        assert_eq!(field(stat, USER_TIME), Some(250.0));
        assert_eq!(field(stat, SYSTEM_TIME), Some(50.0));
        assert_eq!(field(stat, STARTED_AT), Some(12_345.0));
        assert_eq!(resident_bytes_in("VmHWM:\t  9 kB\nVmRSS:\t     812 kB\n"), Some(831_488.0));
        assert_eq!(boot_time_in("cpu  1 2\nbtime 1767225600\n"), Some(1_767_225_600.0));
    }

    #[test]
    fn what_the_kernel_does_not_write_is_left_out_and_not_zero() {
        assert_eq!(field("7 (a) S 1", USER_TIME), None);
        assert_eq!(field("", STARTED_AT), None);
        assert_eq!(resident_bytes_in("VmRSS: many kB"), None);
        assert_eq!(boot_time_in("cpu 1 2"), None);
    }

    #[test]
    fn one_more_file_is_one_more_descriptor() {
        let before = open_descriptors().unwrap();
        let held: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();

        let after = open_descriptors().unwrap();

        // Other tests of this process may open and close some meanwhile.
        assert!(after >= before + 25.0, "{before} and then {after}");
        assert!(after <= most_descriptors().unwrap());
        drop(held);
    }

    #[test]
    fn this_process_has_started_and_used_time_and_memory() {
        assert!(started().unwrap() > 1_600_000_000.0);
        assert!(processor_seconds().unwrap() < 1_000_000.0);
        assert!(resident_bytes().unwrap() > 100_000.0);
    }
}
