//! Credentials that were looked up a moment ago, so that a busy client does not ask the database for
//! every request.
//!
//! 1. What this process ends is forgotten before its end is answered: [`Db::generation`].
//! 2. What another process ends is forgotten after [`KEPT`]; whoever must be sure waits that long.
//! 3. The memory is bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::db::Db;

/// How long a credential is remembered. Anything that ends one beside a running service (a
/// command, another process) is done when this has passed.
pub(super) const KEPT: Duration = Duration::from_secs(1);
/// Most credentials that are remembered; beyond it all are forgotten, which costs a look-up each.
const MOST: usize = 16_384;

/// The credentials of one kind that were looked up within [`KEPT`].
pub(super) struct Recent<T>(Mutex<HashMap<TokenHash, Entry<T>>>);

struct Entry<T> {
    credential: T,
    read_at: Timestamp,
    generation: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recent<T> {
    /// Returns the credential of the token with `hash` if it is remembered and still open.
    pub(super) fn find(
        &self,
        db: &Db,
        hash: &TokenHash,
        now: Timestamp,
        is_open: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(hash)?;
        let is_fresh = entry.read_at <= now && now < entry.read_at.after(KEPT);
        let is_true = entry.generation == db.generation();
        (is_fresh && is_true && is_open(&entry.credential)).then(|| entry.credential.clone())
    }

    /// Remembers a credential that was read while the database had the given generation.
    pub(super) fn remember(
        &self,
        hash: TokenHash,
        credential: &T,
        (read_at, generation): (Timestamp, u64),
    ) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(hash, Entry { credential: credential.clone(), read_at, generation });
    }
}

impl<T> fmt::Debug for Recent<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Recent(..)")
    }
}
