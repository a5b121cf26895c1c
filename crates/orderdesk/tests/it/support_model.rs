//! Orders as the contract has them, in memory: what a service is compared with.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Ada,
    Bob,
    /// An operator.
    Machine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Pay,
    Ship,
    Cancel,
}

/// Which version a request wants to change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Any,
    Present,
    Another,
}

/// What is asked; an order is meant by its number, counted round.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Place { by: Who, for_bob: bool, lines: Vec<(u32, u32)> },
    Take { step: Step, by: Who, order: usize, wanted: Wanted, is_sent_twice: bool },
    Find { by: Who, order: usize },
    Events { by: Who, order: usize },
    List { by: Who, status: Option<&'static str>, limit: usize },
}

pub(crate) fn anything() -> impl Strategy<Value = Asked> {
    let line = (1_u32..=1_000, 0_u32..=99_999);
    prop_oneof![
        3 => (who(), any::<bool>(), prop::collection::vec(line, 1..4))
            .prop_map(|(by, for_bob, lines)| Asked::Place { by, for_bob, lines }),
        6 => (step(), who(), any::<usize>(), wanted(), any::<bool>()).prop_map(
            |(step, by, order, wanted, is_sent_twice)| Asked::Take {
                step, by, order, wanted, is_sent_twice,
            }
        ),
        1 => (who(), any::<usize>()).prop_map(|(by, order)| Asked::Find { by, order }),
        1 => (who(), any::<usize>()).prop_map(|(by, order)| Asked::Events { by, order }),
        2 => (who(), status(), 1..=4_usize)
            .prop_map(|(by, status, limit)| Asked::List { by, status, limit }),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => Just(Step::Pay), 2 => Just(Step::Ship), 2 => Just(Step::Cancel)]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![1 => Just(Who::Ada), 1 => Just(Who::Bob), 3 => Just(Who::Machine)]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![4 => Just(Wanted::Any), 1 => Just(Wanted::Present), 1 => Just(Wanted::Another)]
}

fn status() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec!["new", "paid", "shipped", "cancelled"]))
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Ship => "ship",
            Self::Cancel => "cancel",
        }
    }

    pub(crate) fn body(self) -> Value {
        if self == Self::Pay { json!({"payment_reference": "pi_3Nk1"}) } else { json!({}) }
    }

    /// Returns the status after it, if an operator may take it from there.
    pub(crate) fn after(self, status: &str) -> Option<&'static str> {
        match (self, status) {
            (Self::Pay, "new") => Some("paid"),
            (Self::Ship, "paid") => Some("shipped"),
            (Self::Cancel, "new" | "paid") => Some("cancelled"),
            _ => None,
        }
    }
}

/// An order as it must be.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) owner: Who,
    total: u64,
    pub(crate) status: &'static str,
    pub(crate) version: u64,
    pub(crate) history: Vec<String>,
}

impl Order {
    pub(crate) fn placed(id: &str, owner: Who, lines: &[(u32, u32)]) -> Self {
        let total = lines.iter().map(|(count, price)| u64::from(*count) * u64::from(*price)).sum();
        let (id, history) = (id.to_owned(), vec!["place none->new".to_owned()]);
        Self { id, owner, total, status: "new", version: 1, history }
    }

    pub(crate) fn is_seen_by(&self, who: Who) -> bool {
        who == Who::Machine || who == self.owner
    }

    /// Takes the step, or returns the status of the refusal.
    pub(crate) fn take(&mut self, step: Step, by: Who, wanted: Wanted) -> u16 {
        if by != Who::Machine && step != Step::Cancel {
            return 403;
        }
        if !self.is_seen_by(by) {
            return 404;
        }
        if matches!(wanted, Wanted::Another) {
            return 412;
        }
        let is_late = by != Who::Machine && self.status != "new";
        let Some(next) = step.after(self.status).filter(|_| !is_late) else { return 409 };
        self.history.push(format!("{} {}->{next}", step.name(), self.status));
        self.status = next;
        self.version += 1;
        200
    }

    /// Tells in what `shown` differs from this.
    pub(crate) fn differs_from(&self, shown: &Value) -> Option<String> {
        let total = format!("{}.{:02}", self.total / 100, self.total % 100);
        let mut wrong = String::new();
        for (name, expected) in [
            ("id", json!(self.id)),
            ("status", json!(self.status)),
            ("version", json!(self.version)),
            ("total", json!(total)),
        ] {
            if shown[name] != expected {
                write!(wrong, "{name} is {}, not {expected}; ", shown[name]).unwrap();
            }
        }
        (!wrong.is_empty()).then_some(wrong)
    }
}

/// One step that was asked for while others were.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) step: Step,
    /// The newest version that anybody had been told of before it was sent.
    pub(crate) known: u64,
    /// The version after it, or `None` if it was refused as not allowed.
    pub(crate) made: Option<u64>,
}

/// Tells why there is no order in which the calls could have come one after the other.
///
/// Each that was done made another version, one step after the one before; and each that was refused
/// was not allowed in some state that the order was in at that time.
pub(crate) fn is_impossible(calls: &[Call]) -> Option<String> {
    let mut done: Vec<_> = calls.iter().filter_map(|call| Some((call.made?, call.step))).collect();
    done.sort_unstable_by_key(|(version, _)| *version);
    let mut states = vec!["new"];
    for (expected, (version, step)) in (2..).zip(done) {
        let Some(next) = step.after(states.last().unwrap()).filter(|_| version == expected) else {
            return Some(format!("version {version} by {step:?} after {states:?}"));
        };
        states.push(next);
    }
    for call in calls.iter().filter(|call| call.made.is_none()) {
        let known = usize::try_from(call.known).unwrap();
        if states[known - 1..].iter().all(|state| call.step.after(state).is_some()) {
            return Some(format!("{call:?} was refused, from {states:?}"));
        }
    }
    None
}
