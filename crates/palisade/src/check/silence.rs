//! Findings that somebody has judged and accepted: by number, with a reason.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::{Finding, Rule, Tag};
use crate::config::FromSetting;
use crate::secret::is_legible;

crate::settings! {
    /// The deployment check, `check`.
    pub struct CheckSection in "check" {
        /// Findings that were judged and accepted, each as `"PAL105: the reason"`. They are still
        /// shown, with the reason, and no longer fail the check. None is the default: what is
        /// silent was decided by somebody. What stops the start cannot be silenced.
        pub silenced: Vec<Silence> = Vec::new();
    }
}

/// A finding that is accepted, and why.
///
/// ```
/// use palisade::check::Silence;
/// use palisade::config::FromSetting;
///
/// let silence = Silence::from_text("PAL105: the proxy is on the same machine").unwrap();
/// assert_eq!(silence.id, "PAL105");
/// assert_eq!(silence.reason, "the proxy is on the same machine");
/// assert!(Silence::from_text("PAL105").is_none(), "a reason is missing");
/// assert!(Silence::from_text("PAL105: \u{200b}\u{200b} on purpose").is_none(), "not all is seen");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The number of the finding.
    pub id: String,
    /// Why it is accepted: at least 10 characters, because somebody will read it later.
    pub reason: String,
}

/// Shorter ones, such as "ok", explain nothing.
const LEAST_REASON: usize = 10;

impl fmt::Display for Silence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.id, self.reason)
    }
}

impl FromSetting for Silence {
    fn expected() -> Cow<'static, str> {
        "the number of a finding and a reason of at least 10 characters, such as \"PAL105: the \
         proxy is on this machine\""
            .into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (id, reason) = text.split_once(':')?;
        let (id, reason) = (id.trim(), reason.trim());
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_line = !reason.contains('\n') && is_legible(reason);
        let is_reason = is_line && reason.chars().count() >= LEAST_REASON;
        (is_id && is_reason).then(|| Self { id: id.to_owned(), reason: reason.to_owned() })
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

crate::rules! {
    /// What is wrong with what was silenced.
    pub(super) RULES;

    UNKNOWN = "PAL190", Warning, Settings {
        title: "A finding is silenced that does not exist.",
        why: "A wrong number silences nothing, and whoever reads the settings believes it does.",
        mend: "Correct the number in `check.silenced`, or remove the line.",
    }
    UNUSED = "PAL191", Warning, Settings {
        title: "A finding is silenced that was not found.",
        why: "What was accepted once has been mended. Left there, the line would hide the same \
              fault when it comes back.",
        mend: "Remove the line from `check.silenced`.",
    }
    UNSILENCEABLE = "PAL192", Warning, Settings {
        title: "A finding is silenced that stops the start.",
        why: "The service does not start with it, whatever `check.silenced` says.",
        mend: "Mend the finding itself, and remove the line.",
    }
}

/// Returns what is wrong with what was silenced; `judged` are the tags that this run looked at.
pub(super) fn judge(
    section: &CheckSection,
    findings: &[Finding],
    catalogue: &[&'static Rule],
    judged: &BTreeSet<Tag>,
) -> Vec<Finding> {
    let judge_one = |silence: &Silence| {
        let Some(rule) = catalogue.iter().find(|rule| rule.id == silence.id) else {
            return Some(Finding::new(&UNKNOWN, format_args!("{} is no finding", silence.id)));
        };
        if rule.stops_start {
            return Some(Finding::new(&UNSILENCEABLE, format_args!("{} is silenced", rule.id)));
        }
        let is_found = findings.iter().any(|finding| finding.rule().id == rule.id);
        let is_stale = !is_found && judged.contains(&rule.tag);
        is_stale.then(|| Finding::new(&UNUSED, format_args!("{} was not found", rule.id)))
    };
    section.silenced.iter().filter_map(judge_one).collect()
}

/// Returns why `finding` is accepted, if it is.
pub(super) fn reason<'a>(section: &'a CheckSection, finding: &Finding) -> Option<&'a str> {
    let rule = finding.rule();
    let silence = section.silenced.iter().find(|silence| silence.id == rule.id);
    silence.filter(|_| !rule.stops_start).map(|silence| silence.reason.as_str())
}
