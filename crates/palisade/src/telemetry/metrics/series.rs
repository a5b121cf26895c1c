//! One series as the registry of `prometheus` collects it.

use prometheus::core::{Collector, Desc};
use prometheus::proto;

use super::name::Kind;
use super::{Counter, Gauge, Histogram};

/// Reads a number when it is asked for; `None` leaves the series out.
pub(super) type Reader = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// Where the number of a series comes from.
pub(super) enum Source {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    CounterAtScrape(Reader),
    GaugeAtScrape(Reader),
}

impl Source {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) | Self::CounterAtScrape(_) => Kind::Counter,
            Self::Gauge(_) | Self::GaugeAtScrape(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

pub(super) struct Series {
    pub(super) description: Desc,
    pub(super) source: Source,
}

impl Collector for Series {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut metric = proto::Metric::from_label(self.description.const_label_pairs.clone());
        match &self.source {
            Source::Counter(counter) => metric.set_counter(of_counter(floating(counter.value()))),
            Source::Gauge(gauge) => metric.set_gauge(of_gauge(signed_floating(gauge.value()))),
            Source::Histogram(histogram) => metric.set_histogram(of_histogram(histogram)),
            Source::CounterAtScrape(read) => match read() {
                Some(value) => metric.set_counter(of_counter(value)),
                None => return Vec::new(),
            },
            Source::GaugeAtScrape(read) => match read() {
                Some(value) => metric.set_gauge(of_gauge(value)),
                None => return Vec::new(),
            },
        }
        let mut family = proto::MetricFamily::default();
        family.set_name(self.description.fq_name.clone());
        family.set_help(self.description.help.clone());
        family.set_field_type(match self.source.kind() {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(vec![metric]);
        vec![family]
    }
}

fn of_counter(value: f64) -> proto::Counter {
    let mut counter = proto::Counter::default();
    counter.set_value(value);
    counter
}

fn of_gauge(value: f64) -> proto::Gauge {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    gauge
}

fn of_histogram(histogram: &Histogram) -> proto::Histogram {
    let mut written = proto::Histogram::default();
    let mut buckets = Vec::new();
    let mut so_far = 0_u64;
    for (bound, count) in histogram.counts() {
        so_far = so_far.saturating_add(count);
        // The encoder writes the last one, without a bound, from the count.
        if let Some(bound) = bound {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(so_far);
            buckets.push(bucket);
        }
    }
    written.set_bucket(buckets);
    written.set_sample_count(so_far);
    written.set_sample_sum(histogram.sum().as_secs_f64());
    written
}

#[expect(clippy::as_conversions, reason = "the format knows only f64, exact up to 2^53")]
fn floating(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::as_conversions, reason = "the format knows only f64, exact up to 2^53")]
fn signed_floating(value: i64) -> f64 {
    value as f64
}
