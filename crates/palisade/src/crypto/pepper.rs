//! The secret that covers every stored password hash and is not where the hashes are.

use hmac::Mac;

use super::hkdf::hmac;
use super::phc::{KeyName, PasswordHash};
use crate::secret::Secret;

/// Bytes of what can be covered: as many as a hash of this library has.
const COVERED: usize = 32;

/// The peppers of the present key and of the one before it; made by
/// [`KeyRing::peppers`](super::KeyRing::peppers).
///
/// What argon2 computes is stored under a mask, which is made from the key and the hash's own salt: with a
/// copy of the database alone nobody can try a single password. The name of the key stands in the hash. A
/// mask can be replaced without the password, so a rotation locks nobody out, whenever they sign in
/// again: [`Peppers::renew`].
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownPepper;

impl Peppers {
    /// Returns `hash` under the present key, if it is under none or the previous one; `None` if it is as
    /// it should be, or cannot be brought there.
    pub fn renew(&self, hash: &PasswordHash) -> Option<PasswordHash> {
        if hash.key == self.name() {
            return None;
        }
        let bare = self.uncovered(hash).ok()?;
        let covered = self.covered(PasswordHash { output: bare, key: None, ..hash.clone() });
        (covered.key == self.name()).then_some(covered)
    }

    /// Puts a fresh hash under the present key, if there is one.
    pub(super) fn covered(&self, hash: PasswordHash) -> PasswordHash {
        match &self.current {
            Some(pepper) if hash.output.len() == COVERED => {
                let output = pepper.mask(&hash.salt, &hash.output);
                PasswordHash { output, key: Some(pepper.name), ..hash }
            }
            _ => hash,
        }
    }

    /// Returns what argon2 has computed.
    pub(super) fn uncovered(&self, hash: &PasswordHash) -> Result<Vec<u8>, UnknownPepper> {
        let Some(name) = hash.key else { return Ok(hash.output.clone()) };
        let mut known = [&self.current, &self.previous].into_iter().flatten();
        let pepper = known.find(|pepper| pepper.name == name).ok_or(UnknownPepper)?;
        match hash.output.len() {
            COVERED => Ok(pepper.mask(&hash.salt, &hash.output)),
            _ => Err(UnknownPepper),
        }
    }

    /// Returns what the present key is called.
    pub(super) fn name(&self) -> Option<KeyName> {
        self.current.as_ref().map(|pepper| pepper.name)
    }
}

impl Pepper {
    /// Puts the mask on `output`, or takes it off. Salts are random, so no mask is used twice.
    fn mask(&self, salt: &[u8], output: &[u8]) -> Vec<u8> {
        let mask = hmac(self.key.expose()).chain_update(salt).finalize().into_bytes();
        output.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
    }
}
