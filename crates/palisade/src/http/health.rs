//! The admin listener's routes: is the process alive, should it be sent requests, and what has it
//! counted.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::answer::json_response;
use super::metrics::scrape_route;
use super::{
    Answer, Anyone, Api, FromRef, Lifecycle, Operation, Phase, Problem, Response, Route, State,
};
use crate::telemetry::metrics::Metrics;
use http::StatusCode;
use serde_json::json;

pub use super::notices::Notices;

/// Asks what the service depends on whether it answers; `Err` names what does not.
pub type Readiness =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>> + Send + Sync>;

/// What the routes of the admin listener look at.
#[derive(Clone)]
pub struct Health {
    /// The service's phase.
    pub lifecycle: Lifecycle,
    /// What the service depends on.
    pub readiness: Readiness,
    /// What an operator should know although the service is ready.
    pub notices: Notices,
    /// What is counted.
    pub metrics: Metrics,
}

impl FromRef<Health> for Metrics {
    fn from_ref(health: &Health) -> Self {
        health.metrics.clone()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Health({:?})", self.lifecycle.phase())
    }
}

/// Returns the routes `/live`, `/ready` and `/metrics`, for a listener that is not public.
pub fn routes() -> Api<Health> {
    Api::new()
        .route(Route::get("/live", "live").policy(Anyone).handle(live))
        .route(Route::get("/ready", "ready").policy(Anyone).handle(ready))
        .route(scrape_route())
}

/// Whether all is well, and what an operator should know in either case.
struct Verdict {
    outcome: Result<(), &'static str>,
    detail: Option<String>,
}

impl Answer for Verdict {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(200, "All is well, save what `detail` says.");
        operation.may_answer(super::problem::OVERLOADED);
    }

    fn into_response(self) -> Result<Response, Problem> {
        let body = match (self.outcome, self.detail) {
            (Ok(()), None) => r#"{"status":"ok"}"#.to_owned(),
            (Ok(()), Some(detail)) => json!({"status": "ok", "detail": detail}).to_string(),
            (Err(reason), detail) => {
                let detail = detail.map(|detail| format!(" {detail}")).unwrap_or_default();
                return Err(Problem::overloaded().detail(format!("Not ready: {reason}.{detail}")));
            }
        };
        Ok(json_response(StatusCode::OK, body))
    }
}

async fn live() -> Result<Verdict, Problem> {
    Ok(Verdict { outcome: Ok(()), detail: None })
}

async fn ready(State(health): State<Health>) -> Result<Verdict, Problem> {
    let outcome = match health.lifecycle.phase() {
        Phase::Starting => Err("starting"),
        Phase::Leaving | Phase::Draining => Err("draining"),
        Phase::Ready => (health.readiness)().await,
    };
    Ok(Verdict { outcome, detail: health.notices.text() })
}
