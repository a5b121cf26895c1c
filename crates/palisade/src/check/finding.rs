//! One thing that was found, in words that are safe to show.

use std::fmt;

use super::{CheckSection, Level, Rule};
use crate::secret::redacted;

/// Most characters of what was found: some of it was written by whoever answers.
const MOST_SHOWN: usize = 600;

/// A rule that is broken, and where.
///
/// Its words never hold a secret, and nothing that upsets a terminal or a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    rule: &'static Rule,
    what: String,
    mend: Option<String>,
}

impl Finding {
    /// Says that `rule` is broken; `what` says where, in one sentence or a few words.
    pub fn new(rule: &'static Rule, what: impl fmt::Display) -> Self {
        Self { rule, what: one_line(&what.to_string()), mend: None }
    }

    /// Says how to mend this very one, such as the command with the file's name.
    #[must_use]
    pub fn mended_by(mut self, how: impl fmt::Display) -> Self {
        self.mend = Some(one_line(&how.to_string()));
        self
    }

    /// Returns the rule.
    pub fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// Returns what was found.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns how to mend it.
    pub fn mend(&self) -> &str {
        self.mend.as_deref().unwrap_or(self.rule.mend)
    }

    /// Tells whether it is an error that neither stops a start nor was silenced.
    pub(crate) fn weighs_and_is_let_pass(&self, check: &CheckSection) -> bool {
        let is_silenced = check.silenced.iter().any(|silence| silence.id == self.rule.id);
        self.rule.level == Level::Error && !self.rule.stops_start && !is_silenced
    }

    pub(super) fn level(&self) -> Level {
        self.rule.level
    }
}

/// `PAL204: what was found. How to mend it.`
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.rule.id, self.what)?;
        if self.mend.is_some() {
            write!(out, ". {}", self.mend())?;
        }
        Ok(())
    }
}

/// Takes out the secrets that are known, and escapes what is no letter of a line: controls, and the
/// marks that turn the direction of text.
fn one_line(text: &str) -> String {
    let text = redacted(text);
    let mut out = String::with_capacity(text.len());
    for (count, character) in text.chars().enumerate() {
        if count == MOST_SHOWN {
            out.push('…');
            break;
        }
        if is_unsafe(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::library_rules;
    use crate::secret::{Secret, register};

    #[test]
    fn no_secret_that_is_known_and_no_trick_reaches_the_words() {
        let secret = Secret::new("a-key-that-nobody-must-see".to_owned());
        register(&secret).unwrap();
        let rule = library_rules().next().unwrap();

        let told = format!("\u{1b}[31m{}\u{202e}\n", secret.expose());
        let finding = Finding::new(rule, &told).mended_by(&told);

        for words in [finding.what(), finding.mend()] {
            assert_eq!(words, "\\u{1b}[31m[redacted]\\u{202e}\\u{a}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let rule = library_rules().next().unwrap();
        assert_eq!(Finding::new(rule, "x".repeat(5000)).what().chars().count(), MOST_SHOWN + 1);
    }
}
