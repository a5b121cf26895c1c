//! A line of the log, in either format: one event is one line, whatever its values hold.
//!
//! JSON is `{"timestamp","level","message","request_id"?,fields...,"target"}`, and text is
//! `timestamp level target: message request_id=... field=...`. Both escape what ends a line or
//! plays tricks ([`escape`]), in values, names and messages.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;

use tracing::Level;

use super::LogFormat;
use crate::clock::{Clock, SystemClock};
use crate::secret::escape;

/// What every line begins and ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) format: LogFormat,
    pub(super) level: Level,
    pub(super) target: &'a str,
    /// Escaped already.
    pub(super) message: &'a [u8],
}

impl Frame<'_> {
    /// Appends a line with `fields`, as [`text_field`] and [`plain_field`] wrote them.
    pub(super) fn write(&self, fields: &[u8], out: &mut Vec<u8>) {
        let level = level_name(self.level);
        match self.format {
            LogFormat::Json => {
                out.extend_from_slice(b"{\"timestamp\":\"");
                write_now(out);
                out.extend_from_slice(b"\",\"level\":\"");
                out.extend_from_slice(level.trim_start().as_bytes());
                out.extend_from_slice(b"\",\"message\":\"");
                out.extend_from_slice(self.message);
                out.push(b'"');
                out.extend_from_slice(fields);
                out.extend_from_slice(b",\"target\":\"");
                escape(self.target, out);
                out.extend_from_slice(b"\"}\n");
            }
            LogFormat::Text => {
                write_now(out);
                out.push(b' ');
                out.extend_from_slice(level.as_bytes());
                out.push(b' ');
                escape(self.target, out);
                out.extend_from_slice(b": ");
                out.extend_from_slice(self.message);
                out.extend_from_slice(fields);
                out.push(b'\n');
            }
        }
    }
}

/// Appends a field with a text.
pub(super) fn text_field(format: LogFormat, name: &str, value: &str, out: &mut Vec<u8>) {
    field_name(format, name, out);
    let is_bare = format == LogFormat::Text && is_word(value);
    if is_bare {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    escape(value, out);
    out.push(b'"');
}

/// Appends a field with a number or a boolean, which JSON writes as Rust does.
pub(super) fn plain_field(
    format: LogFormat,
    name: &str,
    value: fmt::Arguments<'_>,
    out: &mut Vec<u8>,
) {
    field_name(format, name, out);
    // Writing to memory cannot fail.
    out.write_fmt(value).ok();
}

fn field_name(format: LogFormat, name: &str, out: &mut Vec<u8>) {
    match format {
        LogFormat::Json => {
            out.extend_from_slice(b",\"");
            escape(name, out);
            out.extend_from_slice(b"\":");
        }
        LogFormat::Text if is_word(name) => {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
        }
        LogFormat::Text => {
            out.extend_from_slice(b" \"");
            escape(name, out);
            out.extend_from_slice(b"\"=");
        }
    }
}

/// Tells whether `text` needs no quotes to be read as one word.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => " WARN",
        Level::INFO => " INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

thread_local! {
    static SECOND: RefCell<Second> = const { RefCell::new(Second { number: i64::MIN, text: [0; 19] }) };
}

/// A second that was written before: most lines fall into the same one.
struct Second {
    number: i64,
    text: [u8; 19],
}

/// Writes the time in UTC, to the millisecond (RFC 3339).
pub(super) fn write_now(out: &mut Vec<u8>) {
    let now = SystemClock.now();
    let millis = now.as_millis();
    SECOND.with_borrow_mut(|second| {
        let number = millis.div_euclid(1000);
        if second.number != number
            && let Some(text) = now.to_string().as_bytes().first_chunk::<19>()
        {
            *second = Second { number, text: *text };
        }
        out.extend_from_slice(&second.text);
    });
    let rest = u32::try_from(millis.rem_euclid(1000)).unwrap_or_default();
    let digit = |value: u32| b'0' + u8::try_from(value % 10).unwrap_or_default();
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest), b'Z']);
}
