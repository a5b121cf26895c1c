//! Logs: one JSON object (or one line of text) an event, on standard error, in UTC. Numbers:
//! [`metrics`].
//!
//! Events of the service and of this library are shown from the level that is set; those of
//! other libraries from `warn`, because they know nothing of what must not be logged.

mod access;
mod lines;
pub mod metrics;
mod panics;

pub use access::{AccessLine, access, dropped_lines};
pub use lines::Log;
pub(crate) use panics::{Panic, contain};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

crate::choice! {
    /// How a log line is written.
    pub enum LogFormat {
        /// One JSON object a line, for machines.
        Json = "json",
        /// Plain text, for people.
        Text = "text",
    }
}

crate::choice! {
    /// The least severe events that are shown.
    pub enum LogLevel {
        /// Only failures.
        Error = "error",
        /// Also what may need attention.
        Warn = "warn",
        /// Also one line a request and the steps of the service's life.
        Info = "info",
        /// Also what helps to find a defect.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

crate::settings! {
    /// What is logged, on standard error.
    pub struct LogSection in "log" {
        /// One JSON object a line, or text for people.
        pub format: LogFormat = LogFormat::Json;
        /// The least severe events that are shown.
        pub level: LogLevel = LogLevel::Info;
    }
}

/// Gathers events from now on, and writes them to standard error from [`Log::begin`] on; `service`
/// is the service's crate name. Only the first call in a process gets the events.
pub fn start(service: &'static str, log: &LogSection) -> Log {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("palisade", level)
        .with_target(service, level);
    let (queue, writer) = Log::new();
    let lines = writer.clone();
    let events = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let registry = tracing_subscriber::registry().with(targets);
    let started = match log.format {
        LogFormat::Json => registry.with(events.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(events).try_init(),
    };
    match started {
        Ok(()) => {
            access::start(lines, log.format, level >= LevelFilter::INFO);
            panics::tell_in_the_log();
        }
        Err(_) => tracing::debug!("events are already being logged"),
    }
    queue
}
