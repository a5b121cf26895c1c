//! Log lines on their way out: requests hand them over and never wait for who reads them.
//!
//! The queue is bounded. What does not fit is counted, and the count is told once there is room.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait: some seconds of a busy service, a few MiB at most.
const MOST_LINES: usize = 8192;
/// Longest that the end of the process waits for somebody to read what is left.
const LAST_WAIT: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The log of this process. Dropping it writes out what is left.
#[derive(Debug)]
#[must_use = "dropping it ends the log"]
pub struct Log {
    sender: SyncSender<Message>,
    receiver: Option<Receiver<Message>>,
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Message")
    }
}

/// The end of the queue that events are written to.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Makes the queue; lines wait in it until [`Log::begin`].
    pub(super) fn new() -> (Self, Lines) {
        let (sender, receiver) = sync_channel(MOST_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines { sender: sender.clone(), dropped: Arc::clone(&dropped) };
        (Self { sender, receiver: Some(receiver), dropped }, lines)
    }

    /// Starts the thread that writes. Call it once the process is locked down, because a thread
    /// that is there before keeps what the process gives up.
    ///
    /// # Errors
    ///
    /// The operating system refuses a thread.
    pub fn begin(&mut self) -> io::Result<()> {
        let Some(receiver) = self.receiver.take() else { return Ok(()) };
        let dropped = Arc::clone(&self.dropped);
        let thread = std::thread::Builder::new().name("log-writer".into());
        thread.spawn(move || write_out(&receiver, &dropped, &mut io::stderr()))?;
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            // The thread was never started: the start failed, and this is why.
            while let Ok(Message::Line(line)) = receiver.try_recv() {
                io::stderr().write_all(&line).ok();
            }
            return;
        }
        let (done, is_done) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            is_done.recv_timeout(LAST_WAIT).ok();
        }
    }
}

fn write_out(receiver: &Receiver<Message>, dropped: &AtomicU64, out: &mut impl Write) {
    while let Ok(message) = receiver.recv() {
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let line = serde_json::json!({"level": "WARN", "message": "log lines were dropped",
                "count": missing});
            writeln!(out, "{line}").ok();
        }
        match message {
            // Whoever closed standard error does not want to know.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Each call hands over one line: that is how events are written.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let (log, lines) = Log::new();
        for number in 0..MOST_LINES + 3 {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }

        let receiver = { log }.receiver.take().unwrap();
        drop(lines);
        let mut out = Vec::new();
        let dropped = AtomicU64::new(3);
        write_out(&receiver, &dropped, &mut out);

        let text = String::from_utf8(out).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.contains("\"count\":3"), "{first}");
        assert_eq!(rest.lines().count(), MOST_LINES);
    }
}
