//! What handlers can ask for. It knows features by what they need, and no feature knows it.

use std::sync::Arc;

use palisade::auth::Auth;
use palisade::http::{FromRef, RateLimiter};

use crate::accounts::actions::Accounts;
use crate::orders::actions::Orders;
use crate::paging::Cursors;

/// The state of the service.
#[derive(Debug, Clone)]
pub struct AppState {
    /// What the policies are made by.
    pub auth: Auth,
    /// What accounts need.
    pub accounts: Accounts,
    /// What orders need.
    pub orders: Orders,
    /// What lists need.
    pub cursors: Cursors,
}

/// The limits of single routes; none where the settings switch one off.
#[derive(Debug, Clone, Default)]
pub struct Limiters {
    /// Accounts opened from one address.
    pub sign_up: Option<Arc<RateLimiter>>,
    /// Sign-ins from one address.
    pub login: Option<Arc<RateLimiter>>,
}

impl FromRef<AppState> for Auth {
    fn from_ref(state: &AppState) -> Self {
        state.auth.clone()
    }
}

impl FromRef<AppState> for Accounts {
    fn from_ref(state: &AppState) -> Self {
        state.accounts.clone()
    }
}

impl FromRef<AppState> for Orders {
    fn from_ref(state: &AppState) -> Self {
        state.orders.clone()
    }
}

impl FromRef<AppState> for Cursors {
    fn from_ref(state: &AppState) -> Self {
        state.cursors.clone()
    }
}
