//! What is stored of a password: the argon2id output with everything needed to compute it again.
//!
//! The form is the PHC string `$argon2id$v=19$m=19456,t=2,p=1,keyid=NAME$salt$output`, read strictly,
//! so that one hash has one text; without `keyid` no pepper covers the output. The parameters are bounded while reading: whoever can write a row
//! must not be able to make one sign-in cost all the memory or an hour.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;

const PREFIX: &str = "$argon2id$v=19$";

/// The largest cost that is computed, for a stored hash as for new ones: 256 MiB.
pub(super) const MOST_MEMORY_KIB: u32 = 256 * 1024;
/// The most passes over the memory.
pub(super) const MOST_ITERATIONS: u32 = 10;
/// The most lanes.
pub(super) const MOST_PARALLELISM: u32 = 4;

/// What a key is called: it tells which one was used, and nothing of it.
pub(super) type KeyName = [u8; 8];

/// What a hash costs to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) iterations: u32,
    pub(super) parallelism: u32,
}

impl Cost {
    /// Returns whether argon2 can compute this, and this service is willing to.
    pub(super) fn is_allowed(self) -> bool {
        let parallelism = 1..=MOST_PARALLELISM;
        parallelism.contains(&self.parallelism)
            && (1..=MOST_ITERATIONS).contains(&self.iterations)
            && (8 * self.parallelism..=MOST_MEMORY_KIB).contains(&self.memory_kib)
    }

    /// Returns argon2id, version 19, with this cost.
    pub(super) fn argon2(self, output: usize) -> argon2::Result<Argon2<'static>> {
        let Self { memory_kib, iterations, parallelism } = self;
        let params = Params::new(memory_kib, iterations, parallelism, Some(output))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// A stored text is not the hash of a password, or one that costs too much to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored password hash is not one that this service writes")]
pub struct CorruptHash;

/// The argon2id hash of a password.
///
/// ```
/// use palisade::crypto::PasswordHash;
///
/// let text = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA\
///             $MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
/// let hash = PasswordHash::parse(text)?;
/// assert_eq!(hash.expose(), text);
/// assert!(PasswordHash::parse(&text.replace("m=19456", "m=4194304")).is_err());
/// # Ok::<(), palisade::crypto::CorruptHash>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    pub(super) cost: Cost,
    /// What the key is called whose pepper covers the output, if one does.
    pub(super) key: Option<KeyName>,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl PasswordHash {
    /// Reads what [`PasswordHash::expose`] wrote.
    ///
    /// Hashes of other programs are read too if they are argon2id, version 19, and cost at most
    /// 256 MiB, 10 passes and 4 lanes, with a salt of 8 to 64 bytes and an output of 16 to 64.
    ///
    /// # Errors
    ///
    /// Everything else.
    pub fn parse(text: &str) -> Result<Self, CorruptHash> {
        read(text).ok_or(CorruptHash)
    }

    /// Returns the text to store; it is no secret like a password, and still nothing to show.
    pub fn expose(&self) -> String {
        let Cost { memory_kib, iterations, parallelism } = self.cost;
        let (salt, output) = (BASE64_NOPAD.encode(&self.salt), BASE64_NOPAD.encode(&self.output));
        let key = self.key.map(|name| format!(",keyid={}", BASE64_NOPAD.encode(&name)));
        let key = key.unwrap_or_default();
        format!("{PREFIX}m={memory_kib},t={iterations},p={parallelism}{key}${salt}${output}")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash([redacted])")
    }
}

fn read(text: &str) -> Option<PasswordHash> {
    let mut parts = text.strip_prefix(PREFIX)?.split('$');
    let (cost, salt, output) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = cost.split(',');
    let cost = Cost {
        memory_kib: number(costs.next()?, "m=")?,
        iterations: number(costs.next()?, "t=")?,
        parallelism: number(costs.next()?, "p=")?,
    };
    let key = match costs.next() {
        Some(named) => Some(key_name(named.strip_prefix("keyid=")?)?),
        None => None,
    };
    let is_whole = parts.next().is_none() && costs.next().is_none();
    (is_whole && cost.is_allowed()).then_some(PasswordHash {
        cost,
        key,
        salt: bytes(salt, 8)?,
        output: bytes(output, 16)?,
    })
}

/// Reads a name and a decimal number without leading zeros.
fn number(text: &str, name: &str) -> Option<u32> {
    let digits = text.strip_prefix(name)?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn key_name(text: &str) -> Option<KeyName> {
    (text.len() < 16).then(|| BASE64_NOPAD.decode(text.as_bytes()).ok())??.try_into().ok()
}

fn bytes(text: &str, least: usize) -> Option<Vec<u8>> {
    const MOST: usize = 64;
    if text.len() > MOST * 2 {
        return None;
    }
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok()?;
    (least..=MOST).contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SALT: &str = "c29tZXNhbHQ";
    const OUTPUT: &str = "MDEyMzQ1Njc4OWFiY2RlZg";

    fn is_read(text: &str) -> bool {
        PasswordHash::parse(text).is_ok()
    }

    #[test]
    fn a_hash_that_would_cost_too_much_is_refused() {
        for (cost, is_fine) in [
            ("m=262144,t=10,p=4", true),
            ("m=262145,t=1,p=1", false),
            ("m=8,t=1,p=1", true),
            ("m=8,t=11,p=1", false),
            ("m=8,t=0,p=1", false),
            ("m=64,t=1,p=5", false),
            ("m=8,t=1,p=0", false),
            ("m=31,t=1,p=4", false),
            ("m=4294967295,t=4294967295,p=16777215", false),
            ("m=99999999999,t=1,p=1", false),
        ] {
            let text = format!("$argon2id$v=19${cost}${SALT}${OUTPUT}");
            assert_eq!(is_read(&text), is_fine, "{text}");
        }
    }

    #[test]
    fn a_text_of_another_form_is_refused() {
        let good = format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${OUTPUT}");
        assert!(is_read(&good));
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "argon2d"),
            ("v=19", "v=16"),
            ("v=19$", ""),
            ("m=64", "m=064"),
            ("m=64", "m=+64"),
            ("m=64,t=1", "t=1,m=64"),
            ("p=1", "p=1,keyid=AA"),
            ("p=1", "p=1,keyid="),
            ("p=1", "p=1,key=AAAAAAAAAAA"),
            ("p=1", "p=1,keyid=AAAAAAAAAAB"),
            ("p=1", "p=1,keyid=AAAAAAAAAAA,keyid=AAAAAAAAAAA"),
            ("p=1", "keyid=AAAAAAAAAAA,p=1"),
            ("p=1", "p=1,"),
            (SALT, ""),
            (SALT, "c29tZXM"),
            (SALT, "c29tZXNhbHQ="),
            (SALT, "c29tZXNhbHR"),
            (OUTPUT, ""),
            (OUTPUT, "MDEyMzQ1Njc4OWFiY2Rl"),
            (OUTPUT, "MDEyMzQ1Njc4OWFiY2RlZh"),
        ] {
            assert!(!is_read(&good.replace(from, to)), "{from} -> {to}");
        }
        for text in [String::new(), format!("{good}$"), format!(" {good}"), format!("{good}\n")] {
            assert!(!is_read(&text), "{text:?}");
        }
        let long = BASE64_NOPAD.encode(&[0; 65]);
        assert!(!is_read(&good.replace(SALT, &long)) && !is_read(&good.replace(OUTPUT, &long)));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back_the_same(
            memory_kib in 32..=MOST_MEMORY_KIB,
            iterations in 1..=MOST_ITERATIONS,
            parallelism in 1..=MOST_PARALLELISM,
            key: Option<KeyName>,
            salt in vec(any::<u8>(), 8..=64),
            output in vec(any::<u8>(), 16..=64),
        ) {
            let cost = Cost { memory_kib, iterations, parallelism };
            let hash = PasswordHash { cost, key, salt, output };
            prop_assert_eq!(PasswordHash::parse(&hash.expose()), Ok(hash));
        }
    }
}
