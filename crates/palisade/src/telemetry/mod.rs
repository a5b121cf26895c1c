//! Logs: one JSON object (or one line of text) an event, on standard error, in UTC. Numbers:
//! [`metrics`].
//!
//! The rules of the log:
//!
//! 1. One event is one line. Whatever a value holds, control characters, escape sequences, bidi
//!    controls and separators of lines are written as escapes.
//! 2. Numbers and booleans are shown; a text only if its field is [kept](keep), and otherwise as
//!    `"[withheld]"`.
//! 3. No line holds a secret that is [known](crate::secret::register), in any form, or what looks
//!    like a token of the service.
//! 4. Every line that a request causes carries its `request_id` ([`RequestScope`]).
//! 5. Events of the service and of this library are shown from the level that is set; those of
//!    other libraries from `warn`, their messages cut short, because they know nothing of what must
//!    not be logged.
//! 6. Nobody waits for the log. What does not fit is counted, and the count is told.
//!
//! A message is shown as it is: write a fixed sentence, and put values into fields. Spans are not
//! shown. A value of more than 4 KiB is cut.

mod access;
mod events;
mod kept;
mod line;
mod lines;
pub mod metrics;
mod panics;
mod request;
mod shown;

pub use access::{AccessLine, access, dropped_lines};
pub use kept::keep;
pub use lines::Log;
pub(crate) use panics::{Panic, contain};
pub use request::RequestScope;

use events::Events;

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
    pub live struct LogSection in "log" {
        /// One JSON object a line, or text for people.
        pub format: LogFormat = LogFormat::Json;
        /// The least severe events that are shown.
        pub level: LogLevel = LogLevel::Info;
    }
}

/// Gathers events from now on, and writes them to standard error from [`Log::begin`] on; `service`
/// is the service's crate name. Only the first call in a process gets the events.
pub fn start(service: &'static str, log: &LogSection) -> Log {
    let (queue, lines) = Log::new();
    let is_first = !access::is_started();
    if is_first {
        shown::set(log.format, log.level);
    }
    let events = Events::new(service, lines.clone());
    if is_first && tracing::subscriber::set_global_default(events).is_ok() {
        access::start(lines);
        panics::tell_in_the_log();
    } else {
        tracing::debug!("events are already being logged");
    }
    queue
}

/// Changes the level and the format of the log while it runs. Lines that wait to be written keep
/// their format.
///
/// ```
/// use palisade::telemetry::{LogLevel, LogSection, apply};
///
/// apply(&LogSection { level: LogLevel::Debug, ..LogSection::default() });
/// ```
pub fn apply(log: &LogSection) {
    shown::set(log.format, log.level);
    // Every place that logs has noted whether it is shown, and asks again after this.
    tracing::callsite::rebuild_interest_cache();
}
