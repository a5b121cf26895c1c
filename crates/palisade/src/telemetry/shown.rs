//! What is shown, and how: the two things about the log that can change while it runs.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tracing::level_filters::LevelFilter;

use super::{LogFormat, LogLevel};

/// The log is the process's own, like standard error, and so is what it shows.
static LEVEL: AtomicU8 = AtomicU8::new(INFO);
static IS_TEXT: AtomicU8 = AtomicU8::new(0);

const ERROR: u8 = 1;
const WARN: u8 = 2;
const INFO: u8 = 3;
const DEBUG: u8 = 4;
const TRACE: u8 = 5;

pub(super) fn set(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => ERROR,
        LogLevel::Warn => WARN,
        LogLevel::Info => INFO,
        LogLevel::Debug => DEBUG,
        LogLevel::Trace => TRACE,
    };
    LEVEL.store(level, Relaxed);
    IS_TEXT.store(u8::from(format == LogFormat::Text), Relaxed);
}

/// Returns the least severe level that is shown of the service's and the library's events.
pub(super) fn level() -> LevelFilter {
    match LEVEL.load(Relaxed) {
        ERROR => LevelFilter::ERROR,
        WARN => LevelFilter::WARN,
        DEBUG => LevelFilter::DEBUG,
        TRACE => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}

/// Returns how a line is written.
pub(super) fn format() -> LogFormat {
    if IS_TEXT.load(Relaxed) == 0 { LogFormat::Json } else { LogFormat::Text }
}

/// Keeps tests of one process from changing what another one looks at.
#[cfg(test)]
pub(super) fn changed_by_one_test_at_a_time() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
