//! Secrets that are easy to recognise, and the search for them in whatever a service left behind.
//!
//! A secret seldom leaks as it is: it leaks inside of a URL, of a `Basic` credential, of a byte
//! array that somebody printed. [`Markers`] looks for every such form in one pass.

use std::collections::HashMap;

use data_encoding::{BASE64, BASE64URL, HEXLOWER};

/// Bytes of a form that the search starts from; a form that is shorter is not looked for.
const WINDOW: usize = 8;

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
    marker: String,
    name: &'static str,
    bytes: Vec<u8>,
    is_any_case: bool,
}

impl Markers {
    /// Adds a secret under a name that may be shown.
    ///
    /// # Panics
    /// When it has less than 16 bytes: something so short could be anywhere by chance.
    pub fn add(&mut self, marker: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 2 * WINDOW, "{marker} is too short to be told from chance");
        for (name, bytes, is_any_case) in forms(secret) {
            let form = Form { marker: marker.to_owned(), name, bytes, is_any_case };
            if let Some(start) = start(&form.bytes) {
                self.by_start.entry(start).or_default().push(self.forms.len());
                self.forms.push(form);
            }
        }
    }

    /// Returns `NAME as FORM` of every secret that `sink` holds, each once, in order of place.
    pub fn found_in(&self, sink: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut may_begin = vec![false; 1 << 16];
        for start in self.by_start.keys() {
            if let Some(may_begin) = may_begin.get_mut(pair(start)) {
                *may_begin = true;
            }
        }
        for at in 0..sink.len() {
            let rest = sink.get(at..).unwrap_or_default();
            // A program has a hundred megabytes, and a look into the map costs fifty times this.
            if may_begin.get(pair(rest)) != Some(&true) {
                continue;
            }
            let Some(candidates) = start(rest).and_then(|start| self.by_start.get(&start)) else {
                continue;
            };
            for form in candidates.iter().filter_map(|index| self.forms.get(*index)) {
                let told = format!("{} as {}", form.marker, form.name);
                if form.begins(rest) && !found.contains(&told) {
                    found.push(told);
                }
            }
        }
        found
    }

    /// Returns every form that is looked for, with its name, to plant it somewhere.
    pub fn planted(&self) -> impl Iterator<Item = (String, &[u8])> {
        self.forms.iter().map(|form| (format!("{} as {}", form.marker, form.name), &*form.bytes))
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

/// Returns the first two bytes as a number, ASCII letters in lower case.
fn pair(bytes: &[u8]) -> usize {
    let [first, second] = [bytes.first(), bytes.get(1)].map(|byte| byte.copied().unwrap_or(0));
    usize::from(u16::from_be_bytes([first.to_ascii_lowercase(), second.to_ascii_lowercase()]))
}

/// Returns the ways to write `secret`: a name, the bytes, and whether the case of letters is free.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>, bool)> {
    let mut forms = vec![
        ("plain text", secret.to_vec(), false),
        ("hexadecimal", HEXLOWER.encode(secret).into_bytes(), true),
        ("URL encoding", percent(secret, |byte| byte.is_ascii_alphanumeric()), true),
        ("URL encoding", percent(secret, is_unreserved), true),
        ("a form field", form_field(secret), true),
        ("a list of bytes", list(secret, ", ", |byte| byte.to_string()), false),
        ("a list of bytes", list(secret, ",", |byte| byte.to_string()), false),
        ("a list of bytes", list(secret, ", ", |byte| format!("{byte:02x}")), true),
        ("a list of bytes", list(secret, ", ", |byte| format!("{byte:x}")), true),
        ("UTF-16", secret.iter().flat_map(|byte| [*byte, 0]).collect(), false),
        ("backwards", secret.iter().rev().copied().collect(), false),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::Value::from(text).to_string();
        forms.push(("JSON", quoted.trim_matches('"').into(), false));
        forms.push(("Rust", format!("{text:?}").trim_matches('"').into(), false));
    }
    for offset in 0..3 {
        forms.push(("base64", inner_base64(&BASE64, offset, secret), false));
        forms.push(("base64", inner_base64(&BASE64URL, offset, secret), false));
    }
    forms
}

/// Returns what is left of base64 when `offset` unknown bytes stand in front of the secret and
/// any number behind it.
fn inner_base64(encoding: &data_encoding::Encoding, offset: usize, secret: &[u8]) -> Vec<u8> {
    let shifted = [vec![0; offset], secret.to_vec()].concat();
    let text = encoding.encode(&shifted).into_bytes();
    // A character is six bits: the first ones hold bits of what is in front, the last ones of
    // what is behind.
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_vec()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(secret: &[u8], is_kept: impl Fn(u8) -> bool) -> Vec<u8> {
    let written = |byte: &u8| if is_kept(*byte) { vec![*byte] } else { escaped(*byte) };
    secret.iter().flat_map(written).collect()
}

fn form_field(secret: &[u8]) -> Vec<u8> {
    let written = |byte: &u8| match *byte {
        b' ' => vec![b'+'],
        byte if is_unreserved(byte) => vec![byte],
        byte => escaped(byte),
    };
    secret.iter().flat_map(written).collect()
}

fn escaped(byte: u8) -> Vec<u8> {
    format!("%{byte:02X}").into_bytes()
}

fn list(secret: &[u8], separator: &str, written: impl Fn(&u8) -> String) -> Vec<u8> {
    let numbers: Vec<String> = secret.iter().map(written).collect();
    numbers.join(separator).into_bytes()
}

#[cfg(test)]
mod tests {
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

        for (name, form) in markers.planted() {
            for place in [0, 1, 77, noise.len()] {
                let (before, behind) = noise.split_at(place);
                let sink = [before, form, behind].concat();
                assert!(markers.found_in(&sink).contains(&name), "{name} at {place}");
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
    fn url_encoding_is_found_in_either_case_and_a_part_of_a_secret_is_not_taken_for_it() {
        let url = "?p=a%20%22quoted%22%20p%c3%a4ssword%2f%2b&q";
        assert_eq!(markers().found_in(url.as_bytes()), ["it as URL encoding"]);
        assert!(markers().found_in(b"a \"quoted\" p").is_empty());
    }
}
