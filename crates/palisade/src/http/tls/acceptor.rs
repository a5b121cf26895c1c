//! What new connections are accepted with; it is replaced while old ones go on.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

use super::files::Identity;
use super::watch::{Look, Watch};
use super::{TlsError, TlsFiles, Validity};
use crate::http::TlsVersion;

/// The certificate and key of a listener, from files that may be replaced at any time.
pub struct TlsAcceptorSource {
    files: TlsFiles,
    oldest: TlsVersion,
    present: ArcSwap<Present>,
    watch: Mutex<Watch>,
    failed_reloads: AtomicU64,
}

struct Present {
    identity: Identity,
    config: Arc<ServerConfig>,
}

impl TlsAcceptorSource {
    /// Loads `files` for the first time; clients with a version before `oldest` are refused.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and in which file.
    pub fn open(files: TlsFiles, oldest: TlsVersion) -> Result<Self, TlsError> {
        let watch = Watch::begin(Look::at(&files));
        let present = Present::of(files.read()?, oldest)?;
        Ok(Self {
            files,
            oldest,
            present: ArcSwap::from_pointee(present),
            watch: Mutex::new(watch),
            failed_reloads: AtomicU64::new(0),
        })
    }

    /// Returns the acceptor for the next connection; ask again for each.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.present.load().config))
    }

    /// Returns from when and until when the present certificate is good.
    pub fn validity(&self) -> Validity {
        self.present.load().identity.validity
    }

    /// Returns the files.
    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Returns how many reloads have failed since the start; a fault that lasts counts once.
    pub fn failed_reloads(&self) -> u64 {
        self.failed_reloads.load(Ordering::Relaxed)
    }

    /// Reads the files again; connections that are open keep what they began with.
    ///
    /// It reads files, so call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong; new connections then still get the old certificate.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut watch = self.watch();
        let now = Look::at(&self.files);
        match self.take_over() {
            Ok(_) => {
                watch.is_mended(now);
                Ok(())
            }
            Err(error) => {
                watch.is_news(now, &error);
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Reads the files again if they differ from what is served and from one call to the next
    /// stayed as they are; returns whether there is something new to tell.
    ///
    /// While they are broken, each call tries again. It reads files, so call it where blocking is
    /// allowed.
    ///
    /// # Errors
    ///
    /// What is wrong, once for each state of the files and kind of fault, so that a renewal that
    /// stays half done does not fill the log; new connections then still get the old certificate.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let mut watch = self.watch();
        let now = Look::at(&self.files);
        if !watch.is_due(&now) {
            return Ok(watch.is_back(&now));
        }
        match self.take_over() {
            Ok(is_replaced) => Ok(watch.is_mended(now) || is_replaced),
            Err(error) if watch.is_news(now, &error) => {
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
            Err(_) => Ok(false),
        }
    }

    /// Serves what the files hold; returns whether that is another certificate.
    fn take_over(&self) -> Result<bool, TlsError> {
        let identity = self.files.read()?;
        if identity.chain() == self.present.load().identity.chain() {
            return Ok(false);
        }
        self.present.store(Arc::new(Present::of(identity, self.oldest)?));
        Ok(true)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TlsAcceptorSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsAcceptorSource").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Present {
    fn of(identity: Identity, oldest: TlsVersion) -> Result<Self, TlsError> {
        let config = Arc::new(config(&identity, oldest).map_err(TlsError::Setup)?);
        Ok(Self { identity, config })
    }
}

/// Sessions that are remembered for clients of TLS 1.2 that take no tickets, the oldest forgotten
/// first: few clients are that old. It is what rustls has by default.
const SESSIONS: usize = 256;

fn config(identity: &Identity, oldest: TlsVersion) -> Result<ServerConfig, rustls::Error> {
    let versions = match oldest {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let resolver = SingleCertAndKey::from(Arc::clone(&identity.certified));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Its key is changed every 6 hours and forgotten after 12. Another certificate comes with
    // another ticketer: a session that is resumed over and over never sees a certificate again,
    // so it must not outlive the one it began with (RFC 8446, section 4.6.1).
    config.ticketer = Ticketer::new()?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // No data before the handshake is over: whoever recorded it could send it again. rustls would
    // not allow it with these tickets either.
    config.max_early_data_size = 0;
    Ok(config)
}

#[cfg(test)]
#[path = "acceptor_tests.rs"]
mod tests;
