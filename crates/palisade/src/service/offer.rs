//! What a service itself brings to its assembly, and what it is given to make that.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::Environment;
use crate::http::Api;
use crate::http::health::Readiness;
use crate::telemetry::metrics::Metrics;

/// Why a service could not make its [`Offer`]; its words and causes go to standard error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The last thing that a service does.
pub(super) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a service is made from.
#[derive(Debug)]
pub struct Setup<C> {
    /// The settings.
    pub settings: C,
    /// The environment, for [`Secrets::of`](crate::config::Secrets::of).
    pub environment: Environment,
    /// Where the service may count what is its own.
    pub metrics: Metrics,
}

/// What a service offers: its routes and what they ask, when it is ready, and how it ends.
pub struct Offer<S> {
    pub(super) api: Api<S>,
    pub(super) state: S,
    pub(super) readiness: Readiness,
    pub(super) ending: Ending,
}

impl<S> Offer<S> {
    /// Offers `api`, whose handlers ask `state`; it is ready as soon as it listens, and nothing is
    /// left to do at its end.
    pub fn new(api: Api<S>, state: S) -> Self {
        let readiness: Readiness = Arc::new(|| Box::pin(async { Ok(()) }));
        Self { api, state, readiness, ending: Box::pin(async {}) }
    }

    /// Asks `ask` at each `GET /ready`; it must answer within a few seconds. `Err` names what the
    /// service depends on and does not answer.
    #[must_use]
    pub fn ready_when<F>(mut self, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), &'static str>> + Send + 'static,
    {
        self.readiness = Arc::new(move || Box::pin(ask()));
        self
    }

    /// Runs `last` once the service has drained. Nothing cuts it short, so it must end by itself.
    #[must_use]
    pub fn ends_with(mut self, last: impl Future<Output = ()> + Send + 'static) -> Self {
        self.ending = Box::pin(last);
        self
    }

    /// Replaces the routes by what `change` makes of them.
    pub(super) fn with_api(mut self, change: impl FnOnce(Api<S>) -> Api<S>) -> Self {
        self.api = change(self.api);
        self
    }
}

impl<S> fmt::Debug for Offer<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Offer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_offer_is_ready_unless_what_it_depends_on_does_not_answer() {
        let offer = Offer::new(Api::<()>::new(), ());
        assert_eq!((offer.readiness)().await, Ok(()));

        let offer = offer.ready_when(async || Err("database"));

        assert_eq!((offer.readiness)().await, Err("database"));
    }

    #[tokio::test]
    async fn the_last_work_waits_for_the_end() {
        let (done, mut is_done) = tokio::sync::oneshot::channel();
        let last = async { done.send(()).unwrap() };

        let offer = Offer::new(Api::<()>::new(), ()).ends_with(last);

        assert!(is_done.try_recv().is_err());
        offer.ending.await;
        assert_eq!(is_done.try_recv(), Ok(()));
    }
}
