//! What can be wrong with a certificate and its key, said so that it can be mended.

use std::path::PathBuf;

use rustls::pki_types::pem;

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
    /// TLS itself cannot be set up, whatever the files hold.
    #[error("cannot set up TLS: {0}")]
    Setup(#[source] rustls::Error),
    /// No certificate can be made.
    #[error("cannot make a certificate: {0}")]
    Unmade(#[from] rcgen::Error),
}
