//! Secrets that are easy to recognise, and the search for them in whatever a service left behind.
//!
//! A secret seldom leaks as it is: it leaks inside of a URL, of a `Basic` credential, of a byte
//! array that somebody printed, or cut short. [`Markers`] looks for every such form, and for parts
//! of what is long, in one pass.

mod forms;

use std::collections::HashMap;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

/// Bytes of a form that the search starts from; a form that is shorter is not looked for.
const WINDOW: usize = 8;
/// Bytes of each part that a long secret is looked for by: 64 bits and more, if it is a key in
/// hexadecimal or base64, so that nothing holds one by chance.
const PART: usize = 16;

/// What must be found nowhere, in every form in which it could be written.
///
/// ```
/// use palisade_testing::Markers;
///
/// let mut markers = Markers::default();
/// markers.add("API_KEY", "s3cr3t-of-the-shop");
///
/// assert!(markers.found_in(b"nothing here").is_empty());
/// let found = markers.found_in(b"authorization: Basic YTpzM2NyM3Qtb2YtdGhlLXNob3A=");
/// assert_eq!(found, ["API_KEY as base64"]);
/// ```
#[derive(Debug, Default)]
pub struct Markers {
    forms: Vec<Form>,
    /// The forms that begin with these bytes, ASCII letters in lower case.
    by_start: HashMap<[u8; WINDOW], Vec<usize>>,
}

#[derive(Debug)]
struct Form {
    /// Which secret, or which part of it, and written how.
    told: String,
    bytes: Vec<u8>,
    is_any_case: bool,
}

impl Markers {
    /// Adds a secret under a name that may be shown. One of 32 bytes or more is also looked for by
    /// its first, middle and last 16 bytes, because half a key in a log is a leak too; and what is
    /// hexadecimal or base64 also as the bytes that it stands for.
    ///
    /// ```
    /// let mut markers = palisade_testing::Markers::default();
    /// markers.add("API_KEY", "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI");
    ///
    /// let found = markers.found_in(b"with the key 0e17ANtzOYuuONzI8MsT...");
    /// assert!(found.contains(&"the beginning of API_KEY as plain text".to_owned()));
    /// ```
    ///
    /// # Panics
    /// When it has less than 16 bytes: something so short could be anywhere by chance.
    pub fn add(&mut self, marker: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 2 * WINDOW, "{marker} is too short to be told from chance");
        self.add_parts(marker, secret);
        let encodings = [HEXLOWER_PERMISSIVE, BASE64URL_NOPAD, BASE64];
        let bytes = encodings.iter().find_map(|encoding| encoding.decode(secret).ok());
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() >= 2 * WINDOW) {
            self.add_parts(&format!("the bytes of {marker}"), &bytes);
        }
    }

    fn add_parts(&mut self, marker: &str, secret: &[u8]) {
        self.add_forms(marker, secret);
        let Some(end) = secret.len().checked_sub(PART).filter(|end| *end >= PART) else { return };
        for (part, from) in [("beginning", 0), ("middle", end / 2), ("end", end)] {
            let bytes = secret.get(from..from + PART).unwrap_or_default();
            self.add_forms(&format!("the {part} of {marker}"), bytes);
        }
    }

    fn add_forms(&mut self, marker: &str, secret: &[u8]) {
        for (name, bytes, is_any_case) in forms::of(secret) {
            let form = Form { told: format!("{marker} as {name}"), bytes, is_any_case };
            if let Some(start) = start(&form.bytes) {
                self.by_start.entry(start).or_default().push(self.forms.len());
                self.forms.push(form);
            }
        }
    }

    /// Returns `NAME as FORM` of every secret that `sink` holds, each once, in order of place.
    pub fn found_in(&self, sink: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut may_begin = vec![false; SLOTS];
        for start in self.by_start.keys() {
            if let Some(may_begin) = may_begin.get_mut(slot(start)) {
                *may_begin = true;
            }
        }
        for at in 0..sink.len() {
            let rest = sink.get(at..).unwrap_or_default();
            // A program has a hundred megabytes, and a look into the map costs fifty times this.
            if may_begin.get(slot(rest)) != Some(&true) {
                continue;
            }
            let Some(candidates) = start(rest).and_then(|start| self.by_start.get(&start)) else {
                continue;
            };
            for form in candidates.iter().filter_map(|index| self.forms.get(*index)) {
                if form.begins(rest) && !found.contains(&form.told) {
                    found.push(form.told.clone());
                }
            }
        }
        found
    }
}

impl Form {
    fn begins(&self, text: &[u8]) -> bool {
        let Some(text) = text.get(..self.bytes.len()) else { return false };
        text == self.bytes || self.is_any_case && text.eq_ignore_ascii_case(&self.bytes)
    }
}

fn start(bytes: &[u8]) -> Option<[u8; WINDOW]> {
    let mut start: [u8; WINDOW] = bytes.get(..WINDOW)?.try_into().ok()?;
    start.make_ascii_lowercase();
    Some(start)
}

/// Returns a number below [`SLOTS`] for the first four bytes, ASCII letters in lower case.
fn slot(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first_chunk::<4>() else { return 0 };
    let number = u32::from_le_bytes(first.map(|byte| byte.to_ascii_lowercase()));
    // Fibonacci hashing: the upper bits depend on all of them.
    let slot = number.wrapping_mul(0x9e37_79b9) >> 14;
    usize::try_from(slot).unwrap_or_default()
}

/// The upper 18 bits of 32.
const SLOTS: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64URL, HEXLOWER};

    use super::*;

    const SECRET: &str = "a \"quoted\" pässword/+";

    fn markers() -> Markers {
        let mut markers = Markers::default();
        markers.add("it", SECRET);
        markers
    }

    #[test]
    fn every_form_is_found_wherever_it_stands_and_nothing_is_found_without() {
        let markers = markers();
        let noise: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        assert_eq!(markers.found_in(&noise), Vec::<String>::new());

        for Form { told: name, bytes: form, .. } in &markers.forms {
            for place in [0, 1, 77, noise.len()] {
                let (before, behind) = noise.split_at(place);
                let sink = [before, form.as_slice(), behind].concat();
                let found = markers.found_in(&sink);
                assert!(found.contains(name), "{name} at {place}: {found:?}");
            }
        }
    }

    #[test]
    fn it_is_found_inside_of_what_was_encoded_with_something_around_it() {
        for around in ["", "a", "ab", "abc"] {
            let inside = format!("{around}{SECRET}{around}");
            let encoded = [
                BASE64.encode(inside.as_bytes()),
                BASE64URL.encode(inside.as_bytes()),
                HEXLOWER.encode(inside.as_bytes()).to_uppercase(),
                serde_json::json!({ "password": inside }).to_string(),
                format!("{:?}", inside.as_bytes()),
                format!("{inside:?}"),
            ];
            for text in encoded {
                assert!(!markers().found_in(text.as_bytes()).is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn a_long_secret_is_found_though_it_was_cut_at_either_end_or_at_both_and_in_any_form() {
        let key = "0e17ANtzOYuuONzI8MsT_MJ8OkaMtCgOFHjBuF0nrnI";
        let mut markers = Markers::default();
        markers.add("it", key);
        let bytes = BASE64URL_NOPAD.decode(key.as_bytes()).unwrap();

        for range in [0..40, 0..16, 27..43, 3..43, 6..37] {
            let cut = key.get(range).unwrap();
            for written in [cut.to_owned(), BASE64.encode(cut.as_bytes()), format!("{cut:?}")] {
                assert!(!markers.found_in(written.as_bytes()).is_empty(), "{written}");
            }
        }
        for cut in [&bytes[..], &bytes[..30], &bytes[2..]] {
            for written in [cut.to_vec(), HEXLOWER.encode(cut).into(), BASE64.encode(cut).into()] {
                assert!(!markers.found_in(&written).is_empty(), "{written:?}");
            }
        }
        assert!(markers.found_in(&key.as_bytes()[..15]).is_empty());
    }

    #[test]
    fn url_encoding_is_found_in_either_case_and_a_part_of_a_short_secret_is_not_taken_for_it() {
        let url = "?p=a%20%22quoted%22%20p%c3%a4ssword%2f%2b&q";
        assert_eq!(markers().found_in(url.as_bytes()), ["it as URL encoding"]);
        assert!(markers().found_in(b"a \"quoted\" p").is_empty());
    }
}
