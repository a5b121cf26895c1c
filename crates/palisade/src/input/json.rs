//! A strict reader of JSON (RFC 8259): one document, one meaning, or refused.
//!
//! Stricter than most, because two readers that disagree about a document are how a check is
//! passed with one value and another one is used: a member name that appears twice is refused,
//! so is a lone surrogate, a byte order mark, and whatever else the grammar does not know.
//! Strings are borrowed from the document unless they hold an escape, numbers stay text.
//!
//! It leaves out the size: a document of `n` bytes can grow to about `32 * n` bytes here, and
//! whoever reads the body bounds `n`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::Number;

/// How deep arrays and objects may stand in each other.
const DEEPEST: usize = 32;

/// Up to this many members of an object are compared one by one, more through their hashes.
const FEW_MEMBERS: usize = 16;

/// A JSON value.
///
/// ```
/// use palisade::input::Json;
///
/// assert_eq!(Json::parse(b" [true, null] "), Ok(Json::Array(vec![Json::Bool(true), Json::Null])));
///
/// let error = Json::parse(br#"{"role":"user","role":"admin"}"#).unwrap_err();
/// assert_eq!(error.to_string(), "not valid JSON at byte 15: a member name appears twice");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, exact.
    Number(Number<'a>),
    /// A string with its escapes resolved.
    String(Cow<'a, str>),
    /// The elements in their order.
    Array(Vec<Self>),
    /// The members in their order, each name once.
    Object(Vec<(Cow<'a, str>, Self)>),
}

/// Why a document is not JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON at byte {offset}: {reason}")]
pub struct JsonError {
    offset: usize,
    reason: &'static str,
}

impl JsonError {
    /// Returns how many bytes stand before the place that is wrong.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the reason in words that hold nothing of the document.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl<'a> Json<'a> {
    /// Reads `document`, which must hold one value and nothing after it but white space.
    ///
    /// Arrays and objects may nest 32 deep: `1` has depth 0, `[]` and `{}` have depth 1, `[{}]`
    /// has depth 2, and the bracket that would open depth 33 is refused.
    ///
    /// # Errors
    ///
    /// The first byte at which the document is wrong, and the reason.
    pub fn parse(document: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(document)
            .map_err(|error| JsonError { offset: error.valid_up_to(), reason: NOT_UTF8 })?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip_white_space();
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.error(TRAILING_TEXT)),
        }
    }
}

/// The document and how far it is read; `at` always stands between two characters.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a value that stands inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.skip_white_space();
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(_) => Err(self.error(NO_VALUE)),
            None => Err(self.error(CUT_OFF)),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.error(NO_VALUE));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.open(depth)?;
        let mut elements = Vec::new();
        if self.closes(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            if !self.goes_on(b']')? {
                return Ok(Json::Array(elements));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.open(depth)?;
        let mut members = Vec::new();
        let mut names = Names::default();
        if self.closes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_white_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error_or_cut_off(NO_NAME));
            }
            let name = self.string()?;
            if names.hold(&members, &name) {
                return Err(JsonError { offset: start, reason: DUPLICATE });
            }
            self.skip_white_space();
            if self.peek() != Some(b':') {
                return Err(self.error_or_cut_off(NO_COLON));
            }
            self.at += 1;
            members.push((name, self.value(depth)?));
            if !self.goes_on(b'}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    /// Steps over the bracket that opens `depth`.
    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > DEEPEST {
            return Err(self.error(TOO_DEEP));
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over the bracket `end` if it comes next: the array or object is empty.
    fn closes(&mut self, end: u8) -> bool {
        self.skip_white_space();
        let closes = self.peek() == Some(end);
        self.at += usize::from(closes);
        closes
    }

    /// Steps over a comma (`true`) or the bracket `end` (`false`).
    fn goes_on(&mut self, end: u8) -> Result<bool, JsonError> {
        self.skip_white_space();
        let goes_on = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == end => false,
            _ => return Err(self.error_or_cut_off(NO_COMMA)),
        };
        self.at += 1;
        Ok(goes_on)
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if let Some(b'0'..=b'9' | b'.' | b'_' | b'a'..=b'z' | b'A'..=b'Z') = self.peek() {
            return Err(self.error(NO_NUMBER));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Json::Number(Number::from_checked(text)))
    }

    /// Steps over one digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.error_or_cut_off(NO_NUMBER));
        }
        self.at += count;
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let plain = self.plain_part()?;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut owned = plain.to_owned();
        while self.peek() == Some(b'\\') {
            self.at += 1;
            owned.push(self.escape()?);
            owned.push_str(self.plain_part()?);
        }
        self.at += 1;
        Ok(Cow::Owned(owned))
    }

    /// Steps to the next quote or backslash and returns what stands before it.
    fn plain_part(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let length = self.rest().iter().position(is_special);
        self.at = length.map_or(self.text.len(), |length| start + length);
        match self.peek() {
            Some(b'"' | b'\\') => Ok(self.text.get(start..self.at).unwrap_or_default()),
            _ => Err(self.error_or_cut_off(CONTROL)),
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let character = match self.peek() {
            Some(b'u') => return self.unicode_escape(),
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.error_or_cut_off(NO_ESCAPE)),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads `uXXXX`, and a second `\uXXXX` if the first is the upper half of a pair.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let lone = JsonError { offset: start, reason: LONE_SURROGATE };
        let first = self.four_digits()?;
        if !(0xd800..=0xdfff).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || !self.rest().starts_with(b"\\u") {
            return Err(lone);
        }
        self.at += 1;
        let second = self.four_digits()?;
        if !(0xdc00..=0xdfff).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    /// Reads the `u` here and the four digits behind it.
    fn four_digits(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.error_or_cut_off(NO_ESCAPE))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: &'static str) -> JsonError {
        JsonError { offset: self.at, reason }
    }

    fn error_or_cut_off(&self, reason: &'static str) -> JsonError {
        self.error(if self.at < self.text.len() { reason } else { CUT_OFF })
    }
}

/// The names that an object has so far, kept so that a large object costs no more per member
/// than a small one.
#[derive(Default)]
struct Names {
    hashes: HashSet<u64>,
    keyed: RandomState,
}

impl Names {
    /// Returns whether `members` have `name`; it is remembered as the next one.
    fn hold(&mut self, members: &[(Cow<'_, str>, Json<'_>)], name: &str) -> bool {
        if members.len() >= FEW_MEMBERS {
            if self.hashes.is_empty() {
                self.hashes.extend(members.iter().map(|(known, _)| self.keyed.hash_one(&**known)));
            }
            if self.hashes.insert(self.keyed.hash_one(name)) {
                return false;
            }
        }
        members.iter().any(|(known, _)| known == name)
    }
}

const NOT_UTF8: &str = "the text is not UTF-8";
const TRAILING_TEXT: &str = "text follows the value";
const NO_VALUE: &str = "expected a value";
const CUT_OFF: &str = "the text ends too early";
const TOO_DEEP: &str = "nested too deeply";
const NO_NAME: &str = "expected a member name in double quotes";
const DUPLICATE: &str = "a member name appears twice";
const NO_COLON: &str = "expected a colon";
const NO_COMMA: &str = "expected a comma or the closing bracket";
const NO_NUMBER: &str = "not a number";
const CONTROL: &str = "a control character in a string must be escaped";
const NO_ESCAPE: &str = "not an escape";
const LONE_SURROGATE: &str = "half of a surrogate pair";

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
