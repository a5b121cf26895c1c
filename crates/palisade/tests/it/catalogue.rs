//! What can be found: numbers that stay what they are, and a test for each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use palisade::check::{Level, Tag, library_rules};

/// Every number that was ever given, what it weighs, and `!` if it stops the start. A number is
/// never given to anything else: the line of a rule that is gone stays, with the word `gone`.
const GIVEN: &str = "
PAL101 error !
PAL102 error !
PAL103 error !
PAL104 error !
PAL105 warning
PAL106 note
PAL107 error
PAL108 warning
PAL109 warning
PAL110 note
PAL111 warning
PAL112 note
PAL114 warning
PAL115 error
PAL116 error !
PAL190 warning
PAL191 warning
PAL192 warning
PAL201 error !
PAL202 error !
PAL203 error !
PAL204 error !
PAL205 error !
PAL206 error !
PAL207 error !
PAL208 error !
PAL209 error !
PAL210 warning
PAL211 note
PAL212 warning
PAL213 error !
PAL301 error
PAL302 warning
PAL303 error
PAL304 warning
PAL305 error
PAL306 warning
PAL401 error
PAL402 error
PAL403 error
PAL404 warning
PAL405 error
PAL406 error
PAL407 note
PAL408 error
PAL409 error
PAL410 error
PAL411 note
PAL412 error
PAL413 note
PAL414 error
PAL450 note
PAL501 error !
PAL502 error !
PAL503 error !
PAL504 error
PAL505 error
PAL506 warning
PAL508 error
PAL509 error
PAL510 error
PAL511 warning
PAL512 error
PAL513 note
PAL514 error
PAL515 error
PAL516 error
PAL517 error
PAL601 warning
PAL602 warning
PAL603 warning
PAL604 warning
PAL605 warning
PAL606 warning
PAL607 warning
PAL608 error !
PAL701 warning
PAL702 warning
PAL703 note
PAL704 error
PAL705 warning
PAL706 error !
PAL707 error
PAL801 error
PAL802 warning
PAL803 warning
PAL901 error
PAL902 error
PAL903 error
PAL904 warning
PAL905 warning
PAL906 error
PAL907 warning
PAL910 error
PAL911 error
PAL912 error
PAL913 warning
PAL914 error
PAL915 error
PAL917 warning
PAL918 warning
PAL919 note
PAL920 error
PAL921 error
PAL922 error
PAL923 note
PAL924 warning
";

#[test]
fn numbers_are_permanent() {
    let mut rules: Vec<_> = library_rules().collect();
    rules.sort_by_key(|rule| rule.id);

    let lines = rules.iter().map(|rule| {
        let stops = if rule.stops_start { " !" } else { "" };
        format!("{} {}{stops}", rule.id, rule.level)
    });
    let present: Vec<String> = lines.collect();
    let given: Vec<&str> = GIVEN.trim().lines().filter(|line| !line.ends_with("gone")).collect();

    assert_eq!(present, given);
    let all: BTreeSet<&str> = GIVEN.trim().lines().filter_map(|line| line.get(..6)).collect();
    assert_eq!(all.len(), GIVEN.trim().lines().count(), "a number was given twice");
}

#[test]
fn a_number_says_what_it_is_about_and_what_stops_the_start_is_an_error() {
    for rule in library_rules() {
        let group = rule.id.strip_prefix("PAL").and_then(|number| number.parse::<usize>().ok());
        let tag = group.and_then(|number| Tag::ALL.get((number / 100).checked_sub(1)?));
        assert_eq!(tag, Some(&rule.tag), "{}", rule.id);
        assert!(!rule.stops_start || rule.level == Level::Error, "{}", rule.id);
        for text in [rule.title, rule.why, rule.mend] {
            assert!(text.ends_with('.') && text.len() > 10, "{}: {text}", rule.id);
        }
    }
}

/// Reads the tests, those beside the code included, where each number has to stand.
#[test]
fn every_finding_is_made_to_appear_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = String::new();
    for folder in ["orderdesk/tests/it", "palisade/tests/it"] {
        for file in files_in(&root.join(folder)) {
            if file.file_name().unwrap().to_str().unwrap().starts_with("check") {
                tests.push_str(&fs::read_to_string(file).unwrap());
            }
        }
    }
    for folder in ["palisade/src/check", "palisade/src/check/live"] {
        for file in files_in(&root.join(folder)) {
            let text = fs::read_to_string(file).unwrap();
            tests.push_str(text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests));
        }
    }

    let missing: Vec<&str> =
        library_rules().map(|rule| rule.id).filter(|id| !tests.contains(id)).collect();
    assert!(missing.is_empty(), "no test makes these appear: {missing:?}");
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}
