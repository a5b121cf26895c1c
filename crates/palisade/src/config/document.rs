//! The layers as text: TOML with its lines, and the variables, matched with the known keys.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bounds;
use super::mistake::{Mistake, Origin, Place, Wrong};
use super::nearest::nearest;
use super::reader::Entry;
use super::{Environment, Raw, SectionOutline, quoted};
use crate::secret::redacted;

/// Names under which secrets are known everywhere, with or without a section.
const SECRET_NAMES: [&str; 5] =
    ["database_url", "api_key", "secret_key", "api_key_previous", "secret_key_previous"];

/// Most broken lines that are told: beyond that it is another kind of file.
const MOST_BROKEN: usize = 1000;

/// Most characters of an unknown name that a message repeats: what is longer may be a secret.
const MOST_SHOWN: usize = 40;
/// What is repeated of a longer one.
const SHOWN_OF_LONG: usize = 12;

/// Parts of a name that only a secret has.
const SECRET_PARTS: [&str; 7] =
    ["secret", "password", "passphrase", "api_key", "private_key", "token", "credential"];

/// What a layer says: values of known keys, and what is wrong with the rest.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Reads `text` as TOML; `path` is only named in messages.
pub(super) fn read_toml(path: &Path, text: &str, outline: &[SectionOutline]) -> Layer {
    let mut document = Document { path, lines: Lines::of(text), outline, layer: Layer::default() };
    if let Err((at, wrong)) = bounds::check(text) {
        document.complain(document.lines.at(at), wrong);
        return document.layer;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    document.take_sections(table.get_ref());
    let mut broken = BTreeMap::new();
    for error in &errors {
        let line = document.lines.at(error.span().map_or(text.len(), |span| span.start));
        broken.entry(line).or_insert_with(|| error.message());
    }
    document.forget_what_is_unsure(text, &broken);
    for (line, message) in broken.into_iter().take(MOST_BROKEN) {
        document.complain(line, Wrong::Syntax(message.to_owned()));
    }
    document.layer
}

/// Reads the variables that start with `prefix` and two underscores.
pub(super) fn read_variables(
    prefix: &str,
    environment: &Environment,
    outline: &[SectionOutline],
) -> Layer {
    let prefix = format!("{prefix}__");
    let known: Vec<(String, &'static str, &'static str)> = outline
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| (section.name, key.name)))
        .map(|(section, key)| (format!("{prefix}{section}__{key}").to_uppercase(), section, key))
        .collect();
    let mut layer = Layer::default();
    for name in environment.names_with_prefix(&prefix) {
        let origin = Origin::Environment { name: shown_name(&name) };
        let setting = known.iter().find(|(known_name, ..)| *known_name == name);
        match (setting, environment.text(&name)) {
            (Some((_, section, key)), Ok(Some(text))) => {
                let raw = Raw::Variable(text.to_owned());
                layer.entries.push(Entry { section, key, raw, origin });
            }
            (Some(_), Err(_)) => layer.mistakes.push(Mistake::at(origin, Wrong::NotUtf8)),
            (Some(_), Ok(None)) => {}
            (None, _) => {
                let wrong = unknown_variable(&name, &prefix, outline);
                layer.mistakes.push(Mistake::at(origin, wrong));
            }
        }
    }
    layer
}

fn unknown_variable(name: &str, prefix: &str, outline: &[SectionOutline]) -> Wrong {
    let setting = name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
    let (section, key) = setting.split_once("__").unwrap_or_else(|| halves(&setting, outline));
    let nearest = nearest_setting(section, key, outline);
    match secret_name(section, key, nearest.is_some()) {
        Some(secret) => Wrong::SecretHere { key: shown_name(name), name: secret },
        None => {
            let written = |(section, key)| format!("{prefix}{section}__{key}").to_uppercase();
            Wrong::UnknownVariable { nearest: nearest.map(written) }
        }
    }
}

/// Parts what was written with one `_` where two belong, if it begins with a section.
fn halves<'a>(setting: &'a str, outline: &[SectionOutline]) -> (&'a str, &'a str) {
    let parted = outline.iter().find_map(|section| {
        let key = setting.strip_prefix(section.name)?.strip_prefix('_')?;
        setting.split_at_checked(section.name.len()).map(|(section, _)| (section, key))
    });
    parted.unwrap_or(("", setting))
}

/// Returns the section and the key that were probably meant. Each is compared by itself: of whole
/// variables most letters are the same anyway.
fn nearest_setting<'a>(
    section: &str,
    key: &str,
    outline: &'a [SectionOutline],
) -> Option<(&'a str, &'a str)> {
    let meant = nearest(section, outline.iter().map(|section| section.name));
    let in_section =
        outline.iter().find(|section| Some(section.name) == meant).and_then(|section| {
            let key = nearest(key, section.keys.iter().map(|key| key.name))?;
            Some((section.name, key))
        });
    // A key of that very name in another section, or one that is written without its section.
    in_section.or_else(|| {
        let has_key =
            |section: &&SectionOutline| section.keys.iter().any(|known| known.name == key);
        let section = outline.iter().find(has_key)?;
        let key = section.keys.iter().find(|known| known.name == key)?;
        Some((section.name, key.name))
    })
}

/// Returns the variable that a secret would be given as, if this unknown key looks like one.
fn secret_name(section: &str, key: &str, resembles_a_setting: bool) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let joined = format!("{}_{key}", section.to_lowercase());
    for candidate in [&key, &joined] {
        if SECRET_NAMES.contains(&candidate.as_str()) {
            return Some(candidate.to_uppercase());
        }
    }
    let looks_secret = SECRET_PARTS.iter().any(|part| key.contains(part));
    let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (looks_secret && is_name && !resembles_a_setting).then(|| key.to_uppercase())
}

/// A TOML document while its sections are taken out.
struct Document<'a> {
    path: &'a Path,
    lines: Lines,
    outline: &'a [SectionOutline],
    layer: Layer,
}

impl Document<'_> {
    /// Keeps what a broken document surely says: nothing of a broken line, and nothing that
    /// follows a broken section header, because it is not known where that belongs.
    fn forget_what_is_unsure(&mut self, text: &str, broken: &BTreeMap<usize, &str>) {
        let headers =
            (1..).zip(text.lines()).filter(|(_, line)| line.trim_start().starts_with('['));
        let broken_header = headers.map(|(line, _)| line).find(|line| broken.contains_key(line));
        let is_sure = |origin: &Origin| match origin {
            Origin::File { line, .. } => {
                !broken.contains_key(line) && broken_header.is_none_or(|header| *line < header)
            }
            Origin::Default | Origin::Environment { .. } => true,
        };
        self.layer.entries.retain(|entry| is_sure(&entry.origin));
        self.layer.mistakes.retain(|mistake| match &mistake.place {
            Place::At(origin) => is_sure(origin),
            Place::File(_) | Place::Secret(_) | Place::Settings => true,
        });
    }

    fn take_sections(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = self.lines.at(name.span().start);
            let name = name.get_ref().as_ref();
            let known = self.outline.iter().find(|section| section.name == name);
            match (known, value.get_ref()) {
                (Some(section), DeValue::Table(keys)) => self.take_keys(section, keys),
                (None, DeValue::Table(keys)) => self.refuse_section(name, line, keys),
                (Some(section), _) => {
                    self.complain(line, Wrong::NotASection { section: section.name });
                }
                (None, DeValue::Array(all)) if all.iter().any(is_table) => {
                    let keys = all.iter().find_map(|one| one.get_ref().as_table());
                    self.refuse_section(name, line, keys.unwrap_or(&DeTable::new()));
                }
                (None, _) => self.refuse_outside(name, line),
            }
        }
    }

    fn take_keys(&mut self, section: &SectionOutline, keys: &DeTable<'_>) {
        for (name, value) in keys {
            let line = self.lines.at(name.span().start);
            let name = name.get_ref().as_ref();
            match section.keys.iter().find(|key| key.name == name) {
                Some(key) => {
                    let raw = raw(value);
                    let origin = self.origin(line);
                    let (section, key) = (section.name, key.name);
                    self.layer.entries.push(Entry { section, key, raw, origin });
                }
                None => self.refuse_key(section, name, line),
            }
        }
    }

    fn refuse_key(&mut self, section: &SectionOutline, name: &str, line: usize) {
        let near = nearest(name, section.keys.iter().map(|key| key.name)).map(str::to_owned);
        if let Some(secret) = secret_name(section.name, name, near.is_some()) {
            let key = format!("{}.{}", section.name, shown_name(name));
            return self.complain(line, Wrong::SecretHere { key, name: secret });
        }
        let nearest = near.or_else(|| self.sections_with(name));
        let (section, key) = (section.name.to_owned(), shown_name(name));
        self.complain(line, Wrong::UnknownKey { section, key, nearest });
    }

    /// Refuses a section as a whole, but still says where the secrets in it belong.
    fn refuse_section(&mut self, name: &str, line: usize, keys: &DeTable<'_>) {
        let near = nearest(name, self.outline.iter().map(|section| section.name));
        let (section, nearest) = (shown_name(name), near.map(str::to_owned));
        self.complain(line, Wrong::UnknownSection { section, nearest });
        for (key, _) in keys {
            let line = self.lines.at(key.span().start);
            if let Some(secret) = secret_name(name, key.get_ref(), near.is_some()) {
                let key = format!("{}.{}", shown_name(name), shown_name(key.get_ref()));
                self.complain(line, Wrong::SecretHere { key, name: secret });
            }
        }
    }

    fn refuse_outside(&mut self, name: &str, line: usize) {
        let nearest = self.sections_with(name);
        let key = shown_name(name);
        let wrong = match secret_name("", name, nearest.is_some()) {
            Some(secret) => Wrong::SecretHere { key, name: secret },
            None => Wrong::OutsideSection { key, nearest },
        };
        self.complain(line, wrong);
    }

    /// Returns `[section] key` where a key of that very name is known.
    fn sections_with(&self, name: &str) -> Option<String> {
        let has_key = |section: &&SectionOutline| section.keys.iter().any(|key| key.name == name);
        self.outline.iter().find(has_key).map(|section| format!("[{}] {name}", section.name))
    }

    fn complain(&mut self, line: usize, wrong: Wrong) {
        let mistake = Mistake::at(self.origin(line), wrong);
        self.layer.mistakes.push(mistake);
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), line }
    }
}

fn is_table(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_))
}

/// Returns a name as a message can show it: short, and without anything that upsets a terminal.
fn shown_name(name: &str) -> String {
    // Before it is cut: nobody knows half a secret again.
    let name = &*redacted(name);
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_long = name.chars().count() > MOST_SHOWN;
    if !is_long && !name.is_empty() && name.bytes().all(is_bare) {
        return name.to_owned();
    }
    match is_long {
        true => quoted(&format!("{}…", name.chars().take(SHOWN_OF_LONG).collect::<String>())),
        false => quoted(name),
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_newlines).collect())
    }

    /// Returns the line, from 1, that the byte `offset` is on.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// Lets go of the spans. An array in an array is nothing a setting accepts, so this never recurses.
pub(super) fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::Array(elements) => Raw::List(elements.iter().map(scalar).collect()),
        _ => scalar(value),
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Other("an integer beyond all bounds".to_owned()), Raw::Integer),
        DeValue::Boolean(truth) => Raw::Boolean(*truth),
        DeValue::Float(number) => Raw::Other(format!("the fraction {}", number.as_str())),
        DeValue::Datetime(moment) => Raw::Other(format!("the date or time {moment}")),
        DeValue::Array(_) => Raw::Other("an array in an array".to_owned()),
        DeValue::Table(_) => Raw::Other("a table".to_owned()),
    }
}
