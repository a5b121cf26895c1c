use std::fmt::Debug;

use proptest::prelude::*;
use serde_json::Value;
use tracing::{error, info, warn};

use super::super::lines::Log;
use super::super::{LogLevel, LogSection, RequestScope, apply, keep};
use super::*;
use crate::secret::{Secret, register};

/// Returns the lines of what `work` logs. The tests are this crate, and so a service of this name.
fn lines(work: impl FnOnce()) -> Vec<String> {
    let (log, lines) = Log::new();
    let events = Events::new("shop", lines);
    let alone = shown::changed_by_one_test_at_a_time();
    tracing::subscriber::with_default(events, work);
    drop(alone);
    let text = String::from_utf8(log.into_text()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.split_terminator('\n').map(str::to_owned).collect()
}

fn objects(work: impl FnOnce()) -> Vec<Value> {
    lines(work).iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

const TRICKS: &str = "a\nb\r{\"x\":1}\u{1b}[2K\u{202e}\u{2028}\u{2029}\u{85}\u{7f}\0 =\"\\";

#[test]
fn a_line_has_the_fields_of_its_event_between_what_every_line_has() {
    let written = objects(|| {
        info!(target: "shop::orders", error = "no", count = 3, ratio = 0.5, done = true, "placed");
    });

    let line = &written[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "placed");
    assert_eq!(line["target"], "shop::orders");
    assert_eq!((&line["error"], &line["count"]), (&Value::from("no"), &Value::from(3)));
    assert_eq!((&line["ratio"], &line["done"]), (&Value::from(0.5), &Value::from(true)));
    let time = line["timestamp"].as_str().unwrap();
    assert_eq!(crate::clock::Timestamp::parse(time).map(|time| time.to_string()).unwrap(), time);
}

#[test]
fn a_line_that_a_client_injects_stays_inside_of_the_line_in_both_formats() {
    let attack = || {
        error!(target: "shop", error = TRICKS, "{TRICKS}");
        error!(target: "shop", error = ?TRICKS, { "evil\nname" } = 1, "plain");
        warn!(target: "hyper::evil", error = %TRICKS, "{TRICKS}");
        RequestScope::of(TRICKS).run(|| info!(target: "shop", "x"));
    };

    let json = objects(attack);
    let text = lines(|| {
        apply(&LogSection { format: LogFormat::Text, ..LogSection::default() });
        attack();
        apply(&LogSection::default());
    });

    assert_eq!((json.len(), text.len()), (4, 4));
    assert_eq!(json[0]["error"], TRICKS);
    assert_eq!(json[0]["message"], TRICKS);
    assert_eq!(json[1]["evil\nname"], 1);
    assert_eq!(json[3]["request_id"], TRICKS);
    for line in &text {
        assert!(line.chars().all(|symbol| (' '..='~').contains(&symbol)), "{line:?}");
    }
    assert!(text[0].contains(r#"error="a\nb\r{\"x\":1}\u001b[2K\u202e"#), "{}", text[0]);
    assert!(text[1].contains(r#" "evil\nname"=1"#), "{}", text[1]);
}

#[test]
fn a_text_is_withheld_unless_its_field_is_kept_and_numbers_are_shown() {
    keep(&["order.id"]);

    let written = objects(|| {
        info!(target: "shop", note = "call 0123", order.id = %"01j9", order.note = ?"x", n = 1_u128);
        warn!(target: "sqlx", statement = "INSERT 'ada@example.com'", error = "no", "slow");
        info!(target: "palisade::http", code = "internal", note = "x", "failed");
        info!(target: "shop", code = "x");
    });

    assert_eq!(written[0]["note"], "[withheld]");
    assert_eq!(written[0]["order.note"], "[withheld]");
    assert_eq!((&written[0]["order.id"], &written[0]["n"]), (&"01j9".into(), &1.into()));
    assert_eq!(written[1]["statement"], "[withheld]");
    assert_eq!(written[1]["error"], "no");
    assert_eq!((&written[2]["code"], &written[2]["note"]), (&"internal".into(), &WITHHELD.into()));
    assert_eq!(written[3]["code"], "[withheld]", "only the library's own are known to be words");
}

#[test]
fn what_is_withheld_is_not_even_asked_for_its_text() {
    struct Loud;
    impl Debug for Loud {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("it was asked")
        }
    }

    let written = objects(|| info!(target: "shop", note = ?Loud, "quiet"));

    assert_eq!(written[0]["note"], "[withheld]");
}

#[test]
fn other_crates_are_heard_from_warn_and_their_messages_are_cut() {
    let written = objects(|| {
        info!(target: "hyper", "unheard");
        info!(target: "shopkeeper", "of another crate whose name begins like the service's");
        info!(target: "palisade_bench", "of another crate, too");
        warn!(target: "hyper", "{}", "é".repeat(1000));
        warn!(target: "shop", "{}", "x".repeat(5000));
    });

    assert_eq!(written.len(), 2);
    let message = written[0]["message"].as_str().unwrap();
    assert_eq!(message, format!("{}…", "é".repeat(256)));
    assert_eq!(written[1]["message"].as_str().unwrap().len(), LONGEST + '…'.len_utf8());
}

#[test]
fn a_cut_does_not_leave_half_of_a_secret() {
    register(&Secret::new("a secret of some length".to_owned())).unwrap();
    let text = format!("{}a secret of some length{}", "x".repeat(LONGEST - 10), "y".repeat(100));

    let written = objects(|| info!(target: "shop", error = %text, "{}", "z".repeat(70_000)));

    assert!(written[0]["error"].as_str().unwrap().ends_with("x[redacted]…"));
    assert_eq!(written[0]["message"], "[too long]");
}

#[test]
fn a_line_has_each_of_its_names_once() {
    let written = lines(|| {
        RequestScope::of("r1").run(|| {
            info!(target: "shop", level = 1, timestamp = 2, target = 3, request_id = "r2", r#type = 4);
        });
        info!(target: "shop", request_id = "r3", "outside");
    });

    for (name, times) in [("timestamp", 2), ("level", 2), ("target", 2), ("request_id", 2)] {
        assert_eq!(written.concat().matches(&format!("\"{name}\":")).count(), times, "{name}");
    }
    assert!(written[0].contains(r#""field.level":1"#) && written[0].contains(r#""type":4"#));
    assert!(written[0].contains(r#""request_id":"r1""#) && !written[0].contains("r2"));
    assert!(written[1].contains(r#""request_id":"r3""#));
}

#[test]
fn a_value_that_logs_while_it_is_logged_makes_two_lines() {
    struct Chatty;
    impl fmt::Display for Chatty {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(target: "shop", "inner");
            out.write_str("shown")
        }
    }
    // The dispatcher in place is only the test's own for the outer one.
    let (log, inner) = Log::new();
    let events = Events::new("shop", inner);
    tracing::subscriber::with_default(events, || {
        info!(target: "shop", error = %Chatty, "outer");
        info!(target: "shop", "after");
    });

    let text = String::from_utf8(log.into_text()).unwrap();
    assert!(text.contains(r#""message":"outer","error":"shown""#), "{text}");
    assert!(text.contains(r#""message":"after""#), "{text}");
}

#[test]
fn what_is_not_shown_is_not_even_asked_for_its_values() {
    let mut asked = 0;
    let mut ask = || {
        asked += 1;
        asked
    };

    lines(|| {
        tracing::debug!(target: "shop", n = ask(), "unheard");
        assert!(LevelFilter::current() <= LevelFilter::INFO);
        apply(&LogSection { level: LogLevel::Debug, ..LogSection::default() });
        tracing::debug!(target: "shop", n = ask(), "heard");
        apply(&LogSection::default());
        tracing::debug!(target: "shop", n = ask(), "unheard");
    });

    assert_eq!(asked, 1);
}

proptest! {
    #[test]
    fn whatever_is_logged_is_one_object_and_one_line(
        text: String, name in "[a-z]{1,8}", number: f64, big: i128,
    ) {
        let raw = lines(|| {
            info!(target: "shop", error = text, number, big, "{name} {text}");
        });

        let written: Vec<Value> =
            raw.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(written.len(), 1);
        prop_assert_eq!(written[0]["error"].as_str().unwrap(), &text);
        prop_assert_eq!(written[0]["message"].as_str().unwrap(), &format!("{name} {text}"));
        prop_assert_eq!(written[0]["number"].is_number(), number.is_finite());
        prop_assert!(raw[0].contains(&format!("\"big\":{big},")), "{}", raw[0]);
    }
}
