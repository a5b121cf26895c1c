//! The secrets that this process knows, and text without them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use zeroize::Zeroize;

use super::finder::{Finder, Unregistered};
use super::{Secret, escape};

/// The secrets of this process: there is one log, and whatever reaches it must be known here.
static KNOWN: ArcSwapOption<Finder> = ArcSwapOption::const_empty();
/// Held while one is added.
static ADDING: Mutex<()> = Mutex::new(());

/// Has `secret` replaced from now on, wherever this process writes it: in the log, in what the
/// library tells on standard error, and in what [`redacted`] returns.
///
/// It is found as it is, and in JSON (also in JSON inside JSON), percent-encoded, in hex, in
/// base64 of both alphabets wherever in a longer value it stands, and as Rust's debug output
/// shows texts and bytes. A secret that is itself hex or base64 is also found as the bytes that it
/// stands for. In base64, the one or two characters that a neighbour shares stay. It is not
/// found when it is cut in pieces, compressed or encoded twice in other ways.
///
/// [`Secrets`](crate::config::Secrets) registers what it finds. The registry keeps keyed hashes
/// and no secret; whoever registers one twice has registered one.
///
/// ```
/// use palisade::secret::{Secret, redacted, register};
///
/// register(&Secret::new(String::from("correct horse \"battery\""))).unwrap();
///
/// assert_eq!(redacted("with correct horse \"battery\"!"), "with [redacted]!");
/// assert_eq!(redacted(r#"{"with":"correct horse \"battery\""}"#), r#"{"with":"[redacted]"}"#);
/// assert_eq!(redacted("?with=correct+horse+%22battery%22"), "?with=[redacted]");
/// ```
///
/// # Errors
///
/// See [`Unregistered`]: then it is not replaced.
pub fn register<T: Zeroize + AsRef<[u8]>>(secret: &Secret<T>) -> Result<(), Unregistered> {
    change(|finder| finder.add(secret.expose().as_ref()))
}

/// Has every token replaced that begins with `prefix`, which must end in `_`, and goes on with at
/// least 20 letters, digits, `-` or `_`: tokens are too many, and too short-lived, to be known
/// one by one.
///
/// ```
/// use palisade::secret::{redacted, register_prefix};
///
/// register_prefix("ods_");
///
/// assert_eq!(redacted("Bearer ods_0e17ANtzOYuuONzI8MsT!"), "Bearer [redacted]!");
/// ```
pub fn register_prefix(prefix: &'static str) {
    change(|finder| finder.add_prefix(prefix));
}

/// Returns `text` with `[redacted]` in the place of every secret that was [registered](register)
/// and of every token with a [registered prefix](register_prefix). Nothing else is changed.
///
/// It costs about a nanosecond a byte, and next to nothing while nothing is registered.
pub fn redacted(text: &str) -> Cow<'_, str> {
    match redacted_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        // What is replaced are whole characters, so this never has to mend anything.
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Returns `text` for a person at a terminal: without secrets, as [`redacted`], and with what cannot be
/// seen, moves the cursor or turns the direction of writing shown as `\\u{…}`. Ends of lines stay.
///
/// ```
/// use palisade::secret::legible;
///
/// assert_eq!(legible("a\u{1b}[31mb\u{202e}\nc"), "a\\u{1b}[31mb\\u{202e}\nc");
/// ```
pub fn legible(text: &str) -> String {
    escape::legible(&redacted(text))
}

/// Tells whether everything in `text` can be seen, in one direction.
pub(crate) fn is_legible(text: &str) -> bool {
    escape::legible(text) == text
}

/// Fewest bytes of a secret that nobody takes for a word: a password such as `orderdesk` may well be
/// a part of a path.
const UNMISTAKABLE: usize = 16;

/// Tells whether `text` holds a secret or a token that no innocent text has in it.
pub(crate) fn holds_a_secret(text: &str) -> bool {
    KNOWN.load().as_deref().is_some_and(|finder| finder.holds(text.as_bytes(), UNMISTAKABLE))
}

/// As [`redacted`], of text that is not known to be UTF-8.
pub(crate) fn redacted_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    let known = KNOWN.load();
    known.as_deref().map_or(Cow::Borrowed(text), |finder| finder.redact(text))
}

/// Puts a changed copy in the place of what is known, so that readers never wait.
fn change<T>(add: impl FnOnce(&mut Finder) -> T) -> T {
    let held = ADDING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut finder = KNOWN.load().as_deref().map_or_else(Finder::new, Finder::clone);
    let added = add(&mut finder);
    KNOWN.store(Some(Arc::new(finder)));
    drop(held);
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_while_others_are_registered() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..10 {
                        let secret = format!("secret {number} of thread {thread}");
                        register(&Secret::new(secret.clone())).unwrap();
                        assert_eq!(redacted(&secret), "[redacted]");
                    }
                });
            }
        });
    }
}
