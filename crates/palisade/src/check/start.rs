//! What stops a start: every reason at once, each with its number.

use std::fmt;

use super::{Deployment, Finding};

/// Proof that nothing was found that stops the start; only [`Deployment::clear`] makes one.
#[derive(Debug)]
pub struct Checked(());

/// Everything that stops the start.
///
/// ```
/// use palisade::check::{Finding, Refused};
///
/// palisade::rules! {
///     /// What the greeter judges.
///     RULES;
///     RUDE = "GRT101", Error, Settings, stops the start {
///         title: "The greeting is rude.",
///         why: "Guests stay away.",
///         mend: "Set `greetings.friendly` to true.",
///     }
/// }
///
/// let refused = Refused::by(vec![Finding::new(&RUDE, "greetings.friendly = false")]).unwrap_err();
/// assert!(refused.to_string().ends_with("\nGRT101: greetings.friendly = false"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Vec<Finding>);

impl Refused {
    /// Refuses if any of `findings` stops the start; the others are left out.
    ///
    /// # Errors
    ///
    /// All that do.
    pub fn by(findings: Vec<Finding>) -> Result<(), Self> {
        let fatal: Vec<_> =
            findings.into_iter().filter(|finding| finding.rule().stops_start).collect();
        if fatal.is_empty() { Ok(()) } else { Err(Self(fatal)) }
    }

    /// Returns `value`, unless there is none or any of `findings` stops the start.
    ///
    /// # Errors
    ///
    /// All that do.
    pub fn unless_clear<T>(value: Option<T>, findings: Vec<Finding>) -> Result<T, Self> {
        Self::by(findings)?;
        value.ok_or(Self(Vec::new()))
    }

    /// Returns what stops the start.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }
}

/// A heading, and one line for each.
impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("this does not start (`check --explain ID` says why, and how to mend it):")?;
        self.0.iter().try_for_each(|finding| write!(out, "\n{finding}"))
    }
}

impl std::error::Error for Refused {}

impl Deployment<'_> {
    /// Refuses the start for everything that stops it: here, and in `own`, what the service found
    /// in its own settings and secrets.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn clear(&self, own: Vec<Finding>) -> Result<Checked, Refused> {
        let mut findings = self.fatal();
        findings.extend(own);
        Refused::by(findings).map(|()| Checked(()))
    }
}
