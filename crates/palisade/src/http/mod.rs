//! To come.

mod self_signed;
mod tls;

pub use self_signed::self_signed;
pub use tls::{TlsAcceptorSource, TlsError, TlsFiles};
