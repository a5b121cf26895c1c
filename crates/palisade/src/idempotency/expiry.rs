//! The end of kept answers: they are personal data, and removed once nobody may ask for them.

use std::time::Duration;

use super::{Idempotency, store};
use crate::db::{DbError, Tx};

/// How often expired rows are looked for: how much longer than promised they stay.
const EVERY: Duration = Duration::from_secs(60);
/// Rows that one transaction removes, so that no other write waits long for it.
const BATCH: u32 = 500;
/// Pause between two full batches, so that removing leaves the database to others most of the time.
const PAUSE: Duration = Duration::from_millis(50);

impl Idempotency {
    /// Removes up to `most` answers whose time is over, and returns how many.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn forget(&self, most: u32) -> Result<u64, DbError> {
        let now = self.0.clock.now();
        self.0.db.write(async move |tx: &mut Tx<'_>| store::forget(tx, now, most).await).await
    }

    /// Removes answers whose time is over, in batches of 500 rows, every minute from now on. It
    /// never ends by itself: the service owns the task that runs it.
    pub async fn forget_regularly(self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            loop {
                match self.forget(BATCH).await {
                    Ok(count) if count >= u64::from(BATCH) => tokio::time::sleep(PAUSE).await,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "expired answers could not be removed");
                        break;
                    }
                }
            }
        }
    }
}
