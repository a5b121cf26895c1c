//! What took effect, measure by measure.

use std::fmt;

use super::Sandbox;

/// One thing that the process takes from itself, in the order in which it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `/proc/<pid>/environ` shows nothing.
    Environment,
    /// The process does not run as root.
    User,
    /// It has none of root's powers (capabilities(7)).
    Capabilities,
    /// A crash leaves no core file.
    CoreFiles,
    /// Other processes of the same user cannot read its memory, its environment or its maps.
    Memory,
    /// No program that is started could gain privileges.
    Privileges,
    /// Only the files that the service needs can be opened, and none executed (Landlock, ABI 3).
    Files,
    /// No TCP port can be bound any more, and only those connected to that the service needs
    /// (Landlock, ABI 4).
    Network,
    /// No signal reaches another process, and no abstract socket of one is reached (Landlock,
    /// ABI 6).
    Signals,
    /// Only the system calls that such a service makes are answered (seccomp).
    SystemCalls,
}

impl Measure {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Environment,
        Self::User,
        Self::Capabilities,
        Self::CoreFiles,
        Self::Memory,
        Self::Privileges,
        Self::Files,
        Self::Network,
        Self::Signals,
        Self::SystemCalls,
    ];

    /// Returns its name in the log and in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::CoreFiles => "core_files",
            Self::Memory => "memory",
            Self::Privileges => "privileges",
            Self::Files => "files",
            Self::Network => "network",
            Self::Signals => "signals",
            Self::SystemCalls => "system_calls",
        }
    }
}

/// What became of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds for the rest of the process.
    InEffect,
    /// Nobody asked for it: the mode is off, or root was not told to give itself up.
    NotAsked,
    /// It was asked for and cannot be had here.
    Missing,
}

/// A measure and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The measure.
    pub measure: Measure,
    /// What became of it.
    pub state: State,
    /// How far it goes, such as "Landlock ABI 7", or why it is not in effect; may be empty.
    pub detail: String,
}

/// What took effect, with one [`Outcome`] for each [`Measure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    mode: Sandbox,
    outcomes: Vec<Outcome>,
}

impl Report {
    /// Begins one in which nothing is asked for yet.
    pub(super) fn new(mode: Sandbox) -> Self {
        let idle = |measure| Outcome { measure, state: State::NotAsked, detail: String::new() };
        Self { mode, outcomes: Measure::ALL.map(idle).into() }
    }

    /// Notes what became of `measure`.
    pub(super) fn note(&mut self, measure: Measure, state: State, detail: impl Into<String>) {
        let noted = self.outcomes.iter_mut().find(|outcome| outcome.measure == measure);
        if let Some(outcome) = noted {
            *outcome = Outcome { measure, state, detail: detail.into() };
        }
    }

    /// Notes that `measure` is in effect, or with which words it is not.
    pub(super) fn note_result(&mut self, measure: Measure, taken: Result<(), impl fmt::Display>) {
        match taken {
            Ok(()) => self.note(measure, State::InEffect, ""),
            Err(why) => self.note(measure, State::Missing, why.to_string()),
        }
    }

    /// Returns how much was asked for.
    pub fn mode(&self) -> Sandbox {
        self.mode
    }

    /// Returns every measure with what became of it, in the order of [`Measure::ALL`].
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Tells whether `measure` is in effect.
    pub fn is_in_effect(&self, measure: Measure) -> bool {
        let mut all = self.outcomes.iter();
        all.any(|outcome| outcome.measure == measure && outcome.state == State::InEffect)
    }

    /// Returns what was asked for and cannot be had.
    pub fn missing(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.state == State::Missing)
    }

    /// Returns the outcomes in `state` as text: `files (Landlock ABI 7), memory`.
    pub fn listed(&self, state: State) -> String {
        let of_state = self.outcomes.iter().filter(|outcome| outcome.state == state);
        of_state.map(Outcome::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.measure.name())?;
        if self.detail.is_empty() { Ok(()) } else { write!(out, " ({})", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_one_outcome_and_a_name_of_its_own() {
        let mut report = Report::new(Sandbox::BestEffort);
        report.note(Measure::Files, State::Missing, "no Landlock");
        report.note(Measure::Files, State::InEffect, "Landlock ABI 7");
        report.note_result(Measure::Memory, Err("refused"));

        assert_eq!(report.outcomes().len(), Measure::ALL.len());
        assert!(report.is_in_effect(Measure::Files) && !report.is_in_effect(Measure::Memory));
        assert_eq!(report.listed(State::InEffect), "files (Landlock ABI 7)");
        assert_eq!(report.listed(State::Missing), "memory (refused)");
        assert_eq!(report.missing().count(), 1);
        let names: std::collections::BTreeSet<_> = Measure::ALL.map(Measure::name).into();
        assert_eq!(names.len(), Measure::ALL.len());
    }
}
