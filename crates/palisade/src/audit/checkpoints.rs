//! Signing where the log stands, from time to time while the service runs, and at its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::store::{self, Checkpoint};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeyRing, Purpose, Signer};
use crate::db::{Db, DbError, Tx};

const PURPOSE: Purpose = Purpose::new("audit checkpoints");

crate::settings! {
    /// The audit log.
    pub struct AuditSection in "audit" {
        /// How often its newest record is signed, if there is a new one. What lies behind the last
        /// signature can be cut off by whoever can write to the database.
        pub checkpoint_every: Duration = Duration::from_secs(60),
            in Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
    }
}

/// Signs checkpoints, and knows signed ones again; a clone is the same.
#[derive(Debug, Clone)]
pub struct Signing(Signer);

impl Signing {
    /// Signs with a key of its own from `ring`, and knows what the previous one signed.
    pub fn new(ring: &KeyRing) -> Self {
        Self(ring.signer(PURPOSE))
    }

    fn sign(&self, number: i64, hash: String, at: Timestamp) -> Checkpoint {
        let signature = self.0.sign(text(number, &hash).as_bytes());
        Checkpoint { number, hash, at, signature }
    }

    /// Tells whether the checkpoint was signed with one of the keys, for just that record.
    pub(super) fn knows(&self, checkpoint: &Checkpoint) -> bool {
        let signed = self.0.verify(&checkpoint.signature);
        signed.as_deref() == Some(text(checkpoint.number, &checkpoint.hash).as_bytes())
    }
}

fn text(number: i64, hash: &str) -> String {
    format!("{number} {hash}")
}

/// Signs the newest record, unless that was done with a key that is known; returns what is new.
async fn sign_newest(
    db: &Db,
    signing: Signing,
    now: Timestamp,
) -> Result<Option<Checkpoint>, DbError> {
    let sign = async move |tx: &mut Tx<'_>| -> Result<Option<Checkpoint>, DbError> {
        let head = store::head(tx).await?;
        let last = store::last_checkpoint(tx).await?;
        let is_signed = last.is_some_and(|last| last.number == head.number && signing.knows(&last));
        if head.number == 0 || is_signed {
            return Ok(None);
        }
        let checkpoint = signing.sign(head.number, head.hash, now);
        store::put_checkpoint(tx, &checkpoint).await?;
        Ok(Some(checkpoint))
    };
    db.write(sign).await
}

/// What signs while the service runs; made by [`Checkpoints::start`], ended by [`Checkpoints::stop`].
#[derive(Debug)]
pub struct Checkpoints {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins to sign: at once, then as often as `section` says. What `before` does is done before each
    /// signature, such as writing down what was only counted.
    pub fn start<F: Future<Output = ()> + Send>(
        (db, clock): (Db, Arc<dyn Clock>),
        signing: Signing,
        section: &AuditSection,
        before: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let every = section.checkpoint_every;
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                before().await;
                tell(sign_newest(&db, signing.clone(), clock.now()).await);
                tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    _ = &mut stopped => break,
                }
            }
            before().await;
            tell(sign_newest(&db, signing, clock.now()).await);
        });
        Self { stop, task }
    }

    /// Signs a last time, and ends.
    pub async fn stop(self) {
        // An error says that the task has ended before.
        self.stop.send(()).ok();
        drop(self.task.await);
    }
}

fn tell(signed: Result<Option<Checkpoint>, DbError>) {
    match signed {
        Ok(Some(Checkpoint { number, hash, signature, .. })) => {
            tracing::info!(audit.number = number, audit.hash = %hash, audit.signature = %signature,
                "audit checkpoint");
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the audit log could not be signed"),
    }
}
