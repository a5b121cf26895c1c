//! What handlers can ask for. It knows no feature, so that features can know it.

use std::sync::Arc;

use palisade::auth::{Auth, Throttle};
use palisade::clock::Clock;
use palisade::crypto::{Hasher, Pseudonyms, Sealer};
use palisade::db::Db;
use palisade::http::FromRef;
use palisade::idempotency::Idempotency;
use tokio::sync::Notify;

use crate::audit::Refusals;
use crate::paging::Cursors;

/// The state of the service; a clone is the same one. Each feature takes the parts it needs.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Where everything is kept.
    pub db: Db,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// What computes password hashes.
    pub hasher: Arc<Hasher>,
    /// Who calls.
    pub auth: Auth,
    /// What counts wrong guesses at passwords.
    pub throttle: Throttle,
    /// What seals the secrets of second factors.
    pub factor_sealer: Sealer,
    /// What counts refused sign-ins.
    pub refusals: Refusals,
    /// What names people in the log.
    pub pseudonyms: Pseudonyms,
    /// What does a request once for each key.
    pub idempotency: Idempotency,
    /// What makes and reads the cursors of lists.
    pub cursors: Cursors,
    /// What is rung when there is work for the background.
    pub bell: Bell,
}

/// Wakes what works in the background of this process; a clone is the same one. Who does not hear
/// it looks from time to time.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Says that there is work.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it is rung, or was since the last time.
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}

impl FromRef<AppState> for Auth {
    fn from_ref(state: &AppState) -> Self {
        state.auth.clone()
    }
}

impl FromRef<AppState> for Idempotency {
    fn from_ref(state: &AppState) -> Self {
        state.idempotency.clone()
    }
}

impl FromRef<AppState> for Cursors {
    fn from_ref(state: &AppState) -> Self {
        state.cursors.clone()
    }
}
