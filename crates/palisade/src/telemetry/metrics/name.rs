//! What a metric and its labels may be called.
//!
//! From the conventions of Prometheus (<https://prometheus.io/docs/practices/naming/>): lower case,
//! base units, and an ending that says what kind it is.

/// What a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Why a metric may not be called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// The name is not in the form that is asked for.
    #[error("must be lower-case letters, digits and single underscores, a letter first")]
    Form,
    /// A counter does not say that it is one.
    #[error("a counter's name ends in _total")]
    NotTotal,
    /// A histogram does not say what it measures.
    #[error("a histogram of durations ends in _seconds")]
    NotSeconds,
    /// The ending belongs to another kind of metric.
    #[error("_total, _count, _sum and _bucket at the end say another kind of metric")]
    EndsLikeAnother,
    /// The label's name is Prometheus' own.
    #[error("the labels le and quantile are Prometheus' own")]
    Reserved,
    /// There is no help text.
    #[error("a metric says what it is in a help text")]
    NoHelp,
    /// Two labels have the same name.
    #[error("a label's name comes twice")]
    Twice,
}

/// Checks the name of a metric of `kind`.
pub(super) fn check_name(kind: Kind, name: &str) -> Result<(), NameFault> {
    if !is_plain(name) {
        return Err(NameFault::Form);
    }
    let is_taken = TAKEN_ENDINGS.iter().any(|ending| name.ends_with(ending));
    match kind {
        Kind::Counter if !name.ends_with("_total") => Err(NameFault::NotTotal),
        Kind::Histogram if !name.ends_with("_seconds") => Err(NameFault::NotSeconds),
        Kind::Gauge if is_taken => Err(NameFault::EndsLikeAnother),
        Kind::Counter | Kind::Gauge | Kind::Histogram => Ok(()),
    }
}

/// Checks the names of a metric's labels.
pub(super) fn check_labels(names: &[&str]) -> Result<(), NameFault> {
    let mut rest = names;
    while let [name, others @ ..] = rest {
        if !is_plain(name) {
            return Err(NameFault::Form);
        }
        if ["le", "quantile"].contains(name) {
            return Err(NameFault::Reserved);
        }
        if others.contains(name) {
            return Err(NameFault::Twice);
        }
        rest = others;
    }
    Ok(())
}

fn is_plain(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('_').all(is_word)
}

/// What readers add to the names of histograms, or expect of counters.
const TAKEN_ENDINGS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];
