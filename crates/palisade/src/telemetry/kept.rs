//! Which text fields are shown: a keep list, because nobody can list what must not be.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// Kept in every event. What stands in `error` is the text of an error, in which a library may
/// quote what it was given; secrets are taken out of it like everywhere.
const EVERYWHERE: [&str; 2] = ["error", "request_id"];

/// Kept in the events of this library, which knows what it puts there.
const LIBRARY: [&str; 24] = [
    "audit.hash",
    "audit.signature",
    "cause",
    "code",
    "component",
    "detail",
    "key",
    "location",
    "measure",
    "missing",
    "mode",
    "name",
    "new",
    "not_after",
    "old",
    "origin",
    "panic",
    "place",
    "remedy",
    "report",
    "section",
    "statement",
    "taken",
    "thread",
];

/// What the service has named. The log is the process's own, and so is this.
static NAMED: ArcSwapOption<Vec<&'static str>> = ArcSwapOption::const_empty();

/// Has the text fields with these names shown, in events of every crate.
///
/// Numbers and booleans are always shown. A text is shown if its field is on the list: `error`,
/// `request_id`, and what is named here. Any other text is `"[withheld]"`, so that a field that
/// somebody adds in haste does not carry a client's data into the log. Name what your service
/// makes itself: ids, fixed words, [pseudonyms](crate::crypto::Pseudonyms). Never name what a
/// client chose.
///
/// ```
/// palisade::telemetry::keep(&["order.id", "reason"]);
///
/// # let (id, reason, note) = ("01j9zk", "out_of_stock", "call me at 0123 456789");
/// tracing::info!(order.id = %id, reason, note, "an order was refused");
/// // {"timestamp":"...","level":"INFO","message":"an order was refused","order.id":"01j9zk",
/// //  "reason":"out_of_stock","note":"[withheld]","target":"shop"}
/// ```
pub fn keep(fields: &'static [&'static str]) {
    NAMED.rcu(|named| {
        let mut all = named.as_deref().cloned().unwrap_or_default();
        all.extend(fields.iter().filter(|field| !names(field, named.as_deref())));
        Some(Arc::new(all))
    });
}

/// Tells whether a text in `field` may be shown.
pub(super) fn is_kept(field: &str, is_library: bool) -> bool {
    EVERYWHERE.contains(&field)
        || (is_library && LIBRARY.contains(&field))
        || names(field, NAMED.load().as_deref())
}

fn names(field: &str, named: Option<&Vec<&'static str>>) -> bool {
    named.is_some_and(|named| named.contains(&field))
}
