//! A service that gives its secret away wherever it can, to show what the library holds back.
//!
//! Do not copy it. The test `leaks` starts it with a marked `API_KEY`, calls every route, and
//! looks for the key in everything that comes out.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use palisade::clock::{Clock, SystemClock, Timestamp};
use palisade::config::{KeyMaterial, Secrets};
use palisade::http::{Anyone, Api, FromRef, Json, Problem, Route, State};
use palisade::secret::Secret;
use palisade::service::{Failure, Offer, Program, Setup};

palisade::service_settings! {
    /// Everything that can be set: in a file, or as `CARELESS__SECTION__KEY`.
    struct Settings in "CARELESS" {}
}

/// A key that everybody can get at.
#[derive(Clone)]
struct Careless {
    key: Arc<Secret<String>>,
}

impl FromRef<Careless> for Arc<Secret<String>> {
    fn from_ref(careless: &Careless) -> Self {
        Self::clone(&careless.key)
    }
}

/// Logs the key as a message, as fields, inside of other things, and as another crate would.
async fn log(State(key): State<Arc<Secret<String>>>) -> Result<Json<Timestamp>, Problem> {
    let (text, bytes) = (key.expose(), KeyMaterial::parse(&key).map_err(Problem::internal)?);
    let bytes = bytes.expose();
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

fn base64_of_pair(key: &str) -> String {
    data_encoding::BASE64.encode(format!("careless:{key}").as_bytes())
}

fn offer(setup: &Setup<Settings>) -> Result<Offer<Careless>, Failure> {
    let key = Secrets::of(&setup.environment).require("API_KEY")?.secret;
    if key.expose().len() != 43 {
        return Err(format!("the key {} has not 43 characters", key.expose()).into());
    }
    let api = Api::new()
        .route(Route::post("/log", "log").policy(Anyone).handle(log))
        .route(Route::post("/panic", "panic").policy(Anyone).handle(panics))
        .route(Route::post("/task", "panicElsewhere").policy(Anyone).handle(panics_elsewhere))
        .route(Route::post("/failure", "fail").policy(Anyone).handle(fails));
    Ok(Offer::new(api, Careless { key: Arc::new(key) }))
}

fn main() -> ExitCode {
    let about = "Gives its secret away wherever it can.";
    let careless = Program { name: "careless", version: "1.0.0", about };
    careless.main(async |setup: Setup<Settings>| offer(&setup))
}
