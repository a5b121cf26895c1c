//! How the parts are put together and served.

use std::sync::Arc;
use std::time::Duration;

use palisade::audit::{self, AuditSection, Checkpoints, Signing};
use palisade::auth::{self, Auth, AuthSettings, Throttle, keys, sessions};
use palisade::clock::{Clock, SystemClock};
use palisade::config::Live;
use palisade::crypto::{
    HashSettings, Hasher, KeyRing, Peppers, Pseudonyms, Sealer, TokenKind, WeakParameters,
};
use palisade::db::{self, Db, DbError, Migration, Retention, Schema, SchemaState, Sweeper, Tx};
use palisade::http::{Api, Introduction, RateLimiter};
use palisade::idempotency::{self, Idempotency};
use palisade::service::{Offer, Program};
use palisade::telemetry::metrics::{MetricError, Metrics};
use serde_json::Value;

use crate::accounts::{self, Limiters, OPERATOR, second_factor};
use crate::audit::Refusals;
use crate::config::{RateSection, Settings};
use crate::imports::{self, Importer, Uploads, Worker};
use crate::orders;
use crate::paging::Cursors;
use crate::secrets::ServiceSecrets;
use crate::state::{AppState, Bell};

const SESSION: TokenKind = TokenKind::new("ods_");
const API_KEY: TokenKind = TokenKind::new("odk_");
/// Texts that the log may show: ids and pseudonyms that are made here, and fixed words.
pub const LOG_FIELDS: &[&str] =
    &["account", "account.id", "import", "key.id", "outcome", "reason", "role"];
/// Longest that the readiness check waits for the database.
const PING: Duration = Duration::from_secs(2);

/// The program as it calls itself in its log, its metrics and its document.
pub const PROGRAM: Program = Program {
    name: "orderdesk",
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
    /// The secret key is too short.
    #[error("SECRET_KEY: {0}")]
    SecretKey(#[from] palisade::crypto::WeakKey),
    /// Two metrics have one name.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// Returns all routes with the OpenAPI document that describes them.
pub fn api(settings: &Settings) -> (Api<AppState>, Value) {
    api_with(settings, &Uploads::new(&settings.imports))
}

fn api_with(settings: &Settings, uploads: &Uploads) -> (Api<AppState>, Value) {
    let limiters = limiters(&settings.rate);
    let public_url = settings.server.public_url.clone();
    let Program { version, about, .. } = PROGRAM;
    let introduction = Introduction { title: "Orderdesk", version, about };
    accounts::routes(settings.accounts.sign_up, &limiters)
        .merge(orders::routes())
        .merge(imports::routes(uploads))
        .documented(introduction, public_url.as_deref())
}

/// Brings what the previous key has covered under the present one. If the service ends meanwhile, the next
/// start goes on.
async fn renew(db: Db, peppers: Peppers, sealer: Sealer) {
    let hashes = accounts::renewal::renew_hashes(&db, &peppers).await;
    let factors = accounts::renewal::renew_factors(&db, &sealer).await;
    match (hashes, factors) {
        (Ok(0), Ok(0)) => {}
        (Ok(hashes), Ok(factors)) => {
            tracing::info!(hashes, factors, "credentials were brought under the present key");
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "credentials are left under the previous key");
        }
    }
}

fn limiters(rate: &Live<RateSection>) -> Limiters {
    Limiters {
        sign_up: RateLimiter::following(rate, |rate| rate.sign_up),
        login: RateLimiter::following(rate, |rate| rate.login),
    }
}

/// Every migration of the service's own tables, in order.
const MIGRATIONS: &[Migration] = &[
    accounts::MIGRATION,
    orders::MIGRATION,
    orders::FILTERS_MIGRATION,
    imports::MIGRATION,
    orders::STATUS_MIGRATION,
    accounts::CREDENTIALS_MIGRATION,
];

/// The tables of the library and of the service.
pub const SCHEMAS: [Schema; 4] = [
    Schema { component: "palisade", migrations: palisade::auth::MIGRATIONS },
    Schema { component: idempotency::COMPONENT, migrations: idempotency::MIGRATIONS },
    Schema { component: audit::COMPONENT, migrations: audit::MIGRATIONS },
    Schema { component: "orderdesk", migrations: MIGRATIONS },
];

/// Brings the tables to this version and returns how many steps that took.
///
/// # Errors
///
/// What the database answers; a newer schema is refused.
pub async fn migrate(db: &Db) -> Result<usize, DbError> {
    let mut count = 0;
    for Schema { component, migrations } in SCHEMAS {
        count += db.migrate(component, migrations).await?;
    }
    Ok(count)
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
    for Schema { component, migrations } in SCHEMAS {
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
    /// What works imports off.
    pub importer: Importer,
    /// What signs the audit log.
    pub signing: Signing,
    /// What covers password hashes.
    pub peppers: Peppers,
}

impl Parts {
    /// Opens the database to serve from it, brings it up to date, and makes everything that
    /// handlers need.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(
        settings: &Settings,
        secrets: &ServiceSecrets,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let mut open = settings.database.open_settings(db::Purpose::Serve);
        open.metrics = Some(metrics.clone());
        let db = Db::open(&secrets.database_url, open).await?;
        prepare(&db, settings).await?;
        Self::around(db, settings, secrets, metrics)
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
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ring = KeyRing::new(&secrets.secret_key, secrets.secret_key_previous.as_ref())?;
        let hasher = Hasher::start(HashSettings::from(&settings.passwords))?;
        let hasher = Arc::new(hasher.with_peppers(ring.peppers()).watched_by(metrics)?);
        let auth = Auth::new(
            db.clone(),
            Arc::clone(&clock),
            AuthSettings {
                session_tokens: SESSION,
                api_keys: API_KEY,
                idle: settings.sessions.idle,
                absolute: settings.sessions.absolute,
                machine_keys: secrets.api_keys.clone(),
                machine_role: OPERATOR.clone(),
                second_factor_for: settings.accounts.require_second_factor.roles(),
            },
        );
        let throttle = Throttle::new(&ring, settings.guesses.clone());
        let factor_sealer = ring.sealer(second_factor::PURPOSE);
        let (kept_in, by) = (db.clone(), Arc::clone(&clock));
        let idempotency = Idempotency::new(kept_in, by, &ring, &settings.idempotency, metrics)?;
        let (cursors, pseudonyms) = (Cursors::new(&ring), Pseudonyms::new(&ring));
        let (kept_in, by) = (db.clone(), Arc::clone(&clock));
        let importer = Importer::new(kept_in, by, &settings.imports, metrics)?;
        let bell = Bell::default();
        let state = AppState {
            db,
            clock,
            hasher,
            auth,
            throttle,
            factor_sealer,
            refusals: Refusals::default(),
            pseudonyms,
            idempotency,
            cursors,
            bell,
        };
        let (signing, peppers) = (Signing::new(&ring), ring.peppers());
        Ok(Self { state, importer, signing, peppers })
    }

    /// Returns what is served: ready while the database answers, and stopped in order. From here on
    /// what is over is removed.
    ///
    /// # Errors
    ///
    /// If something is counted twice.
    pub fn offer(
        self,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Offer<AppState>, MetricError> {
        let uploads = Uploads::new(&settings.imports);
        let (api, _) = api_with(settings, &uploads);
        let (state, db) = (self.state.clone(), self.state.db.clone());
        let ping = move || {
            let db = db.clone();
            async move { db.ping(PING).await.map_err(|_| "database") }
        };
        let sweeper = self.retention(settings).start(metrics)?;
        let worker = Worker::start(self.importer.clone(), uploads, self.state.bell.clone());
        let checkpoints = self.checkpoints(&settings.audit);
        let sealer = self.state.factor_sealer.clone();
        tokio::spawn(renew(self.state.db.clone(), self.peppers.clone(), sealer));
        let ending = self.stop(sweeper, worker, checkpoints);
        Ok(Offer::new(api, state).ready_when(ping).ends_with(ending))
    }

    /// Signs the audit log from now on, after writing down what was only counted.
    fn checkpoints(&self, section: &AuditSection) -> Checkpoints {
        let AppState { db, clock, refusals, .. } = self.state.clone();
        let kept_in = (db.clone(), Arc::clone(&clock));
        Checkpoints::start(kept_in, self.signing.clone(), section, move || {
            let (db, clock, refusals) = (db.clone(), Arc::clone(&clock), refusals.clone());
            async move { refusals.write_down(&db, &*clock).await }
        })
    }

    /// Everything that is ever removed because it is over. Orders and their history are not.
    fn retention(&self, settings: &Settings) -> Retention {
        let AppState { db, clock, .. } = &self.state;
        let keep = settings.imports.keep;
        Retention::new(db.clone(), Arc::clone(clock), &settings.retention)
            .remove("sessions", async |tx: &mut Tx<'_>, now, most| {
                sessions::remove_expired(tx, now, most).await
            })
            .remove("api_keys", async |tx: &mut Tx<'_>, now, most| {
                keys::remove_expired(tx, now, most).await
            })
            .remove("guesses", async |tx: &mut Tx<'_>, now, most| {
                auth::remove_full(tx, now, most).await
            })
            .remove("password_resets", async |tx: &mut Tx<'_>, now, most| {
                accounts::store::remove_resets(tx, now, most).await
            })
            .remove("idempotency_keys", async |tx: &mut Tx<'_>, now, most| {
                idempotency::remove_expired(tx, now, most).await
            })
            .remove("import_chunks", async |tx: &mut Tx<'_>, now, most| {
                imports::remove_chunks(tx, now, most).await
            })
            .remove("import_rejections", async move |tx: &mut Tx<'_>, now, most| {
                imports::store::remove_rejections(tx, now.before(keep), most).await
            })
            .remove("imports", async move |tx: &mut Tx<'_>, now, most| {
                imports::store::remove(tx, now.before(keep), most).await
            })
    }

    /// Ends what the parts still do: importing, removing and hashing first, the database last.
    async fn stop(self, sweeper: Sweeper, worker: Worker, checkpoints: Checkpoints) {
        worker.stop().await;
        sweeper.stop().await;
        checkpoints.stop().await;
        let AppState { db, hasher, .. } = self.state;
        // Joining threads blocks, if only for one hash.
        tokio::task::spawn_blocking(move || hasher.shutdown()).await.ok();
        if let Err(error) = db.close().await {
            tracing::error!(%error, "the database did not close cleanly");
        }
    }
}
