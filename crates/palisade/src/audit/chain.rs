//! The hash that chains a record to the one before it.

use data_encoding::HEXLOWER;

use super::Entry;
use crate::crypto::digest;

/// Returns the hash of `entry` behind a record with the hash `before`, as 64 hexadecimal digits.
///
/// Each field is preceded by its length, so that no two different records are written alike.
pub(super) fn hash(before: &str, entry: &Entry) -> String {
    let Entry { number, at, actor, action, subject, origin, outcome, .. } = entry;
    let (number, at) = (number.to_string(), at.as_millis().to_string());
    let fields: [&str; 8] = [before, &number, &at, actor, action, subject, origin, outcome];
    let mut text = b"palisade audit v1".to_vec();
    for field in fields {
        text.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        text.extend_from_slice(field.as_bytes());
    }
    HEXLOWER.encode(&digest(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;

    fn entry((number, at): (i64, i64), texts: [String; 5]) -> Entry {
        let [actor, action, subject, origin, outcome] = texts;
        let (at, hash) = (Timestamp::from_millis(at), String::new());
        Entry { number, at, actor, action, subject, origin, outcome, hash }
    }

    proptest! {
        #[test]
        fn no_two_records_have_one_hash(
            one in (0..3_i64, 0..3_i64), other in (0..3_i64, 0..3_i64),
            // Few letters, so that they often only differ in where one text ends.
            texts in proptest::array::uniform5("[ab]{0,3}"),
            others in proptest::array::uniform5("[ab]{0,3}"),
        ) {
            let is_same = one == other && texts == others;
            let hashes = [hash("", &entry(one, texts)), hash("", &entry(other, others))];
            prop_assert_eq!(hashes[0] == hashes[1], is_same);
        }
    }

    #[test]
    fn the_hash_is_known() {
        let texts = ["api_key", "account.disabled", "01", "192.0.2.1", "done"].map(str::to_owned);
        let first = hash("", &entry((1, 1_700_000_000_000), texts.clone()));
        // What a program of an auditor's own gets, here twelve lines of Python.
        assert_eq!(first, "0a61df42044a9a91f86af04bd5c8d82eda1c0e3be5759e722b92de52b461de2a");
        assert_ne!(first, hash(&first, &entry((1, 1_700_000_000_000), texts)));
    }
}
