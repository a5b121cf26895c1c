//! What a person sees of work that takes a while, and how it is ended early.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Waits for SIGINT or SIGTERM.
pub(super) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (interrupt, end) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut end)) = (interrupt, end) else {
        // Then a signal ends the process, and the next run cleans up.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = end.recv() => {}
    }
}

/// A line on standard error that is written over, where a person looks.
pub(super) struct Shown {
    is_wanted: bool,
    last: Option<Instant>,
}

impl Shown {
    /// Between two writings of the line.
    const PAUSE: Duration = Duration::from_millis(200);

    pub(super) fn new() -> Self {
        Self { is_wanted: io::stderr().is_terminal(), last: None }
    }

    /// Shows what `line` returns, unless that was shown just now.
    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        if !self.is_wanted || self.last.is_some_and(|last| last.elapsed() < Self::PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        write!(io::stderr().lock(), "\r\x1b[K{}", line()).ok();
    }

    pub(super) fn clear(&self) {
        if self.last.is_some() {
            write!(io::stderr().lock(), "\r\x1b[K").ok();
        }
    }
}

/// Draws a share from 0 to 1 as a bar of 30 characters.
pub(super) fn bar(share: f64) -> String {
    let thousandths = (0_u32..=1000).rev().find(|part| f64::from(*part) <= share * 1000.0);
    let thousandths = thousandths.unwrap_or(0);
    let filled = usize::try_from(thousandths * 30 / 1000).unwrap_or(0);
    format!("[{:<30}] {:>3} %", "#".repeat(filled), thousandths / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_its_share() {
        assert_eq!(bar(0.0), format!("[{}]   0 %", " ".repeat(30)));
        assert_eq!(bar(0.5), format!("[{}{}]  50 %", "#".repeat(15), " ".repeat(15)));
        assert_eq!(bar(0.999), format!("[{}{}]  99 %", "#".repeat(29), " "));
        assert_eq!(bar(1.0), format!("[{}] 100 %", "#".repeat(30)));
    }
}
