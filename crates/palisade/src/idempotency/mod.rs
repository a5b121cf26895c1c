//! Idempotency keys: a request that is sent again is answered again, and done once.
//!
//! A client that got no answer does not know whether its request was done. With the header
//! `Idempotency-Key` it sends the same request with the same key again, and gets the first answer.
//! The rules of this module:
//!
//! 1. A key belongs to one caller, and its row is found by a keyed hash of both: nobody finds the
//!    answer of another, and the key itself is not stored.
//! 2. A key stands for one request: method, path with query, and the bytes of the body. JSON that
//!    means the same and is written otherwise is another body. With another request it is a
//!    conflict.
//! 3. The row is written in the transaction of the effect, so there is never one without the other,
//!    whatever breaks off in between. Of requests at once, the table's key lets one through.
//! 4. The first 2xx or 409 is kept; anything else did nothing and may turn out otherwise.
//! 5. Who asks for a kept answer is let through like everybody: rate, credential and policy come
//!    first, and then whether the caller may still see what the answer tells of.
//! 6. Answers are personal data: bounded in size, never logged, and removed when their time is over.
//!
//! A route takes keys by the types of its handler: [`Idempotent`] around the body as an argument,
//! [`Answered`] as the answer. One without the other does not start. Routes without them take no
//! notice of the header.

mod extract;
mod kept;
mod key;
mod once;
mod store;

use std::sync::Arc;
use std::time::Duration;

pub use extract::{Idempotent, IdempotentStream};
pub use once::{Answered, Answering, Once};

use crate::clock::{Clock, Timestamp};
use crate::crypto::{Fingerprints, KeyRing, Purpose};
use crate::db::{Db, DbError, Migration, Tx};
use crate::telemetry::metrics::{Counters, MetricError, Metrics};

/// The table of this module, for [`Db::migrate`] with [`COMPONENT`].
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "idempotency",
    sql: include_str!("../../migrations/0001_idempotency.sql"),
}];

/// The name under which [`MIGRATIONS`] are counted.
pub const COMPONENT: &str = "palisade_idempotency";

const PURPOSE: Purpose = Purpose::new("palisade idempotency");

crate::settings! {
    /// Idempotency keys.
    pub struct IdempotencySection in "idempotency" {
        /// How long an answer is kept to be given again. Clients may rely on 24 hours; kept answers
        /// hold what they told, so not longer than it is of use.
        pub keep_for: Duration = Duration::from_secs(24 * 3600),
            in Duration::from_secs(24 * 3600)..=Duration::from_secs(7 * 24 * 3600);
    }
}

crate::label! {
    /// What became of a request with a key.
    pub(crate) enum Outcome in "outcome" {
        /// It was the first of its key, and its answer is kept.
        Kept = "kept",
        /// It got the kept answer.
        Replayed = "replayed",
        /// The key was used for another request.
        Conflict = "conflict",
    }
}

/// Removes up to `most` kept answers whose time is over, and returns how many: they are personal data.
///
/// # Errors
///
/// What the database answers.
pub async fn remove_expired(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    store::forget(tx, now, most).await
}

/// Keeps answers and gives them again; a clone is the same one.
///
/// A service makes one beside its database, and hands it to its handlers' arguments by
/// [`FromRef`](crate::http::FromRef). [`remove_expired`] belongs to its [`Retention`](crate::db::Retention).
///
/// ```
/// use palisade::auth::Caller;
/// use palisade::db::{DbError, Tx};
/// use palisade::http::{Body, Json, Problem, State};
/// use palisade::idempotency::{Answered, Idempotent};
/// use palisade::input::Line;
///
/// palisade::body! {
///     /// A note to be kept.
///     pub struct NewNote {
///         /// What it says.
///         text: Line<1, 40>,
///     }
/// }
///
/// async fn keep(
///     _caller: Caller,
///     request: Idempotent<Body<NewNote>>,
/// ) -> Result<Answered<Json<Line<1, 40>>>, Problem> {
///     let (Body(note), once) = request.into_parts();
///     let may_see = async |_: &mut Tx<'_>| Ok(());
///     once.answering(Json)
///         .write(may_see, async move |_tx: &mut Tx<'_>| -> Result<_, DbError> {
///             // Here the note is stored.
///             Ok(note.text.clone())
///         })
///         .await
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Idempotency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    fingerprints: Fingerprints,
    keep_for: Duration,
    outcomes: Counters<Outcome>,
}

impl Idempotency {
    /// Keeps answers in `db`, under hashes made with a key of its own from `ring`, and counts in
    /// `metrics` what becomes of requests with a key.
    ///
    /// # Errors
    ///
    /// There can be one for each registry.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        ring: &KeyRing,
        settings: &IdempotencySection,
        metrics: &Metrics,
    ) -> Result<Self, MetricError> {
        let about = "Requests with an idempotency key, by what became of them.";
        let outcomes = metrics.counters("palisade_idempotency_keys_total", about, &[])?;
        let (fingerprints, keep_for) = (ring.fingerprints(PURPOSE), settings.keep_for);
        Ok(Self(Arc::new(Inner { db, clock, fingerprints, keep_for, outcomes })))
    }
}
