//! TLS to the database: certificate and name are verified.

use std::error::Error;
use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use super::super::error::DbError;
use crate::crypto::SYSTEM_AUTHORITIES;

/// How every connection to one server is secured.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the authorities of `file`, or without one those of this system.
    pub(super) fn new(file: Option<&Path>) -> Result<Self, DbError> {
        let found = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|file| file.exists());
        let what = "no file of authorities is known on this system: name one by sslrootcert in \
                    DATABASE_URL";
        let file = file.or(found).ok_or(DbError::Open { what, source: None })?;
        let pem = fs::read(file)
            .map_err(|error| DbError::open("the file of its authorities cannot be read", error))?;
        let mut roots = RootCertStore::empty();
        // System bundles hold certificates that nobody can read any more.
        roots
            .add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        if roots.is_empty() {
            let what = "the file of its authorities, sslrootcert in DATABASE_URL, holds none";
            return Err(DbError::Open { what, source: None });
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| DbError::open("TLS cannot be set up", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Stream = Secured<S>;
    type TlsConnect = Named;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Named, Self::Error> {
        Ok(Named { connector: self.0.clone(), name: ServerName::try_from(domain)?.to_owned() })
    }
}

/// Says what is wrong between the server and the settings, if that is why TLS did not come about.
pub(super) fn advice(error: &tokio_postgres::Error) -> Option<&'static str> {
    let failed = error.source()?.downcast_ref::<io::Error>()?;
    let fault = failed.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match fault {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "nobody who is trusted vouches for its certificate: name who does by sslrootcert in \
                 DATABASE_URL"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than the host in DATABASE_URL"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not good at this time: renew it, or mend a clock"
            }
            _ => "its certificate is refused",
        },
        _ => "it speaks no TLS that is good enough",
    })
}

/// A connection that is about to be made to a server of this name.
pub(super) struct Named {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S> TlsConnect<S> for Named
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>>>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Secured) })
    }
}

/// A connection whose other end is who it should be.
pub(super) struct Secured<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    /// The certificate is verified against the name, which binds the sign-in to the server already.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
