//! What is written is what was counted, and a bad name never gets that far.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

crate::label! {
    /// A label with two values.
    pub(super) enum Side in "side" {
        /// The one.
        Left = "left",
        /// The other.
        Right = "right",
    }
}

const BOUNDS: [Duration; 3] =
    [Duration::from_micros(500), Duration::from_millis(10), Duration::from_secs(2)];

fn lines(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.render().unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(pair).collect()
}

#[test]
fn everything_is_written_in_the_text_format_ordered_by_name_and_label() {
    let metrics = Metrics::new();
    let taken = metrics.histogram("work_seconds", "Time\\work.", &BOUNDS, &[("to", "a\"b")]);
    let sides = metrics.counters::<Side>("turns_total", "Turns.", &[("at", "night")]).unwrap();
    let depth = metrics.gauge("depth_bytes", "Depth.", &[]).unwrap();
    metrics.gauge_at_scrape("warmth_ratio", "Warmth.", &[], || Some(0.25)).unwrap();
    metrics.counter_at_scrape("gone_total", "Left out.", &[], || None).unwrap();

    sides.add(Side::Right, 3);
    depth.set(-2);
    let taken = taken.unwrap();
    for millis in [0, 10, 2_001] {
        taken.observe(Duration::from_millis(millis));
    }

    let expected = "\
# HELP depth_bytes Depth.
# TYPE depth_bytes gauge
depth_bytes -2
# HELP turns_total Turns.
# TYPE turns_total counter
turns_total{at=\"night\",side=\"left\"} 0
turns_total{at=\"night\",side=\"right\"} 3
# HELP warmth_ratio Warmth.
# TYPE warmth_ratio gauge
warmth_ratio 0.25
# HELP work_seconds Time\\\\work.
# TYPE work_seconds histogram
work_seconds_bucket{to=\"a\\\"b\",le=\"0.0005\"} 1
work_seconds_bucket{to=\"a\\\"b\",le=\"0.01\"} 2
work_seconds_bucket{to=\"a\\\"b\",le=\"2\"} 2
work_seconds_bucket{to=\"a\\\"b\",le=\"+Inf\"} 3
work_seconds_sum{to=\"a\\\"b\"} 2.011
work_seconds_count{to=\"a\\\"b\"} 3
";
    assert_eq!(metrics.render().unwrap(), expected);
}

#[test]
fn a_name_that_says_something_else_is_refused() {
    let metrics = Metrics::new();
    let fault = |made: Result<Counter, MetricError>| match made {
        Err(MetricError::Name { fault, .. }) => Some(fault),
        _ => None,
    };
    let counter = |name| fault(metrics.counter(name, "Help.", &[]));
    let labelled = |label| fault(metrics.counter("a_total", "Help.", &[("b", "1"), (label, "2")]));

    for name in
        ["", "A_total", "a__total", "_total", "1_total", "a-b_total", "a:b_total", "ä_total"]
    {
        assert_eq!(counter(name), Some(NameFault::Form), "{name}");
    }
    assert_eq!(counter("requests"), Some(NameFault::NotTotal));
    for label in ["le", "quantile"] {
        assert_eq!(labelled(label), Some(NameFault::Reserved), "{label}");
    }
    for label in ["", "__name__", "B", "b c"] {
        assert_eq!(labelled(label), Some(NameFault::Form), "{label}");
    }
    assert_eq!(labelled("b"), Some(NameFault::Twice));
    assert_eq!(fault(metrics.counter("a_total", "", &[])), Some(NameFault::NoHelp));
    for name in ["a_total", "a_count", "a_sum", "a_bucket"] {
        let made = metrics.gauge(name, "Help.", &[]);
        assert!(matches!(made, Err(MetricError::Name { fault: NameFault::EndsLikeAnother, .. })));
    }
    assert_eq!(metrics.render().unwrap(), "", "nothing that was refused is written");
}

#[test]
fn a_series_exists_once_and_a_name_means_one_thing() {
    let metrics = Metrics::new();
    metrics.counter("a_total", "Help.", &[("b", "1")]).unwrap();
    metrics.gauge("c_seconds", "Help.", &[]).unwrap();

    metrics.counter("a_total", "Help.", &[("b", "2")]).unwrap();

    let again = metrics.counter("a_total", "Help.", &[("b", "1")]);
    let other_label = metrics.counter("a_total", "Help.", &[("c", "1")]);
    let other_help = metrics.counter("a_total", "Halp.", &[("b", "3")]);
    for refused in [again, other_label, other_help] {
        assert!(matches!(refused, Err(MetricError::Taken("a_total"))));
    }
    let other_kind = metrics.histogram("c_seconds", "Help.", &BOUNDS, &[("d", "1")]);
    assert!(matches!(other_kind, Err(MetricError::Taken("c_seconds"))));
}

#[test]
fn bounds_that_do_not_ascend_are_refused() {
    let metrics = Metrics::new();
    let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));

    for bounds in [&[][..], &[long, short], &[short, short]] {
        let made = metrics.histogram("a_seconds", "Help.", bounds, &[]);
        assert!(matches!(made, Err(MetricError::Bounds("a_seconds"))), "{bounds:?}");
    }
}

#[test]
fn numbers_of_many_threads_add_up() {
    let metrics = Metrics::new();
    let counter = metrics.counter("a_total", "Help.", &[]).unwrap();
    let gauge = metrics.gauge("b", "Help.", &[]).unwrap();
    let taken = metrics.histogram("c_seconds", "Help.", &BOUNDS, &[]).unwrap();

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    counter.add(2);
                    gauge.raise();
                    taken.observe(Duration::from_millis(1));
                    gauge.lower();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                let seen = lines(&metrics);
                assert_eq!(seen["c_seconds_count"], seen["c_seconds_bucket{le=\"+Inf\"}"]);
            }
        });
    });

    assert_eq!((counter.value(), gauge.value(), taken.count()), (8_000, 0, 4_000));
    assert_eq!(taken.sum(), Duration::from_secs(4));
}

proptest! {
    #[test]
    fn each_bucket_counts_what_is_no_longer_than_its_bound(
        micros in prop::collection::vec(prop_oneof![0..1_000_u64, 0..3_000_000_u64], 0..50)
    ) {
        let metrics = Metrics::new();
        let taken = metrics.histogram("a_seconds", "Help.", &BOUNDS, &[]).unwrap();

        for micro in &micros {
            taken.observe(Duration::from_micros(*micro));
        }

        let seen = lines(&metrics);
        for bound in BOUNDS {
            let within = micros.iter().filter(|m| Duration::from_micros(**m) <= bound).count();
            let name = format!("a_seconds_bucket{{le=\"{}\"}}", bound.as_secs_f64());
            prop_assert_eq!(seen[&name], f64::from(u32::try_from(within).unwrap()));
        }
        prop_assert_eq!(taken.count(), u64::try_from(micros.len()).unwrap());
        prop_assert_eq!(taken.sum(), Duration::from_micros(micros.iter().sum()));
    }
}

#[test]
fn a_duration_too_long_for_the_clock_is_in_the_last_bucket() {
    let metrics = Metrics::new();
    let taken = metrics.histogram("a_seconds", "Help.", &BOUNDS, &[]).unwrap();

    taken.observe(Duration::MAX);

    let seen = lines(&metrics);
    assert_eq!(seen["a_seconds_bucket{le=\"2\"}"], 0.0);
    assert_eq!(seen["a_seconds_bucket{le=\"+Inf\"}"], 1.0);
}
