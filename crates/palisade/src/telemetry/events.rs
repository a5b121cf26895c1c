//! Events on their way into lines. Spans are not kept: what a request's lines have in common is
//! their `request_id`.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::kept::is_kept;
use super::line::{Frame, plain_field, text_field};
use super::lines::Lines;
use super::request::RequestScope;
use super::{LogFormat, shown};
use crate::secret::{escape, redacted};

/// Longest value and message, in bytes, before it is escaped; what is longer is cut.
const LONGEST: usize = 4096;
/// Longest message of another crate, which may have put anything into it.
const LONGEST_OF_OTHERS: usize = 512;
/// Longest value that is looked at. Above it, nobody could say whether the cut is in a secret.
const MOST: usize = 64 * 1024;
/// Stands for the text of a field that is not on the keep list.
const WITHHELD: &str = "[withheld]";
/// Names that a field of an event cannot have in a line.
const OWN_NAMES: [&str; 4] = ["timestamp", "level", "target", "message"];

/// Turns events into lines.
#[derive(Debug)]
pub(super) struct Events {
    service: &'static str,
    lines: Lines,
}

/// Whose events are of what trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Library,
    Service,
    /// Another crate, which knows nothing of what must not be logged.
    Other,
}

impl Events {
    /// Writes to `lines`; `service` is the name of the service's crate.
    pub(super) fn new(service: &'static str, lines: Lines) -> Self {
        Self { service, lines }
    }

    fn source(&self, target: &str) -> Source {
        let is_of = |name: &str| {
            target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        match target {
            _ if is_of("palisade") => Source::Library,
            _ if is_of(self.service) => Source::Service,
            _ => Source::Other,
        }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let level = match self.source(metadata.target()) {
            Source::Library | Source::Service => shown::level(),
            Source::Other => shown::level().min(LevelFilter::WARN),
        };
        !metadata.is_span() && *metadata.level() <= level
    }

    fn write(&self, event: &Event<'_>, buffers: &mut Buffers) {
        let Buffers { line, fields, message, scratch } = buffers;
        let (format, request) = (shown::format(), RequestScope::current());
        if let Some(id) = request.id() {
            text_field(format, "request_id", id, fields);
        }
        let source = self.source(event.metadata().target());
        let has_request = request.id().is_some();
        event.record(&mut Fields { format, source, has_request, fields, message, scratch });
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        Frame { format, level, target, message }.write(fields, line);
        self.lines.push(line);
    }
}

impl Subscriber for Events {
    /// Answers once for each place in the code, until [`apply`](super::apply) has it asked again:
    /// what is not shown costs a look at a number.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(shown::level())
    }

    fn event(&self, event: &Event<'_>) {
        // A value that writes an event while it is written finds empty buffers, and no lock.
        let mut buffers = BUFFERS.try_with(Cell::take).unwrap_or_default();
        self.write(event, &mut buffers);
        buffers.clear();
        BUFFERS.try_with(|kept| kept.set(buffers)).ok();
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

thread_local! {
    static BUFFERS: Cell<Buffers> = const { Cell::new(Buffers::EMPTY) };
}

/// Memory that is used for one line after the other.
struct Buffers {
    line: Vec<u8>,
    fields: Vec<u8>,
    message: Vec<u8>,
    scratch: String,
}

impl Buffers {
    const EMPTY: Self =
        Self { line: Vec::new(), fields: Vec::new(), message: Vec::new(), scratch: String::new() };

    /// Empties them, and keeps no more memory than most lines need.
    fn clear(&mut self) {
        for buffer in [&mut self.line, &mut self.fields, &mut self.message] {
            buffer.clear();
            buffer.shrink_to(LONGEST);
        }
        self.scratch.clear();
        self.scratch.shrink_to(LONGEST);
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Takes in the fields of one event.
struct Fields<'a> {
    format: LogFormat,
    source: Source,
    has_request: bool,
    fields: &'a mut Vec<u8>,
    message: &'a mut Vec<u8>,
    scratch: &'a mut String,
}

impl Fields<'_> {
    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let most = if self.source == Source::Other { LONGEST_OF_OTHERS } else { LONGEST };
            self.message.clear();
            escape(&cut(value, most), self.message);
            return;
        }
        let name = name_of(field);
        if self.has_request && name == "request_id" {
            return;
        }
        let value = if self.shows(field) { cut(value, LONGEST) } else { Cow::Borrowed(WITHHELD) };
        text_field(self.format, &free(name), &value, self.fields);
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        plain_field(self.format, &free(name_of(field)), value, self.fields);
    }

    /// Tells whether a text in `field` is shown.
    fn shows(&self, field: &Field) -> bool {
        field.name() == "message" || is_kept(name_of(field), self.source == Source::Library)
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !self.shows(field) {
            self.text(field, WITHHELD);
            return;
        }
        let mut text = std::mem::take(self.scratch);
        text.clear();
        let mut bounded = Bounded { text: &mut text, is_too_long: false };
        // A value that fails to show itself has shown what it could.
        write!(bounded, "{value:?}").ok();
        let is_too_long = bounded.is_too_long;
        self.text(field, if is_too_long { "[too long]" } else { &text });
        *self.scratch = text;
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.plain(field, format_args!("{value:?}")),
            // JSON has no such number.
            false => self.plain(field, format_args!("null")),
        }
    }
}

/// Returns the name of `field` as it was meant.
fn name_of(field: &Field) -> &'static str {
    field.name().strip_prefix("r#").unwrap_or(field.name())
}

/// Returns a name that none of the line's own fields has.
fn free(name: &str) -> Cow<'_, str> {
    match OWN_NAMES.contains(&name) {
        true => Cow::Owned(format!("field.{name}")),
        false => Cow::Borrowed(name),
    }
}

/// Cuts `text` behind `most` bytes, and never through a secret.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let whole = redacted(text);
    if whole.len() <= most {
        return whole;
    }
    let kept = whole.get(..whole.floor_char_boundary(most)).unwrap_or_default();
    Cow::Owned(format!("{kept}…"))
}

/// Takes in text up to [`MOST`] bytes.
struct Bounded<'a> {
    text: &'a mut String,
    is_too_long: bool,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() + piece.len() > MOST {
            self.is_too_long = true;
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
