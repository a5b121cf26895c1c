//! Values for tests, made from the schemas that the service publishes.
//!
//! A schema that promises more than its type accepts fails here before a client finds out.

use proptest::prelude::*;
use proptest::string::string_regex;

/// Returns texts that match the `pattern` of `schema` and are no longer than its `maxLength`.
///
/// Anchors and negative look-aheads are taken out first: the generator does not know them. What
/// a look-ahead rules out is too long to come up by chance.
pub(crate) fn matching(schema: &serde_json::Value) -> impl Strategy<Value = String> + use<> {
    let pattern = schema["pattern"].as_str().unwrap();
    let inside = pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    let mut parts = inside.split("(?!");
    let mut plain = parts.next().unwrap().to_owned();
    for after in parts {
        plain.push_str(after.split_once(')').unwrap().1);
    }
    let most = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most.try_into().unwrap());
    let texts = string_regex(&plain).unwrap();
    texts.prop_filter("too long", move |text| text.chars().count() <= most)
}
