//! Log lines on their way out: requests hand them over and never wait for who reads them.
//!
//! Lines gather in one buffer, and a thread writes out what has gathered a hundred times a second
//! at most, so that a busy service pays for a line with a copy and not with a system call. The
//! buffer is bounded. What does not fit is counted, and the count is told once there is room.
//!
//! The thread takes secrets out, too ([`crate::secret`]): off the requests' path, and with what is
//! known when a line is written, not when it was made. Lines are only ever handed over whole, so
//! that none of them ends inside of a secret.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::IgnoredAny;
use tracing::Level;

use super::line::{Frame, plain_field};
use super::shown;
use crate::secret::redacted_bytes;

/// Bytes of lines that may wait: some seconds of a busy service.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Capacity that an emptied buffer keeps.
const KEPT_BYTES: usize = 256 * 1024;
/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(10);
/// Longest that the end of the process waits for somebody to read what is left.
const LAST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Something is there to be written.
    filled: Condvar,
    /// Everything was written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    dropped_ever: u64,
    /// Whether the thread sleeps until it is woken.
    is_asleep: bool,
    is_writing: bool,
    is_ending: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len().saturating_add(line.len()) > MOST_BYTES {
            state.dropped += 1;
            state.dropped_ever += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if std::mem::take(&mut state.is_asleep) {
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits for lines and takes all of them, with the number of those that were dropped. `None`
    /// at the end.
    fn take(&self, spare: Vec<u8>) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if !state.waiting.is_empty() || state.dropped > 0 {
                state.is_writing = true;
                let dropped = std::mem::take(&mut state.dropped);
                return Some((std::mem::replace(&mut state.waiting, spare), dropped));
            }
            self.emptied.notify_all();
            if state.is_ending {
                return None;
            }
            state.is_asleep = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets lines gather, unless the end has come.
    fn gather(&self) {
        let state = self.lock();
        let is_going_on = |state: &mut State| !state.is_ending;
        drop(self.filled.wait_timeout_while(state, GATHER, is_going_on));
    }
}

/// The log of this process. Dropping it writes out what is left.
#[derive(Debug)]
#[must_use = "dropping it ends the log"]
pub struct Log {
    queue: Arc<Queue>,
    is_begun: bool,
}

/// The end of the queue that events are written to.
#[derive(Debug, Clone)]
pub(super) struct Lines(Arc<Queue>);

impl Log {
    /// Makes the queue; lines wait in it until [`Log::begin`].
    pub(super) fn new() -> (Self, Lines) {
        let queue = Arc::new(Queue::default());
        (Self { queue: Arc::clone(&queue), is_begun: false }, Lines(queue))
    }

    /// Starts the thread that writes. Call it once the process is locked down, because a thread
    /// that is there before keeps what the process gives up.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread.
    pub fn begin(&mut self) -> io::Result<()> {
        if !self.is_begun {
            let queue = Arc::clone(&self.queue);
            let thread = std::thread::Builder::new().name("log-writer".into());
            thread.spawn(move || write_out(&queue, &mut io::stderr()))?;
            self.is_begun = true;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Log {
    /// Returns what waits to be written.
    pub(super) fn into_text(self) -> Vec<u8> {
        std::mem::take(&mut self.queue.lock().waiting)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.is_ending = true;
        if !self.is_begun {
            // The thread was never started: the start failed, and this is why.
            let lines = std::mem::take(&mut state.waiting);
            drop(state);
            io::stderr().write_all(&without_secrets(&lines)).ok();
            return;
        }
        self.queue.filled.notify_all();
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        drop(self.queue.emptied.wait_timeout_while(state, LAST_WAIT, is_busy));
    }
}

fn write_out(queue: &Queue, out: &mut impl Write) {
    let mut spare = Vec::new();
    while let Some((mut lines, dropped)) = queue.take(spare) {
        if dropped > 0 {
            out.write_all(&own_line(b"log lines were dropped", Some(dropped))).ok();
        }
        // Whoever closed standard error does not want to know.
        out.write_all(&without_secrets(&lines)).ok();
        lines.clear();
        lines.shrink_to(KEPT_BYTES);
        spare = lines;
        queue.gather();
    }
}

/// Returns whole lines without the secrets in them. What was a JSON object stays one.
fn without_secrets(lines: &[u8]) -> Cow<'_, [u8]> {
    if let Cow::Borrowed(_) = redacted_bytes(lines) {
        return Cow::Borrowed(lines);
    }
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    Cow::Owned(lines.flat_map(|line| without_secret(line).into_owned()).collect())
}

fn without_secret(line: &[u8]) -> Cow<'_, [u8]> {
    let redacted = redacted_bytes(line);
    let is_object = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    let is_broken = line.starts_with(b"{") && is_object(line) && !is_object(&redacted);
    // A secret that is a number stood where only a number may.
    match is_broken {
        true => Cow::Owned(own_line(b"a line with a secret in it was withheld", None)),
        false => redacted,
    }
}

/// Makes a line that the writer itself has to say.
fn own_line(message: &[u8], count: Option<u64>) -> Vec<u8> {
    let (mut fields, mut line) = (Vec::new(), Vec::new());
    let (format, target) = (shown::format(), "palisade::telemetry");
    if let Some(count) = count {
        plain_field(format, "count", format_args!("{count}"), &mut fields);
    }
    Frame { format, level: Level::WARN, target, message }.write(&fields, &mut line);
    line
}

impl Lines {
    /// Hands over one whole line.
    pub(super) fn push(&self, line: &[u8]) {
        self.0.push(line);
    }

    /// Returns how many lines did not fit so far.
    pub(super) fn dropped_ever(&self) -> u64 {
        self.0.lock().dropped_ever
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use serde_json::Value;

    use super::*;
    use crate::secret::{Secret, register};

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let _alone = shown::changed_by_one_test_at_a_time();
        let (log, lines) = Log::new();
        let line = [b"x".repeat(1023), vec![b'\n']].concat();
        for _ in 0..MOST_BYTES / line.len() + 3 {
            lines.push(&line);
        }

        log.queue.lock().is_ending = true;
        let mut out = Vec::new();
        write_out(&log.queue, &mut out);

        let text = String::from_utf8(out).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.contains("\"count\":3"), "{first}");
        assert_eq!(rest.lines().count(), MOST_BYTES / line.len());
        assert_eq!(lines.dropped_ever(), 3);
    }

    #[test]
    fn a_secret_is_not_written_in_any_of_its_forms_and_every_line_stays_one_object() {
        let _alone = shown::changed_by_one_test_at_a_time();
        let secrets = ["correct horse \"battery\"", "8242424242424242"];
        for secret in secrets {
            register(&Secret::new(secret.to_owned())).unwrap();
        }
        let (log, lines) = Log::new();
        let texts =
            [secrets[0].to_owned(), BASE64.encode(format!("ada:{}", secrets[0]).as_bytes())];
        for text in &texts {
            lines.push(format!("{}\n", serde_json::json!({"error": text, "n": 7})).as_bytes());
        }
        lines.push(b"{\"count\":8242424242424242,\"n\":7}\n{\"n\":8}\n");
        lines.push(b"2026-11-23T00:00:00.000Z  WARN hyper: n=8242424242424242\n");

        log.queue.lock().is_ending = true;
        let mut out = Vec::new();
        write_out(&log.queue, &mut out);

        let written = String::from_utf8(out).unwrap();
        let written: Vec<&str> = written.lines().collect();
        let objects = written.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let objects: Vec<Value> = objects.collect();
        assert_eq!(objects.len(), 4, "{written:?}");
        assert_eq!(objects[0]["error"], "[redacted]");
        assert!(objects[1]["error"].as_str().unwrap().contains("[redacted]"));
        assert_eq!(objects[2]["message"], "a line with a secret in it was withheld");
        assert_eq!(objects[3]["n"], 8);
        assert_eq!(written[4], "2026-11-23T00:00:00.000Z  WARN hyper: n=[redacted]");
    }

    #[test]
    fn lines_of_many_threads_come_out_whole_and_each_once() {
        let (log, lines) = Log::new();
        let queue = Arc::clone(&log.queue);
        let writer = std::thread::spawn(move || {
            let mut out = Vec::new();
            write_out(&queue, &mut out);
            String::from_utf8(out).unwrap()
        });

        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = lines.clone();
                scope.spawn(move || {
                    for number in 0..500 {
                        lines.push(format!("{thread} {number}\n").as_bytes());
                    }
                });
            }
        });
        log.queue.lock().is_ending = true;
        log.queue.filled.notify_all();

        let written = writer.join().unwrap();
        let mut seen: Vec<&str> = written.lines().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2000);
        assert!(seen.iter().all(|line| line.split(' ').count() == 2));
    }
}
