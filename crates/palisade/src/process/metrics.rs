//! What the process costs the machine, read when somebody asks.
//!
//! The names are those that every Prometheus client uses
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). What the system
//! does not tell is left out, never written as 0.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use rustix::fs::Dir;
use rustix::process::{Resource, getrlimit};

use super::stat::field;
use super::{Report, State};
use crate::telemetry::metrics::{MetricError, Metrics};

/// Adds the metrics of this process and `build_info`, of `service` in `version`.
///
/// Call it before the process is locked down: what is read at each scrape is opened now, because
/// `/proc` is out of reach afterwards.
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
    let (status, stat) = (Document::open("/proc/self/status"), Document::open("/proc/self/stat"));
    let started = started(&stat);
    let descriptors = Descriptors::open();
    let gauges: [(_, _, Reading); 4] = [
        (
            "process_resident_memory_bytes",
            "Resident memory in bytes.",
            Box::new(move || resident_bytes_in(&status.read()?)),
        ),
        (
            "process_open_fds",
            "File descriptors that are open.",
            Box::new(move || descriptors.count()),
        ),
        ("process_max_fds", "File descriptors that may be open.", Box::new(most_descriptors)),
        (
            "process_start_time_seconds",
            "Start of the process, in Unix time.",
            Box::new(move || started),
        ),
    ];
    for (name, help, read) in gauges {
        metrics.gauge_at_scrape(name, help, &[], read)?;
    }
    let help = "Processor time that the process used.";
    let seconds = move || processor_seconds(&stat);
    metrics.counter_at_scrape("process_cpu_seconds_total", help, &[], seconds)
}

/// Adds which measures of the lockdown are in effect.
///
/// # Errors
///
/// [`MetricError::Taken`] when they are there already.
pub fn register_lockdown(metrics: &Metrics, report: &Report) -> Result<(), MetricError> {
    let help = "What the process took from itself; 1 is in effect.";
    for outcome in report.outcomes() {
        let labels = [("measure", outcome.measure.name())];
        let value = i64::from(outcome.state == State::InEffect);
        metrics.gauge("palisade_lockdown", help, &labels)?.set(value);
    }
    Ok(())
}

/// Reads one number from the system.
type Reading = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// A file of `/proc` that is read again and again.
struct Document(Option<File>);

impl Document {
    fn open(path: &str) -> Self {
        Self(File::open(path).ok())
    }

    fn read(&self) -> Option<String> {
        let file = self.0.as_ref()?;
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let at = u64::try_from(text.len()).ok()?;
            match file.read_at(&mut piece, at).ok()? {
                0 => return String::from_utf8(text).ok(),
                length => text.extend(piece.iter().take(length)),
            }
        }
    }
}

/// The folder of the process's own descriptors.
struct Descriptors(Option<Mutex<Dir>>);

impl Descriptors {
    fn open() -> Self {
        let folder = File::open("/proc/self/fd").ok().and_then(|folder| Dir::new(folder).ok());
        Self(folder.map(Mutex::new))
    }

    /// Counts what is open, this folder left out.
    fn count(&self) -> Option<f64> {
        let mut folder = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        folder.rewind();
        let mut open = 0_u32;
        while let Some(entry) = folder.read() {
            open += u32::from(!entry.ok()?.file_name().to_bytes().starts_with(b"."));
        }
        Some(f64::from(open.saturating_sub(1)))
    }
}

fn most_descriptors() -> Option<f64> {
    let limit = getrlimit(Resource::Nofile).current;
    // No limit at all is no number; the kernel caps it below 2^31 anyway.
    limit.and_then(|limit| u32::try_from(limit).ok()).map(f64::from)
}

fn started(own: &Document) -> Option<f64> {
    let system = Document::open("/proc/stat").read()?;
    let ticks: f64 = field(&own.read()?, STARTED_AT)?;
    Some(boot_time_in(&system)? + ticks / TICKS_PER_SECOND)
}

fn processor_seconds(own: &Document) -> Option<f64> {
    let own = own.read()?;
    let ticks = field::<f64>(&own, USER_TIME)? + field::<f64>(&own, SYSTEM_TIME)?;
    Some(ticks / TICKS_PER_SECOND)
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
        assert_eq!(resident_bytes_in("VmHWM:\t  9 kB\nVmRSS:\t     812 kB\n"), Some(831_488.0));
        assert_eq!(boot_time_in("cpu  1 2\nbtime 1767225600\n"), Some(1_767_225_600.0));
    }

    #[test]
    fn what_the_kernel_does_not_write_is_left_out_and_not_zero() {
        assert_eq!(resident_bytes_in("VmRSS: many kB"), None);
        assert_eq!(boot_time_in("cpu 1 2"), None);
        assert_eq!(Document::open("/no/such/file").read(), None);
    }

    #[test]
    fn one_more_file_is_one_more_descriptor() {
        let descriptors = Descriptors::open();
        let before = descriptors.count().unwrap();
        let held: Vec<_> = (0..50).map(|_| File::open("/proc/self/stat").unwrap()).collect();

        let after = descriptors.count().unwrap();

        // Other tests of this process may open and close some meanwhile.
        assert!(after >= before + 25.0, "{before} and then {after}");
        assert!(after <= most_descriptors().unwrap());
        drop(held);
    }

    #[test]
    fn this_process_has_started_and_used_time_and_memory() {
        let (status, stat) =
            (Document::open("/proc/self/status"), Document::open("/proc/self/stat"));

        assert!(started(&stat).unwrap() > 1_600_000_000.0);
        assert!(processor_seconds(&stat).unwrap() < 1_000_000.0);
        for _ in 0..2 {
            assert!(resident_bytes_in(&status.read().unwrap()).unwrap() > 100_000.0);
        }
    }
}
