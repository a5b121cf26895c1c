//! Palisade: the same job with the default limits, the rate limits on, and the log written.

use std::sync::Arc;

use palisade::auth::{Account, Auth, AuthSettings, MIGRATIONS, Proof, Role, session, sessions};
use palisade::clock::{Clock as _, SystemClock};
use palisade::config::{Rate, Throttle};
use palisade::crypto::TokenKind;
use palisade::db::{DatabaseUrl, Db, DbError, DbSettings, Purpose, Tx};
use palisade::http::{
    Anyone, Api, App, Body, Json, Lifecycle, LimitsSection, Phase, Policy, Problem, RateLimiter,
    Route, Server, ServerSection, Socket,
};
use palisade::id::Id;
use palisade::input::{FromText, Invalid, Schema, string_schema};
use palisade::telemetry::metrics::Metrics;
use palisade::telemetry::{self, Log, LogSection};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::Started;
use super::rules::{is_email, is_password, is_username};

palisade::body! {
    /// Who wants an account.
    pub(super) struct NewUser {
        /// The name.
        username: Username,
        /// The address.
        email: EmailAddress,
        /// The password.
        password: Password,
    }
}

palisade::view! {
    /// Who has an account.
    pub(super) struct UserView {
        /// The name.
        username: Username,
        /// The address.
        email: EmailAddress,
    }
}

/// Serves anyone.
pub(super) fn start(listener: TcpListener) -> anyhow::Result<Started> {
    let log = start_log()?;
    serve(listener, users(Anyone), &())?;
    Ok(Started { token: None, keeps: Box::new(log) })
}

/// Serves callers with a session.
pub(super) async fn start_with_session(listener: TcpListener) -> anyhow::Result<Started> {
    serve_with_session(listener, users(session())).await
}

/// Serves `api` to callers with a session, which is looked up in a database in a temporary folder.
pub(super) async fn serve_with_session(
    listener: TcpListener,
    api: Api<Auth>,
) -> anyhow::Result<Started> {
    let log = start_log()?;
    let folder = tempfile::tempdir()?;
    let (auth, token) = sign_in(&folder).await?;
    serve(listener, api, &auth)?;
    Ok(Started { token: Some(token), keeps: Box::new((log, folder)) })
}

fn start_log() -> anyhow::Result<Log> {
    let mut log = telemetry::start("palisade_bench", &LogSection::default());
    log.begin()?;
    Ok(log)
}

fn users<S: Clone + Send + Sync + 'static>(policy: impl Policy<S>) -> Api<S> {
    Api::new().route(Route::post("/users", "createUser").policy(policy).handle(create))
}

fn serve<S>(listener: TcpListener, api: Api<S>, state: &S) -> anyhow::Result<()>
where
    S: Clone + Send + Sync + 'static,
{
    let limits = LimitsSection::default();
    let mut edge = limits.public_edge(&ServerSection::default(), Throttle::At(NEVER_REACHED));
    edge.per_account = Arc::new(RateLimiter::of(Throttle::At(NEVER_REACHED)));
    let lifecycle = Lifecycle::new();
    let metrics = Metrics::new();
    let app = App::new(api, state, edge, lifecycle.clone(), &metrics)?;
    let mut limits = limits.connections();
    // The load never reconnects by plan.
    limits.requests_per_connection = u64::MAX;
    let server =
        Server { sockets: vec![Socket::Tcp(listener.into_std()?)], tls: None, app, limits };
    lifecycle.enter(Phase::Ready);
    tokio::spawn(server.run(lifecycle));
    Ok(())
}

async fn create(Body(new): Body<NewUser>) -> Result<Json<UserView>, Problem> {
    let NewUser { username, email, password: _ } = new;
    Ok(Json(UserView { username, email }))
}

/// Opens one session, as a sign-in does, and returns its token.
async fn sign_in(folder: &TempDir) -> anyhow::Result<(Auth, String)> {
    let url = DatabaseUrl::parse(&format!("sqlite://{}/edge.db", folder.path().display()))?;
    let db = Db::open(&url, DbSettings::new(Purpose::Serve)).await?;
    db.migrate("palisade", MIGRATIONS).await?;
    let settings = AuthSettings {
        session_tokens: SESSION,
        api_keys: TokenKind::new("key_"),
        idle: palisade::auth::SessionsSection::default().idle,
        absolute: palisade::auth::SessionsSection::default().absolute,
        machine_keys: Vec::new(),
        machine_role: OPERATOR,
        second_factor_for: Vec::new(),
    };
    let (now, absolute) = (SystemClock.now(), settings.absolute);
    let account = Id::<Account>::new_at(now);
    let (_, token) = db
        .write(async move |tx: &mut Tx<'_>| -> Result<_, DbError> {
            let proof = Proof { at: now, has_second_factor: false };
            sessions::open(tx, SESSION, (account, &CUSTOMER), proof, absolute).await
        })
        .await?;
    Ok((Auth::new(db, Arc::new(SystemClock), settings), token.expose().to_owned()))
}

/// A name of 1 to 32 letters and digits.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Username(String);

impl FromText for Username {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let refusal = || Invalid::new("username", "Must be 1 to 32 letters and digits.");
        is_username(raw).then(|| Self(raw.to_owned())).ok_or_else(refusal)
    }
}

impl Schema for Username {
    fn schema() -> Value {
        string_schema(1..=32, "^[A-Za-z0-9]+$")
    }
}

/// An address with one `@`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct EmailAddress(String);

impl FromText for EmailAddress {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let refusal = || Invalid::new("email", "Must be an address.");
        is_email(raw).then(|| Self(raw.to_owned())).ok_or_else(refusal)
    }
}

impl Schema for EmailAddress {
    fn schema() -> Value {
        string_schema(3..=254, "^[!-~]+$")
    }
}

/// A password of 15 to 256 characters; kept as bare keeps it, because hashing is no part of this.
#[derive(Debug)]
pub(super) struct Password(#[expect(dead_code, reason = "nothing is done with it")] String);

impl FromText for Password {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let refusal = || Invalid::new("length", "Must be 15 to 256 characters.");
        is_password(raw).then(|| Self(raw.to_owned())).ok_or_else(refusal)
    }
}

impl Schema for Password {
    fn schema() -> Value {
        string_schema(15..=256, "^.+$")
    }
}

const SESSION: TokenKind = TokenKind::new("bench_");
const CUSTOMER: Role = Role::new("customer");
const OPERATOR: Role = Role::new("operator");
/// The limiter works and never refuses: no client here is that fast.
const NEVER_REACHED: Rate = Rate::per_second(10_000_000);
