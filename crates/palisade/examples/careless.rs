//! A service that gives its secret away wherever it can, to show what the library holds back.
//!
//! Do not copy it. The test `leaks` starts it with a marked `API_KEY`, calls every route, and
//! looks for the key in everything that comes out. Then it starts it with a key that nobody
//! declared a secret, `shop.key`, which shows that every leak is one, and that it is found.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use palisade::clock::{Clock, SystemClock, Timestamp};
use palisade::config::Secrets;
use palisade::http::problem::NOT_FOUND;
use palisade::http::{Anyone, Api, FromRef, Json, Problem, Route, State};
use palisade::secret::Secret;
use palisade::service::{Failure, Offer, Program, Setup};
use palisade::telemetry::metrics::Metrics;

palisade::settings! {
    /// What somebody made a setting of that should be a secret.
    struct ShopSection in "shop" {
        /// A key that nobody knows to be one. None by default: then it is the secret `API_KEY`.
        key: Option<String> = None;
        /// Whether the OpenAPI document tells the key. It does not, because even here it is too much.
        is_documented: bool = false;
    }
}

palisade::service_settings! {
    /// Everything that can be set: in a file, or as `CARELESS__SECTION__KEY`.
    struct Settings in "CARELESS" {
        /// What somebody made a setting of that should be a secret.
        shop: ShopSection,
    }
}

/// A key that everybody can get at.
#[derive(Clone)]
struct Careless {
    key: Arc<Secret<String>>,
    metrics: Metrics,
}

impl FromRef<Careless> for Metrics {
    fn from_ref(careless: &Careless) -> Self {
        careless.metrics.clone()
    }
}

impl FromRef<Careless> for Arc<Secret<String>> {
    fn from_ref(careless: &Careless) -> Self {
        Self::clone(&careless.key)
    }
}

/// Logs the key as a message, as fields, inside of other things, and as another crate would.
async fn log(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    let text = key.expose();
    let bytes =
        data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(Problem::internal)?;
    tracing::trace!("starting with {text}");
    tracing::debug!(key = text.as_str(), "as a field");
    tracing::info!(%text, ?key, "shown and debugged");
    tracing::warn!(error = format!("Basic {}", base64_of_pair(text)), "as a credential");
    tracing::error!(error = ?bytes, "as bytes: {bytes:02x?}");
    tracing::error!(target: "somebody_elses_crate", url = format!("https://x/?k={text}"), "GET {text}");
    Ok(Json(SystemClock.now()))
}

/// Panics with the key in its words.
#[expect(clippy::panic, reason = "it is what is to be contained")]
async fn panics(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    panic!("cannot sign in with {}", key.expose())
}

/// Panics with the key in its words where nobody contains it.
#[expect(clippy::panic, reason = "it is what is to be told without the key")]
async fn panics_elsewhere(
    State(key): State<Arc<Secret<String>>>,
) -> Result<Json<Timestamp>, Problem> {
    let task = tokio::spawn(async move { panic!("in a task: {:?}", key.expose().as_bytes()) });
    let outcome: Result<(), _> = task.await;
    outcome.map_err(Problem::internal)?;
    Ok(Json(SystemClock.now()))
}

/// Fails with the key in the cause.
async fn fails(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    let cause = format!("postgres://careless:{}@db/careless refused", key.expose());
    Err(Problem::internal(io::Error::other(cause)))
}

/// Refuses with the key in the public words.
async fn answers(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    Err(Problem::new(NOT_FOUND).detail(format!("there is nothing for {}", key.expose())))
}

/// Writes the key past the log.
async fn prints(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    writeln!(io::stdout(), "the key is {}", key.expose()).map_err(Problem::internal)?;
    Ok(Json(SystemClock.now()))
}

/// Leaves the most of the key in a file, for whoever debugs it next.
async fn writes(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    let most: String = key.expose().chars().take(30).collect();
    fs::write("careless.debug", most).map_err(Problem::internal)?;
    Ok(Json(SystemClock.now()))
}

/// Counts by the key.
async fn counts(
    State(key): State<Arc<Secret<String>>>,
    State(metrics): State<Metrics>,
) -> Result<Json<Timestamp>, Problem> {
    let label = key.expose().clone().leak();
    let sold = metrics.counter("careless_sold_total", "What was sold.", &[("shop", label)]);
    sold.map_err(Problem::internal)?.add(1);
    Ok(Json(SystemClock.now()))
}

fn base64_of_pair(key: &str) -> String {
    data_encoding::BASE64.encode(format!("careless:{key}").as_bytes())
}

fn offer(setup: &Setup<Settings>) -> Result<Offer<Careless>, Failure> {
    let shop = &setup.settings.shop;
    let key = match &shop.key {
        Some(key) => Secret::new(key.clone()),
        None => Secrets::of(&setup.environment).require("API_KEY")?.secret,
    };
    if key.expose().len() > 43 {
        return Err(format!("the key {} has more than 43 characters", key.expose()).into());
    }
    let about: &str =
        if shop.is_documented { key.expose().clone().leak() } else { "Logs the key." };
    let api = Api::new()
        .route(Route::post("/log", "log").policy(Anyone).about(about).handle(log))
        .route(Route::post("/panic", "panic").policy(Anyone).handle(panics))
        .route(Route::post("/task", "panicElsewhere").policy(Anyone).handle(panics_elsewhere))
        .route(Route::post("/failure", "fail").policy(Anyone).handle(fails))
        .route(Route::post("/answer", "answer").policy(Anyone).refuses(NOT_FOUND).handle(answers))
        .route(Route::post("/output", "print").policy(Anyone).handle(prints))
        .route(Route::post("/file", "write").policy(Anyone).handle(writes))
        .route(Route::post("/label", "count").policy(Anyone).handle(counts));
    Ok(Offer::new(api, Careless { key: Arc::new(key), metrics: setup.metrics.clone() }))
}

fn main() -> ExitCode {
    let about = "Gives its secret away wherever it can.";
    let careless = Program { name: "careless", version: "1.0.0", about };
    careless.main(async |setup: Setup<Settings>| offer(&setup))
}
