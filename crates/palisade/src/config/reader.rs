//! What the layers say while the sections take their keys, one by one.

use super::load::Shown;
use super::mistake::{Mistake, Origin, Wrong};
use super::value::{HIDDEN, may_hold_a_secret};
use super::{Field, FromSetting, Raw, Unfit, quoted};

/// One value of one layer, for a key that is known.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Hands out values, and gathers mistakes and what `config show` lists.
#[derive(Debug)]
pub struct Reader {
    /// In the order of the layers: what comes later wins.
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
    shown: Vec<Shown>,
}

impl Reader {
    pub(super) fn new(entries: Vec<Entry>, mistakes: Vec<Mistake>) -> Self {
        Self { entries, mistakes, shown: Vec::new() }
    }

    /// Reads a key from every layer; `None` if any layer is wrong, also one that does not win.
    pub fn take<T: FromSetting>(&mut self, section: &'static str, field: Field<T>) -> Option<T> {
        let key = field.name();
        let mut complaints = Vec::new();
        if let Err(unfit) = field.judge_default() {
            complaints.push((Origin::Default, unfit));
        }
        let mut last = None;
        for entry in
            self.entries.iter().filter(|entry| (entry.section, entry.key) == (section, key))
        {
            match field.judge(&entry.raw) {
                Ok(value) => last = Some((value, entry.origin.clone())),
                Err(unfit) => complaints.push((entry.origin.clone(), unfit)),
            }
        }
        if !complaints.is_empty() {
            let mistake =
                |(origin, unfit)| Mistake::at(origin, Wrong::Unfit { section, key, unfit });
            self.mistakes.extend(complaints.into_iter().map(mistake));
            return None;
        }
        let (value, origin) = last.unwrap_or_else(|| (field.into_default(), Origin::Default));
        let text = value.to_toml();
        let text = if may_hold_a_secret(&text) { quoted(HIDDEN) } else { text };
        self.shown.push(Shown { section, key, value: text, origin });
        Some(value)
    }

    /// Records that the value of a key does not go together with others; `expected` is what
    /// would, to follow the word "expected".
    pub fn refuse(&mut self, section: &'static str, key: &'static str, expected: &str) {
        self.refuse_beside(section, key, key, expected);
    }

    /// As [`refuse`](Self::refuse), because of what the key `demanding` of the same section is: the
    /// place of the mistake is where that was said, if nobody said anything about `key`.
    pub fn refuse_beside(
        &mut self,
        section: &'static str,
        key: &'static str,
        demanding: &'static str,
        expected: &str,
    ) {
        let of = |key| {
            let mut all = self.shown.iter();
            all.find(|shown| (shown.section, shown.key) == (section, key))
        };
        let said = of(key).filter(|shown| shown.origin != Origin::Default);
        let place = said.or_else(|| of(demanding));
        let origin = place.map_or(Origin::Default, |shown| shown.origin.clone());
        let found = match (said, of(key)) {
            (Some(said), _) => said.value.clone(),
            (None, Some(default)) if default.value != quoted("") => {
                format!("the default {}", default.value)
            }
            (None, _) => "nothing".to_owned(),
        };
        let unfit = Unfit::new(expected, &found);
        self.mistakes.push(Mistake::at(origin, Wrong::Unfit { section, key, unfit }));
    }

    pub(super) fn into_parts(self) -> (Vec<Mistake>, Vec<Shown>) {
        (self.mistakes, self.shown)
    }
}
