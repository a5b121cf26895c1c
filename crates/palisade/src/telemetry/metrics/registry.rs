//! The registry: makes series, refuses bad ones, and writes them all down.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Desc;
use prometheus::{Registry, TextEncoder};

use super::name::{Kind, NameFault, check_labels, check_name};
use super::series::{Series, Source};
use super::{Counter, Counters, Gauge, Gauges, Histogram, Label};

/// The media type of what [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A label's name and value, both known when the program is written.
pub type LabelPair = (&'static str, &'static str);

/// All metrics of a process; clones are the same registry.
///
/// ```
/// use std::time::Duration;
/// use palisade::telemetry::metrics::Metrics;
///
/// let metrics = Metrics::new();
/// let sent = metrics.counter("mail_sent_total", "Mail handed over.", &[("relay", "eu")])?;
/// let bounds = [Duration::from_millis(10), Duration::from_secs(1)];
/// let taken = metrics.histogram("mail_duration_seconds", "Time to hand over.", &bounds, &[])?;
///
/// sent.add(1);
/// taken.observe(Duration::from_millis(250));
///
/// let text = metrics.render()?;
/// assert!(text.contains("# TYPE mail_sent_total counter\nmail_sent_total{relay=\"eu\"} 1\n"));
/// assert!(text.contains("mail_duration_seconds_bucket{le=\"1\"} 1\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Registry,
    kinds: Arc<Mutex<BTreeMap<&'static str, Kind>>>,
}

/// Why a metric cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The name of the metric, or of one of its labels, is not a good one.
    #[error("metric {name}: {fault}")]
    Name {
        /// The metric.
        name: &'static str,
        /// What is wrong.
        fault: NameFault,
    },
    /// A metric of this name is there with the same labels, other label names, another help text
    /// or as another kind.
    #[error("metric {0} is there already, with the same labels or as something else")]
    Taken(&'static str),
    /// The bounds of a histogram are none, or do not ascend.
    #[error("metric {0}: the bounds of a histogram must ascend")]
    Bounds(&'static str),
}

/// Why the metrics cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be written: {0}")]
pub struct RenderError(#[from] prometheus::Error);

impl Metrics {
    /// Starts with no metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a counter; `name` ends in `_total`.
    ///
    /// # Errors
    ///
    /// See [`MetricError`]; so for all that make series.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
    ) -> Result<Counter, MetricError> {
        let counter = Counter::default();
        self.add(name, help, labels, Source::Counter(counter.clone()))?;
        Ok(counter)
    }

    /// Makes a counter for each value of the label `L`, on top of `labels`.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn counters<L: Label>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
    ) -> Result<Counters<L>, MetricError> {
        let each = each_of::<L>(labels).map(|labels| self.counter(name, help, &labels));
        Ok(Counters::new(each.collect::<Result<_, _>>()?))
    }

    /// Makes a gauge.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
    ) -> Result<Gauge, MetricError> {
        let gauge = Gauge::default();
        self.add(name, help, labels, Source::Gauge(gauge.clone()))?;
        Ok(gauge)
    }

    /// Makes a gauge for each value of the label `L`, on top of `labels`.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn gauges<L: Label>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
    ) -> Result<Gauges<L>, MetricError> {
        let each = each_of::<L>(labels).map(|labels| self.gauge(name, help, &labels));
        Ok(Gauges::new(each.collect::<Result<_, _>>()?))
    }

    /// Makes a histogram of durations with buckets up to and including each of `bounds`, which
    /// ascend, and one for all above; `name` ends in `_seconds`.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        bounds: &[Duration],
        labels: &[LabelPair],
    ) -> Result<Histogram, MetricError> {
        let is_ascending = bounds.windows(2).all(|pair| pair.first() < pair.last());
        if bounds.is_empty() || !is_ascending {
            return Err(MetricError::Bounds(name));
        }
        let histogram = Histogram::new(bounds);
        self.add(name, help, labels, Source::Histogram(histogram.clone()))?;
        Ok(histogram)
    }

    /// Makes a counter whose number `read` returns at each scrape, `None` for one that is not
    /// known just now. It must be quick, and make no metrics.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn counter_at_scrape(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Result<(), MetricError> {
        self.add(name, help, labels, Source::CounterAtScrape(Box::new(read)))
    }

    /// Makes a gauge whose number `read` returns at each scrape, `None` for one that is not known
    /// just now. It must be quick, and make no metrics.
    ///
    /// # Errors
    ///
    /// See [`MetricError`].
    pub fn gauge_at_scrape(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Result<(), MetricError> {
        self.add(name, help, labels, Source::GaugeAtScrape(Box::new(read)))
    }

    /// Writes all metrics in the Prometheus text format 0.0.4, ordered by name and labels.
    ///
    /// Reads files of the system if process metrics are there: call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// The encoder refuses a family; none that was made here.
    pub fn render(&self) -> Result<String, RenderError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    fn add(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[LabelPair],
        source: Source,
    ) -> Result<(), MetricError> {
        let kind = source.kind();
        let label_names: Vec<&str> = labels.iter().map(|(label, _)| *label).collect();
        let has_help = if help.is_empty() { Err(NameFault::NoHelp) } else { Ok(()) };
        check_name(kind, name)
            .and_then(|()| check_labels(&label_names))
            .and(has_help)
            .map_err(|fault| MetricError::Name { name, fault })?;
        // The registry does not look at kinds.
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if *kinds.entry(name).or_insert(kind) != kind {
            return Err(MetricError::Taken(name));
        }
        let pairs: HashMap<String, String> =
            labels.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect();
        let taken = |_| MetricError::Taken(name);
        let description = Desc::new(name.into(), help.into(), Vec::new(), pairs).map_err(taken)?;
        self.registry.register(Box::new(Series { description, source })).map_err(taken)
    }
}

/// Returns `labels` with each value of `L` added.
fn each_of<L: Label>(labels: &[LabelPair]) -> impl Iterator<Item = Vec<LabelPair>> {
    L::ALL.iter().map(move |label| [labels, &[(L::NAME, label.value())]].concat())
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        write!(out, "Metrics({} names)", kinds.len())
    }
}
