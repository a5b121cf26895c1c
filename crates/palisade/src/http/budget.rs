//! The limit on requests by account: the policy knows whose a request is, the edge how many.

use std::sync::Arc;

use super::Problem;
use super::metrics::Decision;
use super::rate::RateLimiter;
use crate::telemetry::metrics::Counters;

/// What each account may ask for in a time.
#[derive(Debug)]
pub struct AccountBudget {
    limiter: Arc<RateLimiter<u128>>,
    decisions: Option<Counters<Decision>>,
}

impl AccountBudget {
    pub(super) fn new(
        limiter: Arc<RateLimiter<u128>>,
        decisions: Option<Counters<Decision>>,
    ) -> Self {
        Self { limiter, decisions }
    }

    /// Takes one request of `account` from its budget.
    ///
    /// # Errors
    ///
    /// 429 `rate_limited` when it has none left.
    pub fn spend(&self, account: u128) -> Result<(), Problem> {
        if self.limiter.is_off() {
            return Ok(());
        }
        let spent = self.limiter.check(account);
        if let Some(decisions) = &self.decisions {
            decisions.add(Decision::of(spent.is_ok()), 1);
        }
        spent.map_err(Problem::rate_limited)
    }
}
