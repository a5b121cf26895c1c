//! SIGHUP from the first moment on: before there are threads, and before anybody reads anything
//! again.
//!
//! Whoever writes new settings and asks for them does not know how far a start has come. Without a
//! handler SIGHUP ends the process. With this one it is kept until the service serves, which then
//! reads its settings again.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Keeps SIGHUP from ending this process, and has one that comes during the start read the settings
/// again once the service serves. Call it first of all; it starts no thread.
///
/// ```
/// palisade::service::keep_hangups()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The operating system refuses the handler.
pub fn keep_hangups() -> std::io::Result<()> {
    hangups().map(drop)
}

/// Returns the hangups from now on, and those that were kept.
///
/// Call it before the runtime of the service is made: that passes on what was kept to whoever
/// listens by then.
pub(super) fn hangups() -> std::io::Result<Signal> {
    // Only for the registration, which outlives it and belongs to the whole process. It is never
    // run, so it passes nothing on.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    signal(SignalKind::hangup())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    /// Under nextest each test is a process of its own.
    #[test]
    fn one_that_comes_before_there_is_a_runtime_is_passed_on_once_there_is() {
        keep_hangups().unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        let mut hangups = hangups().unwrap();

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let received = runtime.unwrap().block_on(async {
            tokio::time::timeout(Duration::from_secs(10), hangups.recv()).await
        });

        assert_eq!(received, Ok(Some(())));
    }
}
