//! Connections by what they are doing, and why they ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{CloseReason, ConnectionState, Handshake, Own};
use crate::telemetry::metrics::{Counter, Counters, Gauges, Label, MetricError, Metrics};

/// What one listener counts of its connections.
#[derive(Debug)]
pub struct ConnectionMetrics {
    states: Gauges<ConnectionState>,
    opened: Counter,
    closed: Counters<CloseReason>,
    handshakes: Counters<Handshake>,
    accept_errors: Counter,
}

impl ConnectionMetrics {
    pub(super) fn new(metrics: &Metrics, own: Own) -> Result<Self, MetricError> {
        Ok(Self {
            states: metrics.gauges(STATES, "Connections that are open.", &[own])?,
            opened: metrics.counter(OPENED, "Connections that were accepted.", &[own])?,
            closed: metrics.counters(CLOSED, "Connections that ended.", &[own])?,
            handshakes: metrics.counters(HANDSHAKES, "TLS handshakes that ended.", &[own])?,
            accept_errors: metrics.counter(ACCEPT_ERRORS, ACCEPT_ERRORS_HELP, &[own])?,
        })
    }

    /// Counts a connection from now until the value is dropped. `state` is what it does first.
    pub fn opened(self: &Arc<Self>, state: ConnectionState) -> OpenConnection {
        self.opened.add(1);
        self.states.raise(state);
        OpenConnection {
            metrics: Arc::clone(self),
            state: AtomicUsize::new(state.index()),
            reason: AtomicUsize::new(NOT_SAID),
        }
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, result: Handshake) {
        self.handshakes.add(result, 1);
    }

    /// Counts that the system gave no connection, for want of descriptors or memory.
    pub fn accept_failed(&self) {
        self.accept_errors.add(1);
    }
}

/// A connection that is counted as open, and as closed once it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the connection"]
pub struct OpenConnection {
    metrics: Arc<ConnectionMetrics>,
    state: AtomicUsize,
    reason: AtomicUsize,
}

impl OpenConnection {
    /// Counts the connection in another state.
    pub fn enter(&self, state: ConnectionState) {
        let before = self.state.swap(state.index(), Ordering::Relaxed);
        self.metrics.states.raise(state);
        if let Some(before) = ConnectionState::ALL.get(before) {
            self.metrics.states.lower(*before);
        }
    }

    /// Says why the connection ends. Only what is said first is counted: what follows is mostly
    /// its consequence. If nothing is said it is [`CloseReason::Aborted`].
    pub fn ends_because(&self, reason: CloseReason) {
        let first = (NOT_SAID, reason.index());
        self.reason.compare_exchange(first.0, first.1, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let said = CloseReason::ALL.get(*self.reason.get_mut()).copied();
        self.metrics.closed.add(said.unwrap_or(CloseReason::Aborted), 1);
        if let Some(last) = ConnectionState::ALL.get(*self.state.get_mut()) {
            self.metrics.states.lower(*last);
        }
    }
}

/// The place of no reason at all.
const NOT_SAID: usize = usize::MAX;

const STATES: &str = "palisade_connections";
const OPENED: &str = "palisade_connections_total";
const CLOSED: &str = "palisade_connections_closed_total";
const HANDSHAKES: &str = "palisade_tls_handshakes_total";
const ACCEPT_ERRORS: &str = "palisade_accept_errors_total";
const ACCEPT_ERRORS_HELP: &str = "Connections the system could not give.";
