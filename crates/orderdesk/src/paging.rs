//! Lists in pages: how many, and from where on.
//!
//! A cursor is the id of the last thing shown, signed together with the list it belongs to: one
//! that was changed, or brought to another list, another caller or another filter, is refused.

use std::num::NonZeroU32;

use palisade::crypto::{KeyRing, Purpose, Signer};
use palisade::http::{Page, Problem};
use palisade::id::Id;
use palisade::input::{FromText, Invalid, Schema, Violation, string_schema};
use palisade::query;
use serde_json::json;

const CURSORS: Purpose = Purpose::new("orderdesk list cursor");
const MOST: u32 = 200;
const USUAL: u32 = 50;

query! {
    /// Which part of a list.
    pub struct ListQuery {
        /// Most entries in the answer.
        pub limit: Option<Limit>,
        /// The `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

/// How many entries a page has at most: 1 to 200, 50 unless asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// Returns one more than the limit: whether there is one more tells whether there is a next
    /// page.
    pub fn with_one_more(self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl FromText for Limit {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let is_plain = raw.len() <= 3 && raw.bytes().all(|byte| byte.is_ascii_digit());
        let number = raw.parse().ok().filter(|number| is_plain && (1..=MOST).contains(number));
        number.map(Self).ok_or_else(|| Invalid::new("range", "Must be a number from 1 to 200."))
    }
}

impl Schema for Limit {
    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL})
    }
}

/// A cursor as a client brings it back.
#[derive(Debug)]
pub struct Cursor(String);

impl FromText for Cursor {
    fn from_text(raw: &str) -> Result<Self, Invalid> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if (1..=200).contains(&raw.len()) && raw.bytes().all(is_plain) {
            return Ok(Self(raw.to_owned()));
        }
        Err(not_ours())
    }
}

impl Schema for Cursor {
    fn schema() -> serde_json::Value {
        string_schema(1..=200, "^[A-Za-z0-9_-]+$")
    }
}

fn not_ours() -> Invalid {
    Invalid::new("cursor", "Must be the next_cursor of the same list with the same filters.")
}

/// Makes and reads cursors.
#[derive(Debug, Clone)]
pub struct Cursors(Signer);

impl Cursors {
    /// Signs with a key of its own from `ring`.
    pub fn new(ring: &KeyRing) -> Self {
        Self(ring.signer(CURSORS))
    }

    /// Returns the cursors of one list; `name` says which, with its caller and its filters.
    pub fn list(&self, name: &str) -> List<'_> {
        List { signer: &self.0, name: name.to_owned() }
    }
}

/// The cursors of one list.
#[derive(Debug)]
pub struct List<'a> {
    signer: &'a Signer,
    name: String,
}

impl List<'_> {
    /// Returns the id that the page starts behind.
    ///
    /// # Errors
    ///
    /// 400 `invalid_query` for a cursor that is not one of this list.
    pub fn open<T>(&self, cursor: Option<&Cursor>) -> Result<Option<Id<T>>, Problem> {
        let Some(Cursor(text)) = cursor else { return Ok(None) };
        let payload = self.signer.verify_for(&self.name, text);
        let id = payload.and_then(|bytes| Id::parse(std::str::from_utf8(&bytes).ok()?));
        let refusal = || {
            let Invalid { code, detail } = not_ours();
            Problem::invalid_query(vec![Violation { pointer: "/cursor".into(), code, detail }])
        };
        id.map(Some).ok_or_else(refusal)
    }

    /// Cuts `found`, which may have one entry more than `limit`, to a page.
    pub fn page<T, I>(&self, mut found: Vec<T>, limit: Limit, id: impl Fn(&T) -> Id<I>) -> Page<T> {
        let most = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let has_more = found.len() > most;
        found.truncate(most);
        let last = found.last().filter(|_| has_more);
        let next_cursor =
            last.map(|entry| self.signer.sign_for(&self.name, id(entry).to_string().as_bytes()));
        Page { items: found, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use palisade::clock::Timestamp;
    use palisade::secret::Secret;

    use super::*;

    enum Thing {}

    fn cursors(key: u8) -> Cursors {
        let key = Secret::new((0..32).map(|byte| byte ^ key).collect::<Vec<u8>>());
        Cursors::new(&KeyRing::new(&key, None).unwrap())
    }

    fn ids(count: i64) -> Vec<Id<Thing>> {
        (0..count).map(|at| Id::new_at(Timestamp::from_millis(at))).collect()
    }

    #[test]
    fn a_cursor_leads_on_from_the_last_entry_of_its_list() {
        let cursors = cursors(1);
        let found = ids(4);

        let page = cursors.list("things").page(found.clone(), Limit(3), |id| *id);

        assert_eq!(page.items, found[..3]);
        let cursor = Cursor(page.next_cursor.unwrap());
        assert_eq!(cursors.list("things").open(Some(&cursor)).unwrap(), Some(found[2]));
        let last = cursors.list("things").page(ids(3), Limit(3), |id| *id);
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn a_cursor_that_was_changed_or_belongs_elsewhere_is_refused() {
        let text = cursors(1).list("a").page(ids(2), Limit(1), |id| *id).next_cursor.unwrap();
        let is_refused = |cursors: Cursors, list: &str, text: &str| {
            cursors.list(list).open::<Thing>(Some(&Cursor(text.to_owned()))).is_err()
        };

        assert!(!is_refused(cursors(1), "a", &text));
        assert!(is_refused(cursors(1), "b", &text), "another list");
        assert!(is_refused(cursors(2), "a", &text), "another service's key");
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(is_refused(cursors(1), "a", &changed), "changed at {place}");
        }
    }

    #[test]
    fn a_limit_is_a_plain_number_from_1_to_200() {
        for good in ["1", "50", "200", "007"] {
            assert!(Limit::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "0", "201", "-1", "+1", "1.0", "1e2", " 1", "0001", "99999999999999999999"]
        {
            assert!(Limit::from_text(bad).is_err(), "{bad}");
        }
    }
}
