//! What Orderdesk writes down in the audit log, and by whom.
//!
//! What happens to orders has a history of its own (`order_events`), in the same transactions. Refused
//! sign-ins are counted and written down together: strangers must not be able to fill the log, nor to see
//! by the time of an answer that something was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use palisade::audit::{Record, append};
use palisade::auth::{AccountId, Caller};
use palisade::clock::{Clock, Timestamp};
use palisade::db::{Db, DbError, Tx};
use palisade::http::{ClientAddress, Extract, Operation, Problem, Request};

palisade::words! {
    /// What was done.
    pub enum Deed {
        /// An account was made.
        AccountMade = "account.made",
        /// An account was disabled.
        AccountDisabled = "account.disabled",
        /// An account was enabled.
        AccountEnabled = "account.enabled",
        /// An account got the role that the outcome names.
        RoleGiven = "account.role_given",
        /// A password was changed by who knew it.
        PasswordChanged = "password.changed",
        /// A token to choose a new password was made.
        ResetMade = "password.reset_made",
        /// A password was chosen by such a token.
        PasswordReset = "password.reset",
        /// Somebody signed in.
        SessionOpened = "session.opened",
        /// Somebody proved again who it is.
        SessionProved = "session.proved",
        /// A session was ended by its account.
        SessionEnded = "session.ended",
        /// Sign-ins and proofs were refused; the outcome counts them.
        SessionsRefused = "session.refused",
        /// An API key was made.
        KeyMade = "key.made",
        /// An API key was deleted.
        KeyDeleted = "key.deleted",
        /// A second factor counts from now on.
        FactorSet = "factor.set",
        /// A second factor was removed.
        FactorRemoved = "factor.removed",
    }
}

/// Who does something, and from where.
#[derive(Debug, Clone)]
pub struct By {
    actor: String,
    origin: String,
}

impl By {
    /// A command on the service's own machine.
    pub fn command() -> Self {
        Self { actor: "command".to_owned(), origin: "command".to_owned() }
    }

    /// An account that has just proved itself.
    pub fn account(account: AccountId, client: ClientAddress) -> Self {
        Self { actor: account.to_string(), origin: client.0.to_string() }
    }

    /// Writes down what was done to the thing with the id `subject`. Call it at the end of the
    /// transaction that does it.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn did(
        &self,
        tx: &mut Tx<'_>,
        deed: Deed,
        subject: &str,
        at: Timestamp,
    ) -> Result<(), DbError> {
        self.did_with(tx, (deed, "done"), subject, at).await
    }

    /// As [`By::did`], with another outcome than that it was done.
    ///
    /// # Errors
    ///
    /// What the database answers.
    pub async fn did_with(
        &self,
        tx: &mut Tx<'_>,
        (deed, outcome): (Deed, &str),
        subject: &str,
        at: Timestamp,
    ) -> Result<(), DbError> {
        let (actor, origin) = (self.actor.as_str(), self.origin.as_str());
        append(tx, Record { actor, action: deed.as_str(), subject, origin, outcome }, at).await
    }
}

/// The caller of a request, `anyone` on routes that ask for no credential.
impl<S: Sync> Extract<S> for By {
    fn describe(_: &mut Operation) {}

    async fn extract(request: &mut Request, _: &S) -> Result<Self, Problem> {
        let caller = request.parts.extensions.get::<Caller>();
        let actor = caller.map_or_else(|| "anyone".to_owned(), Caller::to_string);
        Ok(Self { actor, origin: request.client().0.to_string() })
    }
}

/// Refused sign-ins since they were last written down, by reason; a clone counts into the same.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<[(AtomicU64, std::sync::OnceLock<&'static str>); REASONS]>);

/// Most reasons that are told apart.
const REASONS: usize = 8;

impl Refusals {
    /// Counts one.
    pub fn count(&self, reason: &'static str) {
        let place = self.0.iter().find(|(_, word)| *word.get_or_init(|| reason) == reason);
        if let Some((count, _)) = place {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes down how many there were, if there were any.
    pub async fn write_down(&self, db: &Db, clock: &dyn Clock) {
        let counted: Vec<_> = self
            .0
            .iter()
            .filter_map(|(count, word)| Some((word.get()?, count.swap(0, Ordering::Relaxed))))
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{word}={count}"))
            .collect();
        if counted.is_empty() {
            return;
        }
        let (outcome, now) = (counted.join(","), clock.now());
        let write = async move |tx: &mut Tx<'_>| -> Result<(), DbError> {
            let by = By { actor: "system".to_owned(), origin: "system".to_owned() };
            by.did_with(tx, (Deed::SessionsRefused, &outcome), "", now).await
        };
        if let Err(error) = db.write(write).await {
            tracing::warn!(%error, "refused sign-ins could not be written down");
        }
    }
}
