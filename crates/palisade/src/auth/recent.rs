//! Sessions that were looked up a moment ago, so that a busy client does not ask the database for
//! every request.
//!
//! 1. What this process ends is forgotten before its end is answered: [`Db::generation`].
//! 2. What another process ends is forgotten after [`KEPT`]; whoever must be sure waits that long.
//! 3. The memory is bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Session;
use crate::clock::Timestamp;
use crate::crypto::TokenHash;
use crate::db::Db;

/// How long a session is remembered. Anything that ends sessions beside a running service (a
/// command, another process) is done when this has passed.
pub(super) const KEPT: Duration = Duration::from_secs(1);
/// Most sessions that are remembered; beyond it all are forgotten, which costs a look-up each.
const MOST: usize = 16_384;

/// The sessions that were looked up within [`KEPT`].
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<TokenHash, Entry>>);

struct Entry {
    session: Session,
    read_at: Timestamp,
    generation: u64,
}

impl Recent {
    /// Returns the session of the token with `hash` if it is remembered and still open.
    pub(super) fn find(
        &self,
        db: &Db,
        hash: &TokenHash,
        (now, idle): (Timestamp, Duration),
    ) -> Option<Session> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(hash)?;
        let is_fresh = entry.read_at <= now && now < entry.read_at.after(KEPT);
        let is_open = now < entry.session.expires_at && now < entry.session.seen_at.after(idle);
        let is_true = entry.generation == db.generation();
        (is_fresh && is_open && is_true).then(|| entry.session.clone())
    }

    /// Remembers a session that was read while the database had the given generation.
    pub(super) fn remember(
        &self,
        hash: TokenHash,
        session: &Session,
        (read_at, generation): (Timestamp, u64),
    ) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(hash, Entry { session: session.clone(), read_at, generation });
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Recent(..)")
    }
}
