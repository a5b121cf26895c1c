//! Certificate and key in two files: read, judged, and blamed by name.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, Validity};
use crate::secret::Secret;

/// The largest file that is read: a chain has a few KiB.
const MOST_BYTES: u64 = 1024 * 1024;

/// Where a certificate chain and its private key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The service's own certificate first, then those that lead to the root.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, SEC1 or PKCS#1); only its owner may have access to the file.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads both files and judges whether they can be served with.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and in which file.
    pub fn check(&self) -> Result<(), TlsError> {
        self.read().map(|_| ())
    }

    pub(super) fn read(&self) -> Result<Identity, TlsError> {
        let chain = read_chain(&self.certificate)?;
        let key = self.private_key()?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)
            .and_then(|certified| Ok((Validity::of(certified.end_entity_cert()?)?, certified)));
        let (validity, certified) = certified.map_err(|cause| self.blame(cause))?;
        Ok(Identity { certified: Arc::new(certified), validity })
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let file = &self.key;
        let opened = open(file)?;
        // The opened file is judged, not the path, which may lead elsewhere a moment later.
        let metadata = opened.metadata().map_err(|cause| unreadable(file, cause))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TlsError::SharedKey { file: file.clone(), mode });
        }
        let text = read(file, opened)?;
        if is_encrypted(text.expose()) {
            return Err(TlsError::EncryptedKey { file: file.clone() });
        }
        PrivateKeyDer::from_pem_slice(text.expose()).map_err(|cause| TlsError::NotPem {
            file: file.clone(),
            expected: "private key",
            cause,
        })
    }

    /// Says which file an error of rustls is about.
    fn blame(&self, cause: rustls::Error) -> TlsError {
        let is_about_certificate = matches!(cause, rustls::Error::InvalidCertificate(_));
        match cause {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            cause if is_about_certificate => {
                TlsError::Unusable { file: self.certificate.clone(), cause }
            }
            cause => TlsError::Unusable { file: self.key.clone(), cause },
        }
    }
}

/// Tells whether a key is encrypted: as PKCS#8 (RFC 7468, section 11), or as openssl did it before
/// (RFC 1421, section 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    let holds = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
    holds(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED")
}

/// A certificate and the key that signs for it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) validity: Validity,
}

impl Identity {
    /// Returns the chain; with the same one comes the same key, because they belong together.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

/// Reads the certificates of a PEM file, at least one; refuses a file that others may read and that
/// holds a private key as well.
pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let not_pem =
        |cause| TlsError::NotPem { file: file.to_owned(), expected: "certificate", cause };
    let opened = open(file)?;
    let mode = opened.metadata().map_err(|cause| unreadable(file, cause))?.permissions().mode();
    let text = read(file, opened)?;
    if mode & 0o077 != 0 && PrivateKeyDer::from_pem_slice(text.expose()).is_ok() {
        return Err(TlsError::SharedKey { file: file.to_owned(), mode: mode & 0o7777 });
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose()).collect();
    match chain.map_err(not_pem)? {
        chain if chain.is_empty() => Err(not_pem(pem::Error::NoItemsFound)),
        chain => Ok(chain),
    }
}

#[expect(clippy::as_conversions, reason = "a flag of the system, which fits")]
const NONBLOCKING: i32 = OFlags::NONBLOCK.bits() as i32;

pub(super) fn open(file: &Path) -> Result<File, TlsError> {
    // Without waiting for the other end of a pipe; what is opened is judged, not the path.
    let opened = OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(file);
    let opened = opened.map_err(|cause| unreadable(file, cause))?;
    match opened.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(opened),
        Ok(_) => Err(unreadable(file, std::io::Error::other("it is not a regular file"))),
        Err(cause) => Err(unreadable(file, cause)),
    }
}

/// Reads a whole file into memory that is wiped afterwards.
pub(super) fn read(file: &Path, mut opened: File) -> Result<Secret<Vec<u8>>, TlsError> {
    let size = opened.metadata().map_err(|cause| unreadable(file, cause))?.len();
    if size > MOST_BYTES {
        return Err(unreadable(file, std::io::ErrorKind::FileTooLarge.into()));
    }
    // Room for the whole file at once: growing would leave copies of a key behind.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    let outcome = opened.by_ref().take(MOST_BYTES).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    outcome.map(|_| bytes).map_err(|cause| unreadable(file, cause))
}

fn unreadable(file: &Path, cause: std::io::Error) -> TlsError {
    TlsError::Unreadable { file: file.to_owned(), cause }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
