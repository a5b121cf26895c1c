//! Cryptography: every key, token and password hash of a service is made and checked here.
//!
//! This is the only module that names a cipher or a hash, save for the key type of certificates
//! in [`crate::http`]. What is in use, and why:
//!
//! | for | what | where |
//! | --- | --- | --- |
//! | keys for one purpose | HKDF-SHA256 (RFC 5869) from one key ring | [`KeyRing`] |
//! | text that comes back unchanged | HMAC-SHA256, whole tags | [`Signer`] |
//! | bearer tokens | 256 random bits, stored as SHA-256 | [`Token`] |
//! | what is found again and never read back | HMAC-SHA256, whole tags | [`Fingerprints`] |
//! | secrets that are read again | AES-256-GCM-SIV (RFC 8452) | [`Sealer`] |
//! | codes of authenticator apps | TOTP (RFC 6238) | [`TotpSecret`] |
//! | people in the log | 64 bits of HMAC-SHA256 | [`Pseudonyms`] |
//! | passwords | argon2id (RFC 9106), bounded workers | [`Hasher`] |
//!
//! It leaves out who may do what: that is [`crate::auth`].

mod common_passwords;
mod fingerprints;
mod hasher;
mod hashing_watch;
mod hkdf;
mod keys;
mod passwords;
mod pepper;
mod phc;
mod pseudonyms;
mod sealing;
mod tokens;
mod totp;

pub use fingerprints::Fingerprints;
pub use hasher::{HashError, HashSettings, Hasher, PasswordsSection, Verdict, WeakParameters};
pub use keys::{KeyRing, Purpose, Signer, WeakKey};
pub use passwords::{GivenPassword, Password};
pub use pepper::Peppers;
pub use phc::{CorruptHash, PasswordHash};
pub use pseudonyms::{Pseudonym, Pseudonyms};
pub use sealing::{SealError, Sealer};
pub use tokens::{Token, TokenHash, TokenKind};
pub use totp::TotpSecret;

/// Returns the SHA-256 of `bytes`: to notice that a public text was changed, never for passwords.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// The SHA-256 of what comes in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningDigest(sha2::Sha256);

impl RunningDigest {
    /// Adds the next piece.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        use sha2::Digest;
        self.0.update(piece);
    }

    /// Returns the digest of all pieces.
    pub(crate) fn finish(self) -> [u8; 32] {
        use sha2::Digest;
        self.0.finalize().into()
    }
}

/// Returns `N` bytes from the operating system's source of randomness.
///
/// ```
/// assert_ne!(palisade::crypto::random_bytes::<16>(), palisade::crypto::random_bytes::<16>());
/// ```
///
/// # Panics
///
/// Never in practice: only if the operating system has no random source.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness nothing here is safe to go on")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Where systems keep the authorities that they trust: Debian and Alpine, Fedora, openSUSE, others.
pub(crate) const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
