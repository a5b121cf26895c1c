//! What is wrong with an input, said so that a program and a person can both act on it.

use crate::secret::redacted;
use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// Most violations that one answer lists; a body cannot make an answer grow past them.
pub(crate) const MOST_VIOLATIONS: usize = 512;

/// Why one value is refused: a permanent code for programs, words for people.
///
/// The words are public. They say what is expected and never repeat the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The rule that was broken, such as `length`; part of the public contract.
    pub code: &'static str,
    /// What would be accepted instead.
    pub detail: Cow<'static, str>,
}

impl Invalid {
    /// Says that the rule `code` is broken and how to mend it.
    pub fn new(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}

impl std::error::Error for Invalid {}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The JSON pointer (RFC 6901) to the value; for a query string `/` and the parameter.
    pub pointer: String,
    /// The rule that was broken.
    pub code: &'static str,
    /// What would be accepted instead.
    pub detail: Cow<'static, str>,
}

/// A place inside a document, kept on the stack while reading and written out only on an error.
#[derive(Debug, Clone, Copy)]
pub enum Pointer<'a> {
    /// The whole document.
    Root,
    /// A member of the object at the first part.
    Member(&'a Self, &'a str),
    /// An element of the array at the first part.
    Element(&'a Self, usize),
}

impl<'a> Pointer<'a> {
    /// Returns the place of the member `name` of the object here.
    pub fn member(&'a self, name: &'a str) -> Self {
        Pointer::Member(self, name)
    }

    /// Returns the place of the element `index` of the array here.
    pub fn element(&'a self, index: usize) -> Self {
        Pointer::Element(self, index)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                write!(out, "{parent}/{name}")
            }
            Self::Element(parent, index) => write!(out, "{parent}/{index}"),
        }
    }
}

/// Gathers what is wrong while a document is read to its end.
#[derive(Debug, Default)]
pub struct Errors {
    malformed: Option<String>,
    violations: Vec<Violation>,
}

impl Errors {
    /// Records that the document does not have the form that was asked for: a wrong JSON type
    /// or an unknown member. The first one is kept.
    pub fn malformed(&mut self, at: &Pointer<'_>, detail: &str) {
        if self.malformed.is_none() {
            let place = at.to_string();
            let place = if place.is_empty() { "the document".into() } else { shortened(&place) };
            self.malformed = Some(format!("{place}: {detail}"));
        }
    }

    /// Records that the value at `at` is well formed and not allowed.
    pub fn invalid(&mut self, at: &Pointer<'_>, why: Invalid) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(Violation {
                pointer: at.to_string(),
                code: why.code,
                detail: why.detail,
            });
        }
    }

    /// Records that a required value is not there.
    pub fn required(&mut self, at: &Pointer<'_>) {
        self.invalid(at, Invalid::new("required", "This member is required."));
    }

    /// Returns `value` if nothing was recorded, and what is wrong otherwise.
    ///
    /// # Errors
    ///
    /// [`Rejection::Malformed`] wins over [`Rejection::Invalid`].
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Rejection> {
        if let Some(detail) = self.malformed {
            return Err(Rejection::Malformed(detail));
        }
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            _ => Err(Rejection::Invalid(self.violations)),
        }
    }
}

/// Why a document is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not have the form that was asked for.
    #[error("{0}")]
    Malformed(String),
    /// It is well formed, and these values in it are not allowed.
    #[error("{} values are not allowed", .0.len())]
    Invalid(Vec<Violation>),
}

/// Keeps a place in a document that a client made up from filling the answer.
fn shortened(place: &str) -> String {
    cut(place, 120, 120)
}

/// Returns an unknown name that a client made up: not the whole of one that is as long as a key or
/// a token, which somebody may have sent as a name by mistake.
pub(crate) fn shown_name(name: &str) -> String {
    // Before it is cut: nobody knows half a secret again.
    cut(&redacted(name), 40, 12)
}

/// Returns the first `kept` characters of `text` if there are more than `most`.
fn cut(text: &str, most: usize, kept: usize) -> String {
    match (text.char_indices().nth(most), text.char_indices().nth(kept)) {
        (Some(_), Some((end, _))) => format!("{}…", text.get(..end).unwrap_or_default()),
        _ => text.to_owned(),
    }
}
