//! What was found, for people and for machines.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{CheckSection, Finding, Level, Rule, Tag, catalogue, silence};

/// The version of the JSON form. Members may be added within one version, not changed or removed.
const SCHEMA: u32 = 1;

/// Findings while they are gathered.
///
/// ```
/// use palisade::check::{Check, CheckSection, Tag, process};
/// use palisade::process::SandboxSection;
///
/// let mut check = Check::new("greeter", "1.0.0", &[]);
/// check.add([Tag::Process], process(&SandboxSection::default()));
/// let report = check.report(&CheckSection::default());
/// assert_eq!(report.json()["program"], "greeter");
/// ```
#[derive(Debug)]
pub struct Check {
    program: &'static str,
    version: &'static str,
    catalogue: Vec<&'static Rule>,
    findings: Vec<Finding>,
    judged: BTreeSet<Tag>,
}

impl Check {
    /// Begins; `own` are the rules of the service itself.
    pub fn new(program: &'static str, version: &'static str, own: &[&'static Rule]) -> Self {
        let catalogue = catalogue(own);
        Self { program, version, catalogue, findings: Vec::new(), judged: BTreeSet::new() }
    }

    /// Adds what was found by looking at `tags`, so that what is silenced for nothing is noticed.
    pub fn add(
        &mut self,
        tags: impl IntoIterator<Item = Tag>,
        findings: impl IntoIterator<Item = Finding>,
    ) {
        self.judged.extend(tags);
        self.findings.extend(findings);
    }

    /// Ends: judges what was silenced, and puts the findings in the order of their numbers.
    pub fn report(mut self, section: &CheckSection) -> Report {
        self.judged.insert(Tag::Settings);
        let stale = silence::judge(section, &self.findings, &self.catalogue, &self.judged);
        self.findings.extend(stale);
        self.findings.sort_by_key(|finding| finding.rule().id);
        self.findings.dedup();
        let entry = |finding: Finding| {
            let reason = silence::reason(section, &finding).map(str::to_owned);
            Entry { finding, reason }
        };
        let entries = self.findings.into_iter().map(entry).collect();
        Report { program: self.program, version: self.version, entries }
    }
}

#[derive(Debug)]
struct Entry {
    finding: Finding,
    /// Why it is accepted.
    reason: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    program: &'static str,
    version: &'static str,
    entries: Vec<Entry>,
}

impl Report {
    /// Tells whether nothing is wrong that is an error and was not silenced.
    pub fn is_ok(&self) -> bool {
        self.count(Level::Error) == 0
    }

    /// Returns the findings of `level` that were not silenced.
    fn count(&self, level: Level) -> usize {
        let counts = |entry: &&Entry| entry.reason.is_none() && entry.finding.level() == level;
        self.entries.iter().filter(counts).count()
    }

    fn silenced(&self) -> usize {
        self.entries.iter().filter(|entry| entry.reason.is_some()).count()
    }

    /// Returns the report as a program prints it: for machines as one line of JSON, or for people.
    pub fn written(&self, is_json: bool) -> String {
        if is_json { format!("{}\n", self.json()) } else { self.text() }
    }

    /// Returns the report for people: the worst first, each with what to do, and a sum.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for level in [Level::Error, Level::Warning, Level::Note] {
            for entry in self.entries.iter().filter(|entry| entry.finding.level() == level) {
                write_entry(&mut out, entry);
            }
        }
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        let (notes, silenced) = (self.count(Level::Note), self.silenced());
        out.push_str(&format!(
            "errors: {errors}, warnings: {warnings}, notes: {notes}, silenced: {silenced}\n"
        ));
        if !self.entries.is_empty() {
            out.push_str("`check --explain ID` says why something matters.\n");
        }
        out
    }

    /// Returns the report for machines: one object, whose form the manual describes.
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self.entries.iter().map(entry_json).collect();
        json!({
            "schema": SCHEMA,
            "program": self.program,
            "version": self.version,
            "ok": self.is_ok(),
            "errors": self.count(Level::Error),
            "warnings": self.count(Level::Warning),
            "notes": self.count(Level::Note),
            "silenced": self.silenced(),
            "findings": findings,
        })
    }
}

fn write_entry(out: &mut String, Entry { finding, reason }: &Entry) {
    let Rule { id, level, tag, title, .. } = finding.rule();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing into a string cannot fail.
        if out.write_fmt(text).is_ok() {
            out.push('\n');
        }
    };
    match reason {
        Some(reason) => {
            line(format_args!("{id} {level}, silenced [{tag}] {title}"));
            line(format_args!("    {}", finding.what()));
            line(format_args!("    reason: {reason}"));
        }
        None => {
            line(format_args!("{id} {level} [{tag}] {title}"));
            line(format_args!("    {}", finding.what()));
            line(format_args!("    {}", finding.mend()));
        }
    }
}

fn entry_json(Entry { finding, reason }: &Entry) -> Value {
    let rule = finding.rule();
    json!({
        "id": rule.id,
        "level": rule.level.as_str(),
        "tag": rule.tag.as_str(),
        "title": rule.title,
        "what": finding.what(),
        "why": rule.why,
        "mend": finding.mend(),
        "link": rule.link(),
        "stops_start": rule.stops_start,
        "silenced": reason,
    })
}
