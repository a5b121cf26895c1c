//! The task that keeps the certificate fresh, and says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::{TlsAcceptorSource, TlsError};
use crate::clock::{Clock, Timestamp};
use crate::http::health::Notices;

/// Time between two looks at the files. A change is served after two looks that agree, so within
/// 4 seconds; a look costs two system calls.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Time between two reminders that the certificate ends.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The topic of the notice that the files cannot be used.
const CERTIFICATE: &str = "certificate";

impl TlsAcceptorSource {
    /// Reads the files again when they have changed and whenever it is `asked` to, until it is
    /// aborted.
    ///
    /// A broken file is logged and refused, and the old certificate stays, which is posted to
    /// `notices` for as long as it is so. A certificate that
    /// [ends soon](super::Validity::ends_soon) is logged at the start and once a day.
    pub async fn keep_fresh(
        self: Arc<Self>,
        asked: Arc<Notify>,
        notices: Notices,
        clock: impl Clock,
    ) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminder = Reminder::default();
        loop {
            let is_asked = tokio::select! {
                // A request or a tick that comes while the other is taken stays for the next turn.
                () = asked.notified() => true,
                _ = looks.tick() => false,
            };
            let source = Arc::clone(&self);
            let outcome = tokio::task::spawn_blocking(move || {
                if is_asked { source.reload().map(|()| true) } else { source.reload_if_changed() }
            });
            match outcome.await {
                Ok(outcome) => self.tell(outcome, &notices),
                Err(error) => tracing::error!(%error, "the certificate could not be read again"),
            }
            reminder.remind(&self, clock.now());
        }
    }

    fn tell(&self, outcome: Result<bool, TlsError>, notices: &Notices) {
        match outcome {
            Ok(true) => {
                let not_after = self.validity().not_after;
                notices.clear(CERTIFICATE);
                tracing::info!(%not_after, "the certificate was read again");
            }
            Ok(false) => {}
            Err(error) => {
                let sentence = format!(
                    "The certificate stays as it was, because {} and {} cannot be used together; \
                     the log says why.",
                    self.files().certificate.display(),
                    self.files().key.display(),
                );
                notices.post(CERTIFICATE, &sentence);
                tracing::error!(%error, "the certificate stays as it was");
            }
        }
    }
}

/// Which end was told last, and when.
#[derive(Debug, Default)]
struct Reminder(Option<(Timestamp, Instant)>);

impl Reminder {
    fn remind(&mut self, source: &TlsAcceptorSource, now: Timestamp) {
        let validity = source.validity();
        let not_after = validity.not_after;
        let is_told =
            self.0.is_some_and(|(end, at)| end == not_after && at.elapsed() < REMIND_EVERY);
        if is_told || !validity.ends_soon(now) {
            return;
        }
        self.0 = Some((not_after, Instant::now()));
        if validity.has_ended(now) {
            tracing::error!(%not_after, "the certificate has ended: clients refuse it");
        } else {
            tracing::warn!(%not_after, "the certificate ends soon: renew it");
        }
    }
}
