//! What an operator should know although the service is ready: `/ready` shows it until it is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most characters of one notice: enough for a dozen names.
const MOST_CHARACTERS: usize = 800;

/// Notices by topic, each topic with one at a time; clones are the same board.
///
/// A notice is for whoever can reach the admin listener. It names settings and files, and never
/// repeats what stands there.
///
/// ```
/// use palisade::http::health::Notices;
///
/// let notices = Notices::default();
/// notices.post("certificate", "The old certificate stays.");
/// assert_eq!(notices.text().as_deref(), Some("The old certificate stays."));
/// notices.clear("certificate");
/// assert_eq!(notices.text(), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Notices {
    /// Posts a sentence in the place of the topic's last one; it is cut after 800 characters.
    pub fn post(&self, topic: &'static str, sentence: &str) {
        let mut shown: String = sentence.chars().take(MOST_CHARACTERS).collect();
        if shown.len() < sentence.len() {
            shown.push('…');
        }
        self.lock().insert(topic, shown);
    }

    /// Takes the topic's notice down.
    pub fn clear(&self, topic: &'static str) {
        self.lock().remove(topic);
    }

    /// Returns all notices, one behind the other; `None` if there are none.
    pub fn text(&self) -> Option<String> {
        let notices = self.lock();
        let sentences: Vec<&str> = notices.values().map(String::as_str).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_bounded_and_each_topic_has_one() {
        let notices = Notices::default();

        notices.post("settings", &"ä".repeat(100_000));
        notices.post("settings", &"ö".repeat(100_000));

        let text = notices.text().unwrap();
        assert_eq!(text, format!("{}…", "ö".repeat(MOST_CHARACTERS)));
    }
}
