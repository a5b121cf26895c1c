//! The access log: one line a request, written by hand because every request pays for it.
//!
//! It keeps a list of what it shows: the route's template and not the path, a known method, and
//! nothing else that a client chose.

use std::cell::RefCell;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::line::write_now;
use super::lines::Lines;
use super::{LogFormat, shown};

/// Where access lines go in this process, once the log was started. The log is the process's own,
/// like standard error: only its first start counts.
static LINES: OnceLock<Lines> = OnceLock::new();

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct AccessLine<'a> {
    /// The id that the answer carries.
    pub request_id: &'a str,
    /// The method; one that HTTP does not know is shown as `other`.
    pub method: &'static str,
    /// The path template of the route, or `none`.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// From the head of the request to the head of its answer.
    pub duration: Duration,
}

pub(super) fn start(lines: Lines) {
    // A second start gets no events either.
    LINES.set(lines).ok();
}

/// Tells whether the log was started.
pub(super) fn is_started() -> bool {
    LINES.get().is_some()
}

/// Returns how many lines of the log were lost because nobody read them.
pub fn dropped_lines() -> u64 {
    LINES.get().map_or(0, Lines::dropped_ever)
}

/// Writes one line. Where [`start`](super::start) was not called, it is an event of `tracing` for
/// whoever listens.
pub fn access(line: &AccessLine<'_>) {
    let Some(lines) = LINES.get() else {
        let AccessLine { request_id, method, route, status, .. } = *line;
        let duration_us = micros(line.duration);
        tracing::info!(
            target: "palisade::access", request_id, method, route, status, duration_us, "request"
        );
        return;
    };
    if shown::level() >= LevelFilter::INFO {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            // Writing to memory cannot fail.
            line.write(shown::format(), buffer).ok();
            lines.push(buffer);
        });
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl AccessLine<'_> {
    fn write(&self, format: LogFormat, out: &mut Vec<u8>) -> std::io::Result<()> {
        let Self { request_id, method, route, status, duration } = *self;
        let duration_us = micros(duration);
        match format {
            LogFormat::Json => {
                out.extend_from_slice(b"{\"timestamp\":\"");
                write_now(out);
                out.extend_from_slice(
                    b"\",\"level\":\"INFO\",\"message\":\"request\",\"request_id\":\"",
                );
                out.extend_from_slice(request_id.as_bytes());
                out.extend_from_slice(b"\",\"method\":\"");
                out.extend_from_slice(method.as_bytes());
                out.extend_from_slice(b"\",\"route\":\"");
                out.extend_from_slice(route.as_bytes());
                out.extend_from_slice(b"\",\"status\":");
                write_number(out, u64::from(status));
                out.extend_from_slice(b",\"duration_us\":");
                write_number(out, duration_us);
                out.extend_from_slice(b",\"target\":\"palisade::access\"}\n");
                Ok(())
            }
            LogFormat::Text => {
                write_now(out);
                writeln!(
                    out,
                    "  INFO palisade::access: request request_id={request_id} method={method} \
                     route={route} status={status} duration_us={duration_us}"
                )
            }
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        start = place;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: AccessLine<'_> = AccessLine {
        request_id: "ab12",
        method: "GET",
        route: "/orders/{id}",
        status: 200,
        duration: Duration::from_micros(1_234_567),
    };

    fn written(format: LogFormat) -> String {
        let mut out = Vec::new();
        LINE.write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object_with_a_time_to_the_millisecond() {
        let line = written(LogFormat::Json);

        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        assert_eq!(object["request_id"], "ab12");
        assert_eq!(object["route"], "/orders/{id}");
        assert_eq!(object["status"], 200);
        assert_eq!(object["duration_us"], 1_234_567);
        let time = object["timestamp"].as_str().unwrap();
        assert_eq!((time.len(), time.ends_with('Z')), (24, true), "{time}");
        assert!(crate::clock::Timestamp::parse(time).is_some(), "{time}");
    }

    #[test]
    fn text_says_the_same() {
        let line = written(LogFormat::Text);

        assert!(line.ends_with("status=200 duration_us=1234567\n"), "{line}");
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, 1_234_567, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
