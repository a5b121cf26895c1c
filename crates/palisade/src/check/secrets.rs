//! Secrets while they are read: what is wrong with each, and with all of them together.
//!
//! The words of a finding name a secret and where it was found, and never hold any of it.

use super::{Finding, Rule};
use crate::config::{
    FileFault, FoundSecret, KeyMaterial, SecretError, SecretOrigin, Secrets, WeakKey,
};
use crate::db::DatabaseUrl;
use crate::secret::{LEAST_BYTES, Secret};

crate::rules! {
    /// Secrets.
    pub(super) RULES;

    /// Nobody gave it.
    MISSING = "PAL201", Error, Secrets, stops the start {
        title: "A secret is missing.",
        why: "Nothing is invented outside of development: a key that was made up at each start \
              would end every session, and one that is in the program would be everybody's.",
        mend: "Make one with `secret new` and give it as a file.",
    }
    /// Two sources have it.
    TWICE = "PAL202", Error, Secrets, stops the start {
        title: "A secret is given twice.",
        why: "Nobody can say which one is in force; after a rotation it may be the old one.",
        mend: "Remove one of the two sources.",
    }
    /// Its file cannot be read.
    UNREADABLE = "PAL203", Error, Secrets, stops the start {
        title: "The source of a secret cannot be read.",
        why: "The service cannot start without the secret, and does not look for another source \
              by itself.",
        mend: "Correct the path, and let the service's user read the file.",
    }
    /// Others can read or replace it.
    OPEN = "PAL204", Error, Secrets, stops the start {
        title: "The file of a secret, or the way to it, is open to others.",
        why: "It belongs to another user, or others can open it or turn a link that leads to it: \
              somebody else may have read or replaced it.",
        mend: "`chown` it to the service's user, `chmod 600` it, and replace the secret if \
               somebody may have read it.",
    }
    /// What is there cannot be a secret.
    NOT_A_TEXT = "PAL205", Error, Secrets, stops the start {
        title: "The source of a secret holds no secret.",
        why: "It is empty, too large or no text: a mount or a template that failed often looks \
              like this.",
        mend: "Write the secret there again, as one line of text.",
    }
    /// It is too short or not a key.
    MALFORMED = "PAL206", Error, Secrets, stops the start {
        title: "A key is too short, too long or not a key.",
        why: "A key has at least 32 random bytes, as base64url or hex; what is shorter can be \
              searched for.",
        mend: "Make one with `secret new`.",
    }
    /// It is what stood in an example.
    PLACEHOLDER = "PAL207", Error, Secrets, stops the start {
        title: "A key is a placeholder.",
        why: "It stands in an example somewhere, and is the first thing that is tried.",
        mend: "Make one with `secret new`.",
    }
    /// Somebody thought of it.
    GUESSABLE = "PAL208", Error, Secrets, stops the start {
        title: "A key can be guessed.",
        why: "It repeats itself, counts, or is text that somebody thought of: far fewer tries \
              than for random bytes.",
        mend: "Make one with `secret new`.",
    }
    /// One secret is used for two things.
    REUSED = "PAL209", Error, Secrets, stops the start {
        title: "Two secrets are the same.",
        why: "Who learns one has the other: a key that programs carry around would also be the \
              one that seals what is stored.",
        mend: "Make each with `secret new`.",
    }
    /// A rotation that changes nothing.
    SAME_AS_PREVIOUS = "PAL210", Warning, Secrets {
        title: "A key and its previous one are the same.",
        why: "The key was not rotated: what was to be replaced is still in force.",
        mend: "Make a new key with `secret new`, or remove the previous one.",
    }
    /// The environment shows it.
    IN_THE_ENVIRONMENT = "PAL211", Note, Secrets {
        title: "A secret is given as a variable.",
        why: "Variables are seen by whoever may look at the process, at a container's description \
              or at a unit, and are handed to child processes.",
        mend: "Give it as a file: `NAME_FILE`, or systemd's LoadCredential=.",
    }
    /// The log could not hide it.
    TOO_SHORT_TO_HIDE = "PAL212", Warning, Secrets {
        title: "A secret has fewer than 8 bytes.",
        why: "It can be searched for, and the log cannot recognise and hide it without hiding \
              innocent text.",
        mend: "Replace it by a longer one.",
    }
    /// The address of the database is not one.
    DATABASE_URL = "PAL213", Error, Secrets, stops the start {
        title: "The address of the database is not understood.",
        why: "What is not understood is refused: a part of it without effect could be the one \
              that was meant to protect.",
        mend: "Write sqlite:///absolute/path/to/file.db.",
    }
}

/// A key as it was written, and its bytes.
pub type Key = (Secret<String>, Secret<Vec<u8>>);

/// Reads secrets, and gathers what is wrong with them.
///
/// ```
/// use palisade::check::SecretReader;
/// use palisade::config::{Environment, Secrets};
///
/// let environment = Environment::from_pairs([("API_KEY", "changeme".repeat(8))]);
/// let mut reader = SecretReader::new(Secrets::of(&environment));
/// assert!(reader.key("API_KEY").is_none());
/// assert!(reader.key("SECRET_KEY").is_none());
/// assert!(reader.optional_key("API_KEY_PREVIOUS").is_none());
///
/// let (findings, _) = reader.finish();
/// let ids: Vec<_> = findings.iter().map(|finding| finding.rule().id).collect();
/// assert_eq!(ids, ["PAL211", "PAL207", "PAL201"]);
/// ```
#[derive(Debug)]
pub struct SecretReader {
    sources: Secrets,
    findings: Vec<Finding>,
    origins: Vec<(&'static str, SecretOrigin)>,
    /// What must differ from each other: what it is called, and the secret as it was written.
    seen: Vec<(String, Secret<String>)>,
}

impl SecretReader {
    /// Reads from `sources`.
    pub fn new(sources: Secrets) -> Self {
        Self { sources, findings: Vec::new(), origins: Vec::new(), seen: Vec::new() }
    }

    /// Reads a key that must be there.
    pub fn key(&mut self, name: &'static str) -> Option<Key> {
        let found = self.text(name)?;
        self.parse_key(name, found)
    }

    /// Reads a key that may be missing, such as the previous one after a rotation.
    pub fn optional_key(&mut self, name: &'static str) -> Option<Key> {
        let found = self.sources.find(name);
        let found = self.keep(found)??;
        let found = self.note(name, found);
        self.parse_key(name, found)
    }

    /// Reads the address of the database. A password in it is a secret of its own; without one the
    /// address may stand in the environment.
    pub fn database_url(&mut self, name: &'static str) -> Option<DatabaseUrl> {
        let found = match self.sources.require(name) {
            Err(missing @ SecretError::Missing(_)) => {
                let mend = "Give it as sqlite:///absolute/path/to/file.db.";
                self.findings.push(Finding::new(&MISSING, missing).mended_by(mend));
                return None;
            }
            found => found,
        };
        let FoundSecret { secret, origin } = self.keep(found)?;
        if let Some(password) = password_in(secret.expose()) {
            let called = format!("the password in {name}");
            self.judge_origin(name, &origin);
            self.judge_length(&called, &password);
            self.seen.push((called, password));
        }
        self.origins.push((name, origin));
        let refuse = |error| Finding::new(&DATABASE_URL, format_args!("{name}: {error}"));
        let parsed = DatabaseUrl::parse(secret.expose());
        parsed.map_err(|error| self.findings.push(refuse(error))).ok()
    }

    /// Reads a secret of any form that must be there.
    pub fn text(&mut self, name: &'static str) -> Option<Secret<String>> {
        let found = self.sources.require(name);
        let found = self.keep(found)?;
        Some(self.note(name, found))
    }

    /// Returns what was found, and where each secret came from.
    pub fn finish(mut self) -> (Vec<Finding>, Vec<(&'static str, SecretOrigin)>) {
        self.judge_reuse();
        (self.findings, self.origins)
    }

    fn keep<T>(&mut self, found: Result<T, SecretError>) -> Option<T> {
        found.map_err(|error| self.findings.push(refused(&error))).ok()
    }

    /// Takes note of a secret that was found.
    fn note(&mut self, name: &'static str, found: FoundSecret) -> Secret<String> {
        self.judge_origin(name, &found.origin);
        self.judge_length(name, &found.secret);
        self.origins.push((name, found.origin));
        self.seen.push((name.to_owned(), found.secret.clone()));
        found.secret
    }

    fn judge_origin(&mut self, name: &str, origin: &SecretOrigin) {
        if let SecretOrigin::Variable(variable) = origin {
            let what = format_args!("{name} comes from the variable {variable}");
            let mend = format_args!(
                "Write it to a file that only the service reads, and name that in {name}_FILE."
            );
            self.findings.push(Finding::new(&IN_THE_ENVIRONMENT, what).mended_by(mend));
        }
    }

    fn parse_key(&mut self, name: &'static str, text: Secret<String>) -> Option<Key> {
        match KeyMaterial::parse(&text) {
            Ok(bytes) => Some((text, bytes)),
            Err(weak) => {
                let what = format_args!("{name}: {weak}");
                self.findings.push(Finding::new(weak_key(weak), what));
                None
            }
        }
    }

    fn judge_length(&mut self, name: &str, secret: &Secret<String>) {
        if secret.expose().len() < LEAST_BYTES {
            let what = format_args!("{name} has fewer than {LEAST_BYTES} bytes");
            self.findings.push(Finding::new(&TOO_SHORT_TO_HIDE, what));
        }
    }

    /// Compares every two secrets, also those that mean the same bytes in another writing.
    fn judge_reuse(&mut self) {
        for (place, (name, secret)) in self.seen.iter().enumerate() {
            for (other, second) in self.seen.iter().skip(place + 1) {
                if !is_same(secret, second) {
                    continue;
                }
                let is_rotation = is_previous(name, other) || is_previous(other, name);
                let rule = if is_rotation { &SAME_AS_PREVIOUS } else { &REUSED };
                let what = format_args!("{name} and {other} are the same");
                self.findings.push(Finding::new(rule, what));
            }
        }
    }
}

/// Returns the password in an address such as `postgres://user:password@host/name`.
fn password_in(url: &str) -> Option<Secret<String>> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(Secret::new(password.to_owned()))
}

fn is_previous(name: &str, other: &str) -> bool {
    other.strip_suffix("_PREVIOUS") == Some(name)
}

fn is_same(left: &Secret<String>, right: &Secret<String>) -> bool {
    let bytes = |text| KeyMaterial::parse(text).ok();
    left.matches(right.expose().as_bytes())
        || bytes(left).zip(bytes(right)).is_some_and(|(left, right)| left.matches(right.expose()))
}

fn weak_key(weak: WeakKey) -> &'static Rule {
    match weak {
        WeakKey::Encoding | WeakKey::TooShort | WeakKey::TooLong => &MALFORMED,
        WeakKey::Placeholder => &PLACEHOLDER,
        WeakKey::Repetition | WeakKey::Sequence | WeakKey::Text | WeakKey::LowEntropy => &GUESSABLE,
    }
}

/// Numbers what the sources say. Their words name the secret, and hold the way to mend it.
fn refused(error: &SecretError) -> Finding {
    let rule = match error {
        SecretError::Missing(_) => &MISSING,
        SecretError::Twice { .. } => &TWICE,
        SecretError::Variable { .. } => &NOT_A_TEXT,
        SecretError::File { fault, .. } => match fault {
            FileFault::Owner { .. }
            | FileFault::Mode { .. }
            | FileFault::Link { .. }
            | FileFault::FolderOwner { .. }
            | FileFault::FolderMode { .. } => &OPEN,
            FileFault::Text(_) => &NOT_A_TEXT,
            FileFault::Unreadable(_) | FileFault::NotRegular | FileFault::Links => &UNREADABLE,
        },
        _ => &UNREADABLE,
    };
    Finding::new(rule, error)
}
