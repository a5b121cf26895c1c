//! Metrics: what the process counts about itself, written in the Prometheus text format.
//!
//! 1. A series is made once, at the start, by its name and labels; what is counted later goes
//!    through a handle that costs one or two atomic additions: no lock, no look-up, no allocation.
//! 2. A label is a `&'static str` that stands in the code, most often one of a [`Label`]'s values.
//!    A value that arrives with a request is no such text, so a client can neither make a series
//!    nor put anything of its own into one.
//! 3. A name that Prometheus would read otherwise than it is meant is refused when it is made.
//!
//! The values are our own and the registry is of the crate `prometheus`: its histogram takes four
//! atomic operations and makes who collects it spin while somebody is writing.

mod instruments;
mod label;
mod name;
mod registry;
mod series;

#[cfg(test)]
mod tests;

pub use instruments::{Counter, Counters, Gauge, Gauges, Histogram};
pub use label::Label;
pub use name::NameFault;
pub use registry::{CONTENT_TYPE, LabelPair, MetricError, Metrics, RenderError};
