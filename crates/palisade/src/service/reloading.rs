//! SIGHUP: the one place that receives it, and what is read again then.
//!
//! The settings are read as a whole, and with any mistake in them nothing changes. The certificate
//! is looked at whatever became of the settings. What was changed, what stays until a restart and
//! what is wrong goes to the log; `/ready` says in its detail what is not as the files say.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use crate::clock::{Clock, SystemClock};
use crate::config::{Change, Mistake, Mistakes, Reloader};
use crate::http::health::Notices;
use crate::telemetry::metrics::{Counters, Gauge, MetricError, Metrics};

crate::label! {
    /// What became of the settings that were read again.
    enum Outcome in "outcome" {
        /// All of them are in force.
        Applied = "applied",
        /// Those that can change while the service runs are in force, others differ.
        NeedsRestart = "needs_restart",
        /// There was a mistake, and nothing was changed.
        Refused = "refused",
    }
}

/// What a running service does when it is asked to read its files again.
#[derive(Debug)]
pub struct Reloading {
    reloader: Reloader,
    notices: Notices,
    outcomes: Counters<Outcome>,
    last_success: Gauge,
}

impl Reloading {
    /// Reads the settings by `reloader`, and posts to `notices` what is not as they say.
    ///
    /// # Errors
    ///
    /// `metrics` counts reloads already.
    pub fn new(
        reloader: Reloader,
        notices: Notices,
        metrics: &Metrics,
    ) -> Result<Self, MetricError> {
        let outcomes = metrics.counters(
            "palisade_settings_reloads_total",
            "Times that the settings were read again, by what became of them.",
            &[],
        )?;
        let last_success = metrics.gauge(
            "palisade_settings_last_success_timestamp_seconds",
            "When the settings were last read without a mistake.",
            &[],
        )?;
        let reloading = Self { reloader, notices, outcomes, last_success };
        // They were read without one right before the start.
        reloading.note_success();
        Ok(reloading)
    }

    /// Returns where notices are posted.
    pub(super) fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// Reads the settings again at each `hangup`, and passes it on as `asked`, until it is aborted.
    pub(super) async fn follow(self, mut hangup: Signal, asked: Arc<Notify>) {
        while hangup.recv().await.is_some() {
            asked.notify_one();
            let reloader = self.reloader.clone();
            match tokio::task::spawn_blocking(move || read_and_apply(&reloader)).await {
                Ok(Ok(read)) => self.note_read(&read),
                Ok(Err(mistakes)) => self.note_refusal(&mistakes),
                Err(error) => tracing::error!(%error, "the settings could not be read again"),
            }
        }
    }

    fn note_success(&self) {
        self.last_success.set(SystemClock.now().as_millis().div_euclid(1000));
    }

    fn note_read(&self, Read { changed, need_restart }: &Read) {
        self.note_success();
        self.notices.clear(SETTINGS);
        if need_restart.is_empty() {
            self.outcomes.add(Outcome::Applied, 1);
            self.notices.clear(RESTART);
        } else {
            self.outcomes.add(Outcome::NeedsRestart, 1);
            let keys = need_restart.iter().map(name);
            let sentence = format!(
                "A restart is needed for a change of {}. Run the check before it: accounts, and what \
                 is in files, are judged at a start only.",
                listed(keys)
            );
            self.notices.post(RESTART, &sentence);
        }
        for Change { section, key, old, new, origin } in need_restart {
            tracing::warn!(section, key, %old, %new, %origin, "a changed setting needs a restart");
        }
        let waiting = need_restart.len();
        tracing::info!(changed, waiting, "the settings were read again");
    }

    fn note_refusal(&self, mistakes: &Mistakes) {
        self.outcomes.add(Outcome::Refused, 1);
        let places = mistakes.all().iter().map(|mistake| mistake.place.to_string());
        let sentence = format!(
            "The settings were read again and refused, so the old ones are in force, and the \
             service would not start again; the log says what is wrong at {}.",
            listed(places)
        );
        self.notices.post(SETTINGS, &sentence);
        // What the files said before is gone, and a restart is the last thing to be asked for now.
        self.notices.clear(RESTART);
        for Mistake { place, wrong: error } in mistakes.all().iter().take(MOST_IN_THE_LOG) {
            tracing::error!(%place, %error, "a setting is wrong");
        }
        let mistakes = mistakes.all().len();
        tracing::error!(mistakes, "the settings stay as they were");
    }
}

const SETTINGS: &str = "settings";
const RESTART: &str = "restart";
/// Most names in a notice; the log has all of them.
const MOST_IN_A_NOTICE: usize = 8;
/// Most mistakes that go to the log one by one.
const MOST_IN_THE_LOG: usize = 100;

/// What came of settings without a mistake.
struct Read {
    changed: usize,
    need_restart: Vec<Change>,
}

/// Reads the settings and puts them in force.
fn read_and_apply(reloader: &Reloader) -> Result<Read, Mistakes> {
    let reread = reloader.read()?;
    let (changes, need_restart) = (reread.changes().to_vec(), reread.need_restart().to_vec());
    // The log's own level may be among the changes: they are told while it lets them through.
    let is_heard_before = tracing::enabled!(tracing::Level::INFO);
    if is_heard_before {
        tell(&changes);
    }
    reread.apply();
    if !is_heard_before {
        tell(&changes);
    }
    Ok(Read { changed: changes.len(), need_restart })
}

fn tell(changes: &[Change]) {
    for Change { section, key, old, new, origin } in changes {
        tracing::info!(section, key, %old, %new, %origin, "a setting was changed");
    }
}

fn name(change: &Change) -> String {
    format!("{}.{}", change.section, change.key)
}

/// Returns the first names, and how many more there are.
fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_IN_A_NOTICE);
    let first = names.take(MOST_IN_A_NOTICE).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
