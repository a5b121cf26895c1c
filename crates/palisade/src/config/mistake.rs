//! What is wrong with the settings, said so that it can be mended without reading code.
//!
//! The words of each error hold those of its cause, so that a mistake is one line; for that
//! reason the cause is a field to match on and no `source` to be printed again.

use std::fmt;
use std::path::PathBuf;

use super::Unfit;
use super::load::Shown;

/// Most mistakes that are listed; what comes after them is counted.
const MOST_LISTED: usize = 100;

/// Where the effective value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// The settings file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment {
        /// The variable's name.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Environment { name } => write!(out, "variable {name}"),
        }
    }
}

/// Where a mistake was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The settings file as a whole.
    File(PathBuf),
    /// One line of it, or one variable.
    At(Origin),
    /// A secret, wherever it comes from.
    Secret(String),
    /// Settings that are each right by themselves.
    Settings,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::At(origin) => origin.fmt(out),
            Self::Secret(name) => write!(out, "the secret {name}"),
            Self::Settings => out.write_str("the settings as a whole"),
        }
    }
}

/// What is wrong at a place.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The settings file cannot be opened or read.
    #[error("the settings file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The path is a directory, a pipe or a device.
    #[error("the settings file is not a regular file")]
    NotRegular,
    /// The file is larger than any honest settings file.
    #[error("the settings file is larger than {most} bytes")]
    TooLarge {
        /// The most bytes that are read.
        most: u64,
    },
    /// Something is nested deeper than any setting; nothing of the file was read.
    #[error("this is nested deeper than {deepest} levels")]
    TooDeep {
        /// The most levels that are read.
        deepest: usize,
    },
    /// There are more keys than any honest settings file has; nothing of the file was read.
    #[error("the settings file has more than {most} keys")]
    TooManyKeys {
        /// The most keys that are read.
        most: usize,
    },
    /// The file or the variable does not hold text.
    #[error("this is not UTF-8")]
    NotUtf8,
    /// The file is not TOML here; the words never repeat the line, which could hold a secret.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// There is no such section.
    #[error("unknown section [{section}]{}", hint(.nearest.as_deref()))]
    UnknownSection {
        /// The section as it was written.
        section: String,
        /// The section that was probably meant.
        nearest: Option<String>,
    },
    /// There is no such key in this section.
    #[error("unknown key {key} in [{section}]{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// The section it stands in.
        section: String,
        /// The key as it was written.
        key: String,
        /// The key that was probably meant; with its section if that is another one.
        nearest: Option<String>,
    },
    /// A key stands before the first section.
    #[error("{key} stands outside of any section{}", hint(.nearest.as_deref()))]
    OutsideSection {
        /// The key as it was written.
        key: String,
        /// Where it probably belongs.
        nearest: Option<String>,
    },
    /// What is a section was written as something else.
    #[error("{section} is a section: write `[{section}]` once, and its keys on the lines below")]
    NotASection {
        /// The section.
        section: &'static str,
    },
    /// The variable has the prefix of the settings but names none of them.
    #[error("no setting has this variable{}", hint(.nearest.as_deref()))]
    UnknownVariable {
        /// The variable that was probably meant.
        nearest: Option<String>,
    },
    /// A secret is about to end up where settings are shown and copied.
    #[error(
        "{key} looks like a secret, and secrets do not belong into the settings: remove it here, \
         replace it by a new one, and give that as the variable {name}, as a file named by \
         {name}_FILE, or as $CREDENTIALS_DIRECTORY/{name}"
    )]
    SecretHere {
        /// The key or the variable as it was written.
        key: String,
        /// The name that the secret has as a variable.
        name: String,
    },
    /// The value has the wrong type, is impossible, or is out of bounds.
    #[error("{section}.{key}: {unfit}")]
    Unfit {
        /// The section of the key.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What was expected, and what was found.
        unfit: Unfit,
    },
    /// Each setting is right by itself, and together they would put somebody in danger.
    #[error("{0}")]
    Danger(String),
    /// A secret is missing, ambiguous, unreadable or weak; the words name it and never hold it.
    #[error("{0}")]
    Secret(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// One mistake and its place.
#[derive(Debug)]
pub struct Mistake {
    /// Where it was made.
    pub place: Place,
    /// What is wrong there.
    pub wrong: Wrong,
}

impl Mistake {
    /// Says what is wrong with a line or a variable.
    pub(super) fn at(origin: Origin, wrong: Wrong) -> Self {
        Self { place: Place::At(origin), wrong }
    }

    /// Says in `words` what is wrong with settings that are each right by themselves.
    pub fn of_all(words: impl fmt::Display) -> Self {
        Self { place: Place::Settings, wrong: Wrong::Danger(words.to_string()) }
    }

    /// Says in `words`, which must name it and not hold it, what is wrong with the secret `name`.
    pub fn of_secret(name: &str, words: impl fmt::Display) -> Self {
        Self { place: Place::Secret(name.to_owned()), wrong: Wrong::Secret(words.to_string()) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            // Its words name it.
            Place::Secret(_) | Place::Settings => self.wrong.fmt(out),
            Place::File(_) | Place::At(_) => write!(out, "{}: {}", self.place, self.wrong),
        }
    }
}

impl std::error::Error for Mistake {}

/// Every mistake of every layer, in the order of the lines, then of the variables and the secrets.
///
/// ```
/// use palisade::config::{Mistake, Mistakes};
///
/// let settings: Result<u8, Mistakes> = Err(Mistake::of_secret("A", "A is weak").into());
/// let secrets: Result<u8, Mistakes> = Err(Mistake::of_secret("B", "B is weak").into());
/// assert_eq!(Mistakes::of_both(settings, secrets).unwrap_err().to_string(), "A is weak\nB is weak");
/// ```
#[derive(Debug)]
pub struct Mistakes {
    all: Vec<Mistake>,
    right: Vec<Shown>,
}

impl Mistakes {
    /// Puts the mistakes in order, beside what is right. Where a part of the file could not be
    /// read, nobody knows what is: it could have said otherwise.
    pub(super) fn beside(mut right: Vec<Shown>, mut all: Vec<Mistake>) -> Self {
        all.sort_by(|left, right| left.place.cmp(&right.place));
        let is_unread = |mistake: &Mistake| {
            let is_broken = |wrong: &Wrong| {
                matches!(
                    wrong,
                    Wrong::Syntax(_) | Wrong::TooDeep { .. } | Wrong::TooManyKeys { .. }
                )
            };
            matches!(mistake.place, Place::File(_)) || is_broken(&mistake.wrong)
        };
        if all.iter().any(is_unread) {
            right.clear();
        }
        Self { all, right }
    }

    /// Returns the mistakes if there are any.
    pub fn gathered(all: Vec<Mistake>) -> Option<Self> {
        (!all.is_empty()).then(|| Self::beside(Vec::new(), all))
    }

    /// Returns both values, or the mistakes of both, so that nobody mends one to hear of the other.
    ///
    /// # Errors
    ///
    /// All the mistakes of either.
    pub fn of_both<A, B>(first: Result<A, Self>, second: Result<B, Self>) -> Result<(A, B), Self> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => Err(mistakes),
            (Err(first), Err(second)) => {
                let right = first.right.into_iter().chain(second.right).collect();
                Err(Self::beside(right, first.all.into_iter().chain(second.all).collect()))
            }
        }
    }

    /// Returns the mistakes, at least one.
    pub fn all(&self) -> &[Mistake] {
        &self.all
    }

    /// Returns the settings that are right in spite of the mistakes, in the order of the
    /// declaration; none if a part of the file could not be read.
    pub fn right(&self) -> &[Shown] {
        &self.right
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self { all: vec![mistake], right: Vec::new() }
    }
}

/// One line a mistake.
impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.all.iter().take(MOST_LISTED).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}{mistake}")?;
        }
        match self.all.len().saturating_sub(MOST_LISTED) {
            0 => Ok(()),
            more => write!(out, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Mistakes {}
