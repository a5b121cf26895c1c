//! What a scenario found: a table for people, one JSON object for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::figures::Figures;
use crate::machine::Machine;

/// The result of one scenario.
#[derive(Debug)]
pub(crate) struct Report {
    /// The name that was given on the command line.
    pub(crate) scenario: &'static str,
    /// How it was measured, a sentence or two.
    pub(crate) how: String,
    /// The rows, in the order they are shown.
    pub(crate) figures: Vec<Figures>,
    /// Lines that are shown as they are below the table.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Returns the table, and the JSON object as the last line.
    pub(crate) fn to_text(&self) -> String {
        let width = self.figures.iter().map(|row| row.what.len()).max().unwrap_or_default();
        let mut text = format!("{}: {}\n\n", self.scenario, self.how);
        let mut line = |what: &str, rest: [&str; 4]| {
            let [n, min, median, max] = rest;
            text.push_str(&format!("{what:width$}  {n:>3}  {min:>9}  {median:>9}  {max:>9}\n"));
        };
        line("", ["n", "min", "median", "max"]);
        for row in &self.figures {
            let [n, min, median, max] = cells(row);
            line(row.what, [&n, &min, &median, &max]);
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}"));
        }
        format!("{text}\n{}\n", self.to_json())
    }

    /// Returns the medians by key.
    fn to_json(&self) -> Value {
        let medians = self.figures.iter().map(|row| {
            let rounded = (row.median() * 100.0).round() / 100.0;
            (row.key.to_owned(), json!(rounded))
        });
        Value::Object(Map::from_iter(medians))
    }

    fn to_markdown(&self) -> String {
        let Self { scenario, how, figures, notes } = self;
        let mut text = format!("## {scenario}\n\n{how}\n\n");
        text.push_str("| what | key | n | min | median | max |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: |\n");
        for row in figures {
            let [n, min, median, max] = cells(row);
            let line =
                format!("| {} | `{}` | {n} | {min} | {median} | {max} |\n", row.what, row.key);
            text.push_str(&line);
        }
        if !notes.is_empty() {
            text.push_str(&format!("\n```text\n{}\n```\n", notes.join("\n")));
        }
        text
    }
}

/// Writes `bench/RESULTS.md` and returns what to tell about it.
pub(crate) fn write_markdown(reports: &[Report]) -> anyhow::Result<String> {
    let mut text = String::from("# Measurements\n\n");
    let command = "cargo run --release -p palisade-bench -- all --markdown";
    write!(text, "Written by `{command}`; the numbers belong to this machine.\n\n")?;
    for (name, value) in Machine::describe()?.rows {
        writeln!(text, "- {name}: {value}")?;
    }
    for report in reports {
        write!(text, "\n{}", report.to_markdown())?;
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    std::fs::write(&path, &text).context("bench/RESULTS.md cannot be written")?;
    Ok(format!("{text}\nwritten to bench/RESULTS.md"))
}

fn cells(row: &Figures) -> [String; 4] {
    let number = |number: f64| format!("{number:.2}");
    [row.count().to_string(), number(row.min()), number(row.median()), number(row.max())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_one_object_of_medians() {
        let mut ready = Figures::new("ready_ms", "start to /ready, ms");
        ready.add(1.234);
        let (how, notes) = ("Once.".to_owned(), vec!["as it is".to_owned()]);
        let report = Report { scenario: "x", how, figures: vec![ready], notes };

        let text = report.to_text();

        assert_eq!(text.lines().last(), Some(r#"{"ready_ms":1.23}"#));
        assert!(
            text.contains("start to /ready, ms    1       1.23       1.23       1.23\n"),
            "{text}"
        );
        assert!(text.contains("\nas it is\n"), "{text}");
        assert!(report.to_markdown().ends_with("\n```text\nas it is\n```\n"));
    }
}
