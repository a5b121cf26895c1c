//! Finds secrets in text at some nanoseconds a byte, and keeps none of them.
//!
//! What is kept of a form of a secret is its length and two keyed hashes: of its first 8 bytes,
//! and of all of it. The last 8 bytes of the text are held in one number while it is read; only
//! where they fall on one of few marks in a small table are hashes computed at all.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use super::forms;

/// Fewest bytes of a secret that can be replaced: shorter ones stand in innocent text, too.
pub const LEAST_BYTES: usize = 8;
/// Most secrets of a process. A service has some ten; each costs about a kilobyte, and time for
/// every line of the log.
pub const MOST_SECRETS: usize = 500;
/// What stands in the place of a secret.
const REDACTED: &[u8] = b"[redacted]";
/// Bytes that are looked at together: as many as a number holds, and as the shortest secret has.
const WINDOW: usize = LEAST_BYTES;
/// Least characters behind a prefix that make it a token: fewer than those are guessed.
const LEAST_TOKEN: usize = 20;
/// Binary logarithm of the number of marks: 8 KiB, which stays in the processor's first cache.
const MARKS_LOG2: u32 = 16;
const WORDS: usize = 1 << (MARKS_LOG2 - 6);

/// Why a secret is not replaced in what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unregistered {
    /// It is too short.
    #[error("a secret of less than {LEAST_BYTES} bytes cannot be told from other text")]
    TooShort,
    /// There are too many.
    #[error("more than {MOST_SECRETS} secrets cannot be kept out of the log")]
    TooMany,
}

/// What is looked for. Made anew when something is added, so that readers never wait.
#[derive(Clone)]
pub(super) struct Finder {
    /// Keys of this process for the hashes: `SipHash`, as in `HashMap`.
    keys: RandomState,
    /// Spreads windows over the marks; odd.
    factor: u64,
    marks: Box<[u64; WORDS]>,
    /// By window, and of one window the longest first.
    forms: Vec<Form>,
    secrets: usize,
    prefixes: Vec<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    window: u64,
    length: usize,
    whole: u64,
}

impl Finder {
    /// Makes one that finds nothing.
    pub(super) fn new() -> Self {
        let keys = RandomState::new();
        let factor = keys.hash_one("factor") | 1;
        let marks = Box::new([0; WORDS]);
        Self { keys, factor, marks, forms: Vec::new(), secrets: 0, prefixes: Vec::new() }
    }

    /// Looks for `secret` from now on, in every form that is as long as a window. Whoever adds one
    /// twice has added one.
    pub(super) fn add(&mut self, secret: &[u8]) -> Result<(), Unregistered> {
        let sealed = self.seal(secret).ok_or(Unregistered::TooShort)?;
        if self.forms.binary_search(&sealed).is_ok() {
            return Ok(());
        }
        if self.secrets >= MOST_SECRETS {
            return Err(Unregistered::TooMany);
        }
        self.secrets += 1;
        forms::of(secret).iter().for_each(|form| self.add_form(form));
        Ok(())
    }

    fn add_form(&mut self, form: &[u8]) {
        let (Some(sealed), Some(first)) = (self.seal(form), form.first_chunk::<WINDOW>()) else {
            return;
        };
        if let Err(place) = self.forms.binary_search(&sealed) {
            self.forms.insert(place, sealed);
        }
        let (word, bit) = self.mark(u64::from_be_bytes(*first));
        if let Some(word) = self.marks.get_mut(word) {
            *word |= bit;
        }
    }

    /// Looks for tokens that begin with `prefix`, which ends in `_`, from now on.
    pub(super) fn add_prefix(&mut self, prefix: &'static str) {
        if !self.prefixes.contains(&prefix) {
            self.prefixes.push(prefix);
        }
    }

    /// Returns `text` with what is looked for replaced.
    pub(super) fn redact<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut from = 0;
        for secret in found {
            out.extend_from_slice(text.get(from..secret.start).unwrap_or_default());
            out.extend_from_slice(REDACTED);
            from = secret.end;
        }
        out.extend_from_slice(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Tells whether `text` holds what is looked for, in a form of at least `least` bytes.
    pub(super) fn holds(&self, text: &[u8], least: usize) -> bool {
        self.find(text).iter().any(|found| found.len() >= least)
    }

    /// Returns where in `text` secrets and tokens stand, in order and apart from each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let (mut window, mut token_end) = (0_u64, 0);
        for (last, byte) in text.iter().enumerate() {
            window = window << 8 | u64::from(*byte);
            let (word, bit) = self.mark(window);
            if self.marks.get(word).is_some_and(|word| word & bit != 0) {
                let start = (last + 1).saturating_sub(WINDOW);
                found.extend(self.form_at(text, start));
            }
            if *byte == b'_' && last >= token_end {
                let token = self.token_around(text, last);
                token_end = token.as_ref().map_or(token_end, |token| token.end);
                found.extend(token);
            }
        }
        merged(found)
    }

    fn mark(&self, window: u64) -> (usize, u64) {
        let place = window.wrapping_mul(self.factor) >> (64 - MARKS_LOG2);
        (usize::try_from(place >> 6).unwrap_or_default(), 1 << (place & 63))
    }

    fn seal(&self, form: &[u8]) -> Option<Form> {
        let window = self.keys.hash_one(form.get(..WINDOW)?);
        Some(Form { window, length: form.len(), whole: self.keys.hash_one(form) })
    }

    /// Returns the longest form that stands at `start`.
    fn form_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let rest = text.get(start..)?;
        let window = self.keys.hash_one(rest.get(..WINDOW)?);
        let from = self.forms.partition_point(|form| form.window < window);
        let candidates = self.forms.get(from..)?.iter().take_while(|form| form.window == window);
        let whole = |form: &&Form| {
            rest.get(..form.length).is_some_and(|text| self.keys.hash_one(text) == form.whole)
        };
        candidates
            .filter(whole)
            .map(|form| start..start + form.length)
            .max_by_key(|found| found.end)
    }

    /// Returns the token whose prefix ends at `underscore`.
    fn token_around(&self, text: &[u8], underscore: usize) -> Option<Range<usize>> {
        let (before, behind) = text.split_at_checked(underscore + 1)?;
        let prefix = self.prefixes.iter().find(|prefix| before.ends_with(prefix.as_bytes()))?;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        let length = behind.iter().position(|byte| !is_part(byte)).unwrap_or(behind.len());
        let token = behind.get(..length)?;
        let start = before.len() - prefix.len();
        // Inside a word it may be one: `methods_` ends like a prefix. Words have no digits.
        let begins_a_word =
            !start.checked_sub(1).and_then(|place| text.get(place)).is_some_and(is_part);
        let is_random =
            || token.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        (length >= LEAST_TOKEN && (begins_a_word || is_random()))
            .then(|| start..underscore + 1 + length)
    }
}

/// Joins what overlaps or touches.
fn merged(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_unstable_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
#[path = "finder_tests.rs"]
mod tests;
