//! The secret that covers every stored password hash and is not where the hashes are.

use super::phc::{KeyName, PasswordHash};
use super::sealing::{SealError, open_with, seal_with};
use crate::secret::Secret;

/// Bytes of what can be covered: as many as a hash of this library has.
const COVERED: usize = 32;

/// The peppers of the present key and of the one before it; made by
/// [`KeyRing::peppers`](super::KeyRing::peppers).
///
/// What argon2 computes is stored sealed: AES-256-GCM-SIV (RFC 8452) with a random nonce, for its own salt.
/// With a copy of the database alone nobody can try a single password. The name of the key stands in the
/// hash. A seal can be replaced without the password, so a rotation locks nobody out, whenever they sign in
/// again: [`Peppers::renew`].
///
/// The nonce is what keeps renewing harmless. Were the cover made from the salt, whoever can write to the
/// database could have a text of their choice covered for somebody else's salt, and take that cover off
/// the hash of that other account.
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

/// What argon2 has computed cannot be had: its key is not here, or somebody changed the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Uncoverable {
    /// Neither key has the name.
    #[error(
        "it was made with a SECRET_KEY that is neither the present nor the previous one: its account \
         cannot sign in until the password is reset"
    )]
    UnknownKey,
    /// The key is here, and has not sealed this.
    #[error("somebody changed it: its account cannot sign in until the password is reset")]
    Damaged,
}

impl Peppers {
    /// Returns `hash` under the present key, if it is under none or the previous one; `None` if it is as
    /// it should be, or cannot be brought there.
    pub fn renew(&self, hash: &PasswordHash) -> Option<PasswordHash> {
        if hash.key == self.name() {
            return None;
        }
        let bare = self.uncovered(hash).ok()?;
        let output = bare.expose().clone();
        let covered = self.covered(PasswordHash { output, key: None, ..hash.clone() }).ok()?;
        (covered.key == self.name()).then_some(covered)
    }

    /// Puts a bare hash under the present key, if there is one.
    pub(super) fn covered(&self, hash: PasswordHash) -> Result<PasswordHash, SealError> {
        match &self.current {
            Some(pepper) if hash.output.len() == COVERED => {
                let output = seal_with(&pepper.key, &hash.salt, &hash.output)?;
                Ok(PasswordHash { output, key: Some(pepper.name), ..hash })
            }
            _ => Ok(hash),
        }
    }

    /// Returns what argon2 has computed.
    pub(super) fn uncovered(&self, hash: &PasswordHash) -> Result<Secret<Vec<u8>>, Uncoverable> {
        let Some(name) = hash.key else { return Ok(Secret::new(hash.output.clone())) };
        let mut known = [&self.current, &self.previous].into_iter().flatten();
        let pepper = known.find(|pepper| pepper.name == name).ok_or(Uncoverable::UnknownKey)?;
        open_with(&pepper.key, &hash.salt, &hash.output).ok_or(Uncoverable::Damaged)
    }

    /// Returns what the present key is called.
    pub(super) fn name(&self) -> Option<KeyName> {
        self.current.as_ref().map(|pepper| pepper.name)
    }
}
