//! What a child has said on standard output or error: read in the background, kept within a bound.
//!
//! The oldest lines are forgotten first; a reader is told how many.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The lines so far, and the task that adds to them.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Arc<Mutex<Lines>>,
    changes: watch::Receiver<()>,
    reader: JoinHandle<()>,
}

impl Output {
    /// Starts to read `source` on a task of its own.
    pub(crate) fn read(source: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Lines::default()));
        let (changed, changes) = watch::channel(());
        let reader = tokio::spawn(collect(source, Arc::clone(&lines), changed));

        Self { lines, changes, reader }
    }

    /// Returns everything kept so far.
    pub(crate) fn text(&self) -> String {
        lock(&self.lines).text()
    }

    /// Returns every byte as it came, or nothing if the first ones are forgotten.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let lines = lock(&self.lines);
        (lines.forgotten == 0).then(|| lines.kept.iter().flatten().copied().collect())
    }

    /// Waits for the first line, past ones included, that `find` makes something of.
    ///
    /// Returns `None` when standard error closed without one.
    pub(crate) async fn find<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.clone();
        let mut seen = 0;
        loop {
            changes.borrow_and_update();
            if let Some(found) = lock(&self.lines).find_from(&mut seen, &mut find) {
                return Some(found);
            }
            if changes.changed().await.is_err() {
                return lock(&self.lines).find_from(&mut seen, &mut find);
            }
        }
    }

    /// Waits a moment for the last words of a child that has ended.
    pub(crate) async fn close(&mut self) {
        // A grandchild may hold standard error open for ever.
        let last_words = tokio::time::timeout(LAST_WORDS, &mut self.reader).await;
        if last_words.is_err() {
            self.reader.abort();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Lines within [`KEPT_BYTES`], with the number of those forgotten.
#[derive(Debug, Default)]
struct Lines {
    /// Each with the line feed that ends it, if one does.
    kept: VecDeque<Vec<u8>>,
    bytes: usize,
    forgotten: usize,
}

impl Lines {
    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.kept.push_back(line);
        while self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }

    /// Shows `find` the lines from number `seen` on, and moves `seen` along.
    fn find_from<T>(
        &self,
        seen: &mut usize,
        find: &mut impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        for line in self.kept.iter().skip(seen.saturating_sub(self.forgotten)) {
            if let Some(found) = find(&shown(line)) {
                return Some(found);
            }
        }
        *seen = self.forgotten + self.kept.len();
        None
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes + self.kept.len());
        if self.forgotten > 0 {
            text.push_str(&format!("({} earlier lines are forgotten)\n", self.forgotten));
        }
        for line in &self.kept {
            text.push_str(&shown(line));
            text.push('\n');
        }
        text
    }
}

/// Reads to the end; a line longer than [`LINE_BYTES`] is kept in pieces.
async fn collect(
    source: impl AsyncRead + Unpin,
    lines: Arc<Mutex<Lines>>,
    changed: watch::Sender<()>,
) {
    let mut source = tokio::io::BufReader::new(source);
    let mut line = Vec::new();
    while let Ok(byte) = source.read_u8().await {
        line.push(byte);
        if byte == b'\n' || line.len() >= LINE_BYTES {
            lock(&lines).push(std::mem::take(&mut line));
            changed.send_replace(());
        }
    }
    if !line.is_empty() {
        lock(&lines).push(line);
    }
}

/// Returns a line as text, without its line feed.
fn shown(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line))
}

/// A panic elsewhere must not hide the lines that explain it.
fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough for the log of any one test.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
const LINE_BYTES: usize = 64 * 1024;
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_found_whether_it_came_before_or_after_the_question() {
        let (ours, theirs) = tokio::io::duplex(64);
        let output = Output::read(theirs);

        let question = tokio::spawn(async move {
            let early = output.find(|line| line.strip_prefix("one ").map(str::to_owned)).await;
            let again = output.find(|line| line.strip_prefix("one ").map(str::to_owned)).await;
            let late = output.find(|line| line.strip_prefix("two ").map(str::to_owned)).await;
            let never = output.find(|line| line.strip_prefix("three ").map(str::to_owned)).await;
            [early, again, late, never]
        });
        write(ours, b"one a\nnoise\ntwo b").await;

        let found = question.await.unwrap();
        assert_eq!(found, [Some("a".to_owned()), Some("a".to_owned()), Some("b".to_owned()), None]);
    }

    #[tokio::test]
    async fn what_is_no_text_and_a_line_of_any_length_are_kept_as_they_came() {
        let said = [vec![0xff; LINE_BYTES + 10], b"\n\xfe\n\nend".to_vec()].concat();

        let mut output = Output::read(std::io::Cursor::new(said.clone()));
        output.close().await;

        assert_eq!(output.bytes().unwrap(), said);
    }

    #[test]
    fn the_oldest_lines_make_room_and_are_counted() {
        let mut lines = Lines::default();

        for _ in 0..100 {
            lines.push(vec![b'x'; KEPT_BYTES / 50]);
        }

        assert!(lines.bytes <= KEPT_BYTES);
        assert_eq!(lines.forgotten + lines.kept.len(), 100);
        assert!(lines.text().starts_with(&format!("({} earlier lines", lines.forgotten)));
    }

    async fn write(mut to: impl tokio::io::AsyncWrite + Unpin, bytes: &[u8]) {
        tokio::io::AsyncWriteExt::write_all(&mut to, bytes).await.unwrap();
    }
}
