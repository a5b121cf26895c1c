//! TLS: certificate and key from files, read again while the service runs.
//!
//! TLS 1.3 and 1.2 only, with the suites that rustls considers safe and AWS-LC computes. Clients
//! may choose HTTP/2 or HTTP/1.1 (ALPN). A file that is wrong is named together with what is
//! wrong in it, before the service serves with it: a broken renewal never replaces what works.
//!
//! It leaves out client certificates, and where certificates come from: [`super::self_signed`]
//! makes one for trying things out, an ACME client or a company's own authority the real ones.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;

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

/// Why TLS cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be opened or read, or is larger than 1 MiB.
    #[error("cannot read {}: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        #[source]
        cause: std::io::Error,
    },
    /// A file of a new certificate cannot be written.
    #[error("cannot write {}: {cause}", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        #[source]
        cause: std::io::Error,
    },
    /// Others than the owner have access to the private key.
    #[error(
        "{file} is a private key that others have access to (mode {mode:04o}): chmod 600 {file}",
        file = file.display()
    )]
    SharedKey {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds broken PEM, or PEM of something else.
    #[error("{} holds no {expected} in PEM: {cause}", file.display())]
    NotPem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What the reader says.
        #[source]
        cause: pem::Error,
    },
    /// The content of the file is of no use for TLS.
    #[error("cannot use {}: {cause}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What rustls says.
        #[source]
        cause: rustls::Error,
    },
    /// Each file is fine, and they do not belong together.
    #[error("{} is not the key of the certificate {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No certificate can be made.
    #[error("cannot make a certificate: {0}")]
    Unmade(#[from] rcgen::Error),
}

impl TlsFiles {
    /// Reads and checks both files.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and in which file.
    pub fn load(&self) -> Result<ServerConfig, TlsError> {
        let chain = self.chain()?;
        let key = self.private_key()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|cause| self.blame(cause))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let file = &self.certificate;
        let not_pem =
            |cause| TlsError::NotPem { file: file.clone(), expected: "certificate", cause };
        let text = open(file).and_then(|opened| read(file, opened))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.expose()).collect();
        match chain.map_err(not_pem)? {
            chain if chain.is_empty() => Err(not_pem(pem::Error::NoItemsFound)),
            chain => Ok(chain),
        }
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

/// What new connections are accepted with; it can be replaced while old ones go on.
pub struct TlsAcceptorSource {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl TlsAcceptorSource {
    /// Loads `files` for the first time.
    ///
    /// # Errors
    ///
    /// Those of [`TlsFiles::load`].
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(files.load()?);
        Ok(Self { files, current })
    }

    /// Returns the acceptor for the next connection; ask again for each.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again; connections that are open keep what they began with.
    ///
    /// It reads files, so call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Those of [`TlsFiles::load`]; new connections then still get the old certificate.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(self.files.load()?));
        Ok(())
    }
}

impl fmt::Debug for TlsAcceptorSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsAcceptorSource").field("files", &self.files).finish_non_exhaustive()
    }
}

fn open(file: &Path) -> Result<File, TlsError> {
    File::open(file).map_err(|cause| unreadable(file, cause))
}

/// Reads a whole file into memory that is wiped afterwards.
fn read(file: &Path, mut opened: File) -> Result<Secret<Vec<u8>>, TlsError> {
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
#[path = "tls_tests.rs"]
mod tests;
