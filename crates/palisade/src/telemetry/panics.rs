//! Panics: told once, in the log, without what looks like a secret.
//!
//! Rust prints a panic's text to standard error by itself, past the log and unredacted. From
//! [`start`](super::start) on it is an event of the log. Where a panic is contained, whoever
//! contains it writes the line, because it knows for which request.

use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use crate::secret;

/// Longest text that is kept.
const LONGEST: usize = 500;
/// Least length of what is taken for a secret: 30 random bytes in base64url. Ids are shorter.
const LIKE_A_SECRET: usize = 40;

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was contained.
#[derive(Debug)]
pub(crate) struct Panic {
    /// What it said, redacted and shortened.
    pub(crate) text: String,
    /// The file and line, where the hook of [`start`](super::start) saw it.
    pub(crate) location: Option<String>,
}

/// Runs `work` and contains its panic, which is then the caller's to tell.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    let outer = IS_CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(outer);
    outcome.map_err(|panic| Panic {
        text: describe(panic.as_ref()),
        location: LOCATION.with_borrow_mut(Option::take),
    })
}

/// Sends panics to the log instead of to standard error.
pub(super) fn tell_in_the_log() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
    if IS_CONTAINED.get() {
        LOCATION.with_borrow_mut(|last| *last = location);
        return;
    }
    let (text, location) = (describe(panic.payload()), location.unwrap_or_default());
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    tracing::error!(panic = text, location, thread, "a thread panicked");
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // By what is known first, which takes a secret whole, and only then by its looks.
    let text = secret::redacted(text.unwrap_or("no text"));
    redacted(&text).chars().take(LONGEST).collect()
}

/// Replaces every run of characters that is as long as a key or a token.
fn redacted(text: &str) -> Cow<'_, str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let is_secret = |run: &str| run.trim_matches('/').len() >= LIKE_A_SECRET;
    if !text.split(|c| !is_part(c)).any(is_secret) {
        return Cow::Borrowed(text);
    }
    let pieces = text.split_inclusive(|c| !is_part(c)).map(|piece| {
        let run = piece.trim_end_matches(|c| !is_part(c));
        match piece.strip_prefix(run) {
            Some(end) if is_secret(run) => format!("[redacted]{end}"),
            _ => piece.to_owned(),
        }
    });
    Cow::Owned(pieces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_or_a_token_is_left_out() {
        let key = "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI";
        let token = format!("ods_{key}abcdef");

        for secret in [key, &token, &"0123456789abcdef".repeat(4)] {
            let said = redacted(&format!("no key {secret}, sorry (\"{secret}\")")).into_owned();
            assert_eq!(said, "no key [redacted], sorry (\"[redacted]\")");
        }
        for plain in ["", "index out of bounds: the len is 3", "id 01j9zkq3v8ma7t5x2c4w6y8b0d"] {
            assert_eq!(redacted(plain), plain);
        }
    }

    #[test]
    fn a_secret_that_looks_like_nothing_is_left_out_too_also_where_the_text_is_cut() {
        let secret = secret::Secret::new("correct horse".to_owned());
        secret::register(&secret).unwrap();
        let text = format!("{}correct horse", "x ".repeat(LONGEST / 2 - 3));

        let said = describe(&text);

        assert!(said.ends_with("x [redac"), "{said}");
        assert_eq!(said.len(), LONGEST);
    }

    #[test]
    fn a_contained_panic_is_given_to_who_contains_it_and_work_goes_on() {
        let panic = contain(|| -> u8 { panic!("number {}", 7) }).unwrap_err();

        assert_eq!(panic.text, "number 7");
        assert_eq!(contain(|| 7).unwrap(), 7);
        assert!(!IS_CONTAINED.get());
    }
}
