//! The one place where these tools give up.

/// Ends the test with what is known about the failure.
#[track_caller]
#[expect(clippy::panic, reason = "a panic is how a test fails; nothing but tests calls this crate")]
pub(crate) fn fail(message: impl std::fmt::Display) -> ! {
    panic!("{message}")
}
