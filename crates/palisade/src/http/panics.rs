//! What a panic says, for the log and for nobody else.

use std::any::Any;

/// Longest text that is kept.
const LONGEST: usize = 500;

/// Returns the text of a panic, shortened.
pub(super) fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").chars().take(LONGEST).collect()
}
