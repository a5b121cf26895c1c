//! A strict reader of the Prometheus text format 0.0.4, to hold `GET /metrics` against. It knows
//! nothing of the library that writes it.

use std::collections::{BTreeMap, BTreeSet};

/// Labels in the order in which they are written.
pub(crate) type Labels = Vec<(String, String)>;

/// A metric with all its series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Name, labels and number of each line.
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

/// Reads all families, or says what is wrong with which line.
pub(crate) fn read(text: &str) -> Result<Vec<Family>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut help: Option<&str> = None;
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, words)) = rest.split_once(' ') else { return wrong("no help") };
            if !is_name(name) || words.trim().is_empty() || help.is_some() {
                return wrong("a bad HELP");
            }
            help = Some(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            let is_new = families.iter().all(|known| known.name != name);
            let is_kind = ["counter", "gauge", "histogram"].contains(&kind);
            if help.take() != Some(name) || !is_new || !is_kind {
                return wrong("a bad TYPE");
            }
            let (name, kind) = (name.to_owned(), kind.to_owned());
            families.push(Family { name, kind, samples: Vec::new() });
        } else {
            let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            match families.last_mut() {
                Some(family) if help.is_none() && family.takes(&sample.0) => {
                    family.samples.push(sample);
                }
                _ => return wrong("a sample of no family, or of another"),
            }
        }
    }
    families.iter().try_for_each(Family::check)?;
    Ok(families)
}

impl Family {
    fn takes(&self, sample: &str) -> bool {
        match sample.strip_prefix(&self.name) {
            Some("_bucket" | "_sum" | "_count") => self.kind == "histogram",
            Some("") => self.kind != "histogram",
            _ => false,
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let mut seen = BTreeSet::new();
        for (sample, labels, value) in &self.samples {
            let mut sorted = labels.clone();
            sorted.sort();
            let names: BTreeSet<&String> = labels.iter().map(|(label, _)| label).collect();
            if names.len() != labels.len() || !seen.insert((sample, sorted)) {
                return Err(format!("{sample} {labels:?} comes twice"));
            }
            if value.is_nan() || (self.kind != "gauge" && *value < 0.0) {
                return Err(format!("{sample} {labels:?} is {value}"));
            }
        }
        match (self.kind.as_str(), name.ends_with("_total")) {
            ("counter", false) | ("gauge" | "histogram", true) => {
                Err(format!("{name} is misnamed"))
            }
            ("histogram", _) => self.check_histogram(),
            _ if self.samples.is_empty() => Err(format!("{name} has no samples")),
            _ => Ok(()),
        }
    }

    /// Buckets ascend and add up, and the last one is the count.
    fn check_histogram(&self) -> Result<(), String> {
        let mut series: BTreeMap<Labels, Durations> = BTreeMap::new();
        for (sample, labels, value) in &self.samples {
            let (bounds, rest): (Labels, Labels) =
                labels.iter().cloned().partition(|(label, _)| label == "le");
            let entry = series.entry(rest).or_default();
            match (sample.strip_prefix(&self.name), bounds.as_slice()) {
                (Some("_bucket"), [(_, bound)]) => {
                    let bound = number(bound).ok_or_else(|| format!("the bound {bound}"))?;
                    entry.buckets.push((bound, *value));
                }
                (Some("_sum"), []) => entry.sum = Some(*value),
                (Some("_count"), []) => entry.count = Some(*value),
                _ => return Err(format!("{sample} {labels:?} is misplaced")),
            }
        }
        for (labels, Durations { buckets, sum, count }) in series {
            let ascends = buckets.windows(2).all(|pair| match pair {
                [a, b] => a.0 < b.0 && a.1 <= b.1,
                _ => false,
            });
            let last = buckets.last().copied();
            if !ascends || last != count.map(|count| (f64::INFINITY, count)) || sum.is_none() {
                return Err(format!("{} {labels:?} does not add up", self.name));
            }
        }
        Ok(())
    }
}

/// One series of a histogram.
#[derive(Debug, Default)]
struct Durations {
    /// Each bound with what is at or below it.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = number(value.strip_prefix(' ')?)?;
    is_name(name).then(|| (name.to_owned(), labels, value))
}

/// Reads `a="b",c="d"}` and returns what follows.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut found = Vec::new();
    loop {
        let (name, behind) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    _ => return None,
                }),
                (_, plain) => value.push(plain),
            }
        };
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return None;
        }
        found.push((name.to_owned(), value));
        let behind = behind.get(end + 1..)?;
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((found, behind.strip_prefix('}')?)),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte));
    match text {
        "+Inf" => Some(f64::INFINITY),
        _ if is_plain => text.parse().ok(),
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[test]
fn what_is_not_the_text_format_is_refused() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"x\\\"y\"} 1\na_total 2\n\
                # HELP h_seconds H.\n# TYPE h_seconds histogram\n\
                h_seconds_bucket{le=\"1\"} 1\nh_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 3\n\
                h_seconds_count 2\n";
    let families = read(good).unwrap();
    assert_eq!(families[0].samples[0].1, [("b".to_owned(), "x\"y".to_owned())]);
    assert_eq!(families[1].samples.len(), 4);

    for (from, to) in [
        ("# HELP a_total A.\n", ""),
        ("# TYPE a_total counter\n", ""),
        ("a_total counter", "a_total gauge"),
        ("a_total counter", "a_total untyped"),
        ("a_total 2\n", "a_total{b=\"x\\\"y\"} 2\n"),
        ("a_total 2\n", "c_total 2\n"),
        ("a_total 2\n", "a_total NaN\n"),
        ("a_total 2\n", "a_total -2\n"),
        ("a_total 2\n", "a_total inf\n"),
        ("a_total 2\n", "a_total\n"),
        ("a_total 2\n", "\n"),
        ("{b=\"x\\\"y\"}", "{b=\"x\\y\"}"),
        ("{b=\"x\\\"y\"}", "{b=\"x\",b=\"y\"}"),
        ("{b=\"x\\\"y\"}", "{b=\"x\""),
        ("{b=\"x\\\"y\"}", "{1=\"x\"}"),
        ("le=\"1\"} 1", "le=\"1\"} 3"),
        ("le=\"1\"", "le=\"one\""),
        ("h_seconds_count 2", "h_seconds_count 3"),
        ("h_seconds_bucket{le=\"+Inf\"} 2\n", ""),
        ("h_seconds_sum 3\n", ""),
        ("h_seconds_sum 3\n", "h_seconds 3\n"),
        ("h_seconds_count 2\n", "h_seconds_count 2"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(read(&bad).is_err(), "{from:?} -> {to:?} is accepted");
    }
}
