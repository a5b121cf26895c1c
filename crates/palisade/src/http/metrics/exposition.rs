//! `GET /metrics`: all that is counted, for whoever scrapes the admin listener.

use std::sync::Arc;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::Semaphore;

use crate::http::{
    Answer, AnswerBody, Anyone, Endpoint, FromRef, Operation, Problem, Response, Route, State,
};
use crate::telemetry::metrics::{self, Metrics};

/// The metrics in the Prometheus text format.
struct Exposition(String);

impl Answer for Exposition {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(200, "All metrics, in the Prometheus text format.");
        operation.may_be_large();
    }

    fn into_response(self) -> Result<Response, Problem> {
        let mut response = Response::new(AnswerBody::whole(self.0));
        let text = HeaderValue::from_static(metrics::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, text);
        Ok(response)
    }
}

/// Returns the route `/metrics`, for a listener that is not public: what is counted tells strangers
/// how busy the service is and what it refuses.
pub(in crate::http) fn scrape_route<S>() -> Endpoint<S>
where
    S: Clone + Send + Sync + 'static,
    Metrics: FromRef<S>,
{
    // Scrapes wait for each other, so that however many come they hold one blocking thread.
    let one_at_a_time = Arc::new(Semaphore::new(1));
    Route::get("/metrics", "scrape")
        .policy(Anyone)
        .handle(move |State(metrics): State<Metrics>| scrape(metrics, Arc::clone(&one_at_a_time)))
}

async fn scrape(metrics: Metrics, turns: Arc<Semaphore>) -> Result<Exposition, Problem> {
    let turn = turns.acquire_owned().await.map_err(Problem::internal)?;
    let rendering = tokio::task::spawn_blocking(move || {
        let text = metrics.render();
        drop(turn);
        text
    });
    let rendered = rendering.await.map_err(Problem::internal)?;
    rendered.map(Exposition).map_err(Problem::internal)
}
