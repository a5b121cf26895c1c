//! What can be wrong with a certificate and its key, said so that it can be mended.

use std::path::PathBuf;

use rustls::pki_types::pem;

use super::words::{said, said_of_pem};

/// Why TLS cannot be served with these files.
///
/// What other libraries say is told in plain words here, so it is a field to match on and no `source`
/// that would be printed behind them.
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
    /// The private key can be read only with a passphrase.
    #[error(
        "{file} is an encrypted private key, and nobody is there to type its passphrase when the \
         service starts: `(umask 077; openssl pkey -in {file} -out NEW)` writes it without, and \
         tls.key then names NEW",
        file = file.display()
    )]
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// The file holds broken PEM, or PEM of something else.
    #[error("{} holds no {expected} in PEM: {}", file.display(), said_of_pem(cause))]
    NotPem {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What the reader says.
        cause: pem::Error,
    },
    /// The content of the file is of no use for TLS.
    #[error("cannot use {}: {}", file.display(), said(cause))]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What rustls says.
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
    /// TLS itself cannot be set up, whatever the files hold.
    #[error("cannot set up TLS: {}", said(.0))]
    Setup(rustls::Error),
    /// No certificate can be made.
    #[error("cannot make a certificate: {0}")]
    Unmade(#[from] rcgen::Error),
}
