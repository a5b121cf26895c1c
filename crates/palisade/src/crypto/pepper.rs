//! The secret that goes into every password hash and is not where the hashes are.

use super::phc::KeyName;
use crate::secret::Secret;

/// The peppers of the present key and of the one before it; made by
/// [`KeyRing::peppers`](super::KeyRing::peppers).
///
/// A pepper is the secret value of argon2 (RFC 9106, section 3.1): with a copy of the database alone nobody can
/// try a single password. The name of its key stands in the hash, so that a rotation locks nobody out:
/// each hash is brought to the new key at the next sign-in.
#[derive(Debug, Clone, Default)]
pub struct Peppers {
    pub(super) current: Option<Pepper>,
    pub(super) previous: Option<Pepper>,
}

/// One pepper, and what its key is called.
#[derive(Debug, Clone)]
pub(super) struct Pepper {
    pub(super) name: KeyName,
    pub(super) key: Secret<[u8; 32]>,
}

/// The pepper of a hash is not here.
pub(super) struct UnknownPepper;

impl Peppers {
    /// Returns the pepper that a hash with the key `name` was made with, if it was made with one.
    pub(super) fn find(&self, name: Option<KeyName>) -> Result<Option<&Pepper>, UnknownPepper> {
        let Some(name) = name else { return Ok(None) };
        let known = [&self.current, &self.previous].into_iter().flatten();
        known.into_iter().find(|pepper| pepper.name == name).map(Some).ok_or(UnknownPepper)
    }

    /// Returns what the key is called that new hashes are made with.
    pub(super) fn name(&self) -> Option<KeyName> {
        self.current.as_ref().map(|pepper| pepper.name)
    }
}
