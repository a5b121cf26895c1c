//! How the parts are put together and served.

use std::sync::Arc;
use std::time::Duration;

use palisade::auth::{Auth, AuthSettings, Throttle};
use palisade::clock::{Clock, SystemClock};
use palisade::crypto::{HashSettings, Hasher, KeyRing, TokenKind, WeakParameters};
use palisade::db::{self, Db, DbError, Migration, SchemaState};
use palisade::http::health::{self, Health};
use palisade::http::{
    Api, App, Introduction, Kind, Lifecycle, RateLimiter, TlsAcceptorSource, TlsError, TlsFiles,
    TlsMode,
};
use palisade::process;
use palisade::service::Applications;
use palisade::telemetry::metrics::{MetricError, Metrics};
use serde_json::Value;

use crate::accounts::{self, Limiters, OPERATOR};
use crate::config::{RateSection, Settings};
use crate::orders;
use crate::paging::Cursors;
use crate::secrets::ServiceSecrets;
use crate::state::AppState;

const SESSION: TokenKind = TokenKind::new("ods_");
/// Longest that the readiness check waits for the database.
const PING: Duration = Duration::from_secs(2);

const INTRODUCTION: Introduction = Introduction {
    title: "Orderdesk",
    version: env!("CARGO_PKG_VERSION"),
    about: "Accounts, and orders that go from new to paid to shipped. Every error is a problem \
            document (RFC 9457); `GET /problems/{code}` explains its code. Integers may be \
            written as any JSON number with an integer value, such as `3`, `3.0` or `3e0`.",
};

/// Why the service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Db(#[from] DbError),
    /// The database is older than this version, and the settings say not to change it.
    #[error(
        "the database is older than this version and database.migrate is false: \
         run `orderdesk migrate` first"
    )]
    OldSchema,
    /// The parameters for hashing passwords are too weak.
    #[error("[passwords] {0}")]
    Passwords(#[from] WeakParameters),
    /// TLS cannot be served.
    #[error("[tls] {0}")]
    Tls(#[from] TlsError),
    /// The secret key is too short.
    #[error("SECRET_KEY: {0}")]
    SecretKey(#[from] palisade::crypto::WeakKey),
    /// Two metrics have one name.
    #[error(transparent)]
    Metrics(#[from] MetricError),
}

/// Returns all routes with the OpenAPI document that describes them.
pub fn api(settings: &Settings) -> (Api<AppState>, Value) {
    let limiters = limiters(&settings.rate);
    let public_url = settings.server.public_url.clone();
    accounts::routes(settings.accounts.sign_up, &limiters)
        .merge(orders::routes())
        .kinds(RESERVED_KINDS)
        .documented(INTRODUCTION, public_url.as_deref())
}

/// Codes that are part of the interface, for what this version does not have yet.
const RESERVED_KINDS: &[&Kind] = &[
    &Kind {
        code: "step_up_required",
        status: 403,
        title: "Prove yourself again first.",
        about: "The session's last proof of identity is too old for this. This version of the \
                service does not answer with this code yet.",
    },
    &Kind {
        code: "idempotency_conflict",
        status: 409,
        title: "The idempotency key was used for another request.",
        about: "The same Idempotency-Key came with another method, path or body. This version of \
                the service does not answer with this code yet: it takes no notice of the key.",
    },
];

fn limiters(rate: &RateSection) -> Limiters {
    let limiter = |throttle: palisade::config::Throttle| {
        throttle.rate().and_then(RateLimiter::of).map(Arc::new)
    };
    Limiters { sign_up: limiter(rate.sign_up), login: limiter(rate.login) }
}

/// Every migration of the service's own tables, in order.
const MIGRATIONS: &[Migration] = &[accounts::MIGRATION, orders::MIGRATION];

/// Brings the tables to this version and returns how many steps that took.
///
/// # Errors
///
/// What the database answers; a newer schema is refused.
pub async fn migrate(db: &Db) -> Result<usize, DbError> {
    let library = db.migrate("palisade", palisade::auth::MIGRATIONS).await?;
    Ok(library + db.migrate("orderdesk", MIGRATIONS).await?)
}

/// Brings the tables to this version, or only checks that they are, as the settings say.
///
/// # Errors
///
/// [`StartError::OldSchema`] if they may not be changed, and a newer version in any case.
pub async fn prepare(db: &Db, settings: &Settings) -> Result<(), StartError> {
    match settings.database.migrate {
        true => {
            migrate(db).await?;
            Ok(())
        }
        false => check_schema(db).await,
    }
}

async fn check_schema(db: &Db) -> Result<(), StartError> {
    for (component, migrations) in
        [("palisade", palisade::auth::MIGRATIONS), ("orderdesk", MIGRATIONS)]
    {
        match db.schema_state(component, migrations).await? {
            SchemaState::UpToDate => {}
            SchemaState::Older { .. } => return Err(StartError::OldSchema),
            SchemaState::Newer { applied, known } => {
                return Err(DbError::TooNew { component, applied, known }.into());
            }
        }
    }
    Ok(())
}

/// The parts of the running service.
#[derive(Debug)]
pub struct Parts {
    /// The state that handlers ask.
    pub state: AppState,
    lifecycle: Lifecycle,
}

impl Parts {
    /// Opens the database to serve from it, brings it up to date, and makes everything that
    /// handlers need.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(settings: &Settings, secrets: &ServiceSecrets) -> Result<Self, StartError> {
        let open = settings.database.open_settings(db::Purpose::Serve);
        let db = Db::open(&secrets.database_url, open).await?;
        prepare(&db, settings).await?;
        Self::around(db, settings, secrets)
    }

    /// Makes everything that handlers need around an open database.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn around(
        db: Db,
        settings: &Settings,
        secrets: &ServiceSecrets,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ring = KeyRing::new(&secrets.secret_key, secrets.secret_key_previous.as_ref())?;
        let hasher = Arc::new(Hasher::start(HashSettings::from(&settings.passwords))?);
        let auth = Auth::new(
            db.clone(),
            Arc::clone(&clock),
            AuthSettings {
                session_tokens: SESSION,
                idle: settings.sessions.idle,
                absolute: settings.sessions.absolute,
                machine_keys: secrets.api_keys.clone(),
                machine_role: OPERATOR.clone(),
            },
        );
        let throttle = Arc::new(Throttle::new(&ring));
        let cursors = Cursors::new(&ring);
        let state = AppState { db, clock, hasher, auth, throttle, cursors };
        Ok(Self { state, lifecycle: Lifecycle::new() })
    }

    /// Returns what is served.
    ///
    /// # Errors
    ///
    /// TLS that cannot be served; two metrics of one name.
    pub fn applications(
        &self,
        settings: &Settings,
        tls: Option<TlsFiles>,
    ) -> Result<Applications, StartError> {
        let oldest = settings.tls.min_version;
        let tls = tls.map(|files| TlsAcceptorSource::open(files, oldest)).transpose()?;
        let (api, _) = api(settings);
        let mut edge = settings.limits.public_edge(&settings.server, settings.rate.per_ip);
        edge.strict_transport = settings.tls.mode == TlsMode::Files;
        edge.per_account = settings.rate.per_account.rate().and_then(RateLimiter::of);
        let lifecycle = self.lifecycle.clone();
        let metrics = Metrics::new();
        process::metrics::register(&metrics, "orderdesk", env!("CARGO_PKG_VERSION"))?;
        let public = App::new(api, &self.state, edge, lifecycle.clone(), &metrics)?;
        let readiness = self.readiness();
        let health = Health { lifecycle: lifecycle.clone(), readiness, metrics: metrics.clone() };
        let edge = settings.limits.admin_edge();
        let admin = App::new(health::routes(), &health, edge, lifecycle.clone(), &metrics)?;
        Ok(Applications {
            public,
            admin,
            tls: tls.map(Arc::new),
            limits: settings.limits.connections(),
            lifecycle,
            grace: settings.shutdown.grace,
            drain: settings.shutdown.drain,
        })
    }

    fn readiness(&self) -> health::Readiness {
        let db = self.state.db.clone();
        Arc::new(move || {
            let db = db.clone();
            Box::pin(async move { db.ping(PING).await.map_err(|_| "database") })
        })
    }

    /// Ends what the parts still do: hashing first, the database last.
    pub async fn stop(self) {
        let AppState { db, hasher, .. } = self.state;
        // Joining threads blocks, if only for one hash.
        tokio::task::spawn_blocking(move || hasher.shutdown()).await.ok();
        if let Err(error) = db.close().await {
            tracing::error!(%error, "the database did not close cleanly");
        }
    }
}
