//! What can be found: numbered rules, each with why it matters and how to mend it.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is wrong; somebody should know it all the same.
    Note,
    /// Weaker than it has to be.
    Warning,
    /// Clients, data or secrets are in danger: the check fails.
    Error,
}

impl Level {
    /// Returns the level as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// What a finding is about. Each tag of the library has a hundred of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// What was set: `PAL1..`.
    Settings,
    /// Keys and passwords: `PAL2..`.
    Secrets,
    /// Files and folders, and who may touch them: `PAL3..`.
    Files,
    /// The database: `PAL4..`.
    Database,
    /// The certificate and its key: `PAL5..`.
    Tls,
    /// What one client may cost: `PAL6..`.
    Limits,
    /// What the process may do: `PAL7..`.
    Process,
    /// The time: `PAL8..`.
    Clock,
    /// The listener that answers, seen from outside: `PAL9..`.
    Live,
}

impl Tag {
    /// Every tag, in the order of its numbers.
    pub const ALL: [Self; 9] = [
        Self::Settings,
        Self::Secrets,
        Self::Files,
        Self::Database,
        Self::Tls,
        Self::Limits,
        Self::Process,
        Self::Clock,
        Self::Live,
    ];

    /// Returns the tag as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Secrets => "secrets",
            Self::Files => "files",
            Self::Database => "database",
            Self::Tls => "tls",
            Self::Limits => "limits",
            Self::Process => "process",
            Self::Clock => "clock",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// One thing that can be found; made by [`rules!`](crate::rules).
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Permanent: letters and three digits. It is never given to anything else, also when the
    /// rule is gone.
    pub id: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it is about.
    pub tag: Tag,
    /// Whether a service refuses to start with it. Such a rule is an error and cannot be silenced.
    pub stops_start: bool,
    /// What is found, in general, in one sentence.
    pub title: &'static str,
    /// What can come of it.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
}

impl Rule {
    /// Returns where the manual explains the rule: a path in this repository, with its anchor.
    pub fn link(&self) -> String {
        format!("docs/operate/check.md#{}", self.id.to_lowercase())
    }
}

/// Declares rules: a constant for each, and the list of them all.
///
/// `stops the start` stands behind the tag of a rule with which a service must not serve. A
/// service numbers its own rules with letters of its own; `PAL` is the library's.
///
/// ```
/// use palisade::check::{Finding, Level};
///
/// palisade::rules! {
///     /// What the greeter judges.
///     pub RULES;
///
///     /// A greeting that insults.
///     RUDE = "GRT101", Error, Settings {
///         title: "The greeting is rude.",
///         why: "Guests stay away.",
///         mend: "Set `greetings.friendly` to true.",
///     }
/// }
///
/// assert_eq!(RULES[0].link(), "docs/operate/check.md#grt101");
/// assert_eq!(Finding::new(&RUDE, "greetings.friendly = false").rule().level, Level::Error);
/// ```
#[macro_export]
macro_rules! rules {
    (
        $(#[doc = $about:literal])*
        $visibility:vis $list:ident;
        $(
            $(#[doc = $rule_about:literal])*
            $name:ident = $id:literal, $level:ident, $tag:ident $(, $stops:ident the start)? {
                title: $title:literal,
                why: $why:literal,
                mend: $mend:literal,
            }
        )+
    ) => {
        $(
            $(#[doc = $rule_about])*
            $visibility static $name: $crate::check::Rule = $crate::check::Rule {
                id: $id,
                level: $crate::check::Level::$level,
                tag: $crate::check::Tag::$tag,
                stops_start: $crate::rules!(@stops $($stops)?),
                title: $title,
                why: $why,
                mend: $mend,
            };
        )+

        $(#[doc = $about])*
        $visibility static $list: &[&$crate::check::Rule] = &[$( &$name ),+];
    };
    (@stops stops) => { true };
    (@stops) => { false };
}
