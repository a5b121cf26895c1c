//! TLS: certificate and key from files, read again whenever they change.
//!
//! TLS 1.3 and 1.2 only, with the suites that rustls considers safe and AWS-LC computes. Clients
//! may choose HTTP/2 or HTTP/1.1 (ALPN). A file that is wrong is named together with what is
//! wrong in it, before the service serves with it: a broken renewal never replaces what works.
//!
//! It leaves out client certificates, and where certificates come from: [`super::self_signed()`]
//! makes one for trying things out, an ACME client or a company's own authority the real ones.

mod acceptor;
mod chain;
mod der;
mod error;
mod extensions;
mod files;
mod renewal;
mod validity;
mod watch;
mod words;

pub use acceptor::TlsAcceptorSource;
pub use chain::{Chain, Roots};
pub use error::TlsError;
pub use files::TlsFiles;
pub use validity::Validity;
