//! A certificate chain as others see it: whom it names, who vouches for it, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::der::{Facts, Key, facts};
use super::files::{open, read, read_chain};
use super::words::said;
use super::{TlsError, Validity};
use crate::clock::Timestamp;
use crate::crypto::SYSTEM_AUTHORITIES;

/// A server's own certificate and those that lead to the root.
///
/// ```
/// use palisade::clock::{Clock, SystemClock};
/// use palisade::http::{Chain, self_signed};
///
/// let folder = tempfile::tempdir()?;
/// let files = self_signed(folder.path(), SystemClock.now())?;
/// let chain = Chain::from_file(&files.certificate)?;
/// assert!(chain.covers("localhost").is_ok());
/// assert_eq!(chain.covers("example.org").unwrap_err().len(), 3, "three names are presented");
/// assert!(chain.is_self_signed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// Reads the certificates of a PEM file of at most 1 MiB.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn from_file(file: &Path) -> Result<Self, TlsError> {
        read_chain(file).map(Self)
    }

    /// Takes certificates in DER, the server's own first.
    pub fn from_der(certificates: Vec<Vec<u8>>) -> Self {
        Self(certificates.into_iter().map(CertificateDer::from).collect())
    }

    /// Returns how many certificates there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns from when and until when each certificate is good, as far as it can be read.
    pub fn validities(&self) -> Vec<Option<Validity>> {
        self.0.iter().map(|certificate| Validity::of(certificate).ok()).collect()
    }

    /// Tells whether the server's certificate is good for `host`, a name or an address.
    ///
    /// # Errors
    ///
    /// The names and addresses that it is good for, as people write them; there may be none.
    pub fn covers(&self, host: &str) -> Result<(), Vec<String>> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let parsed = self.0.first().and_then(|own| ParsedCertificate::try_from(own).ok());
        let name = ServerName::try_from(host).ok();
        let is_covered = parsed
            .zip(name)
            .is_some_and(|(parsed, name)| verify_server_name(&parsed, &name).is_ok());
        if is_covered { Ok(()) } else { Err(self.names()) }
    }

    fn names(&self) -> Vec<String> {
        self.facts().next().flatten().map(|own| own.extensions.names).unwrap_or_default()
    }

    /// Tells whether the server's certificate was issued by itself.
    pub fn is_self_signed(&self) -> bool {
        let own = self.facts().next().flatten();
        own.is_some_and(|own| own.issuer == own.subject)
    }

    /// Returns the place, from 1, of the first certificate that the one behind it did not issue.
    pub fn first_gap(&self) -> Option<usize> {
        let behind = self.facts().skip(1);
        let fits = |(one, next): (Option<Facts<'_>>, Option<Facts<'_>>)| {
            one.zip(next).is_some_and(|(one, next)| one.issuer == next.subject)
        };
        self.facts().zip(behind).position(|pair| !fits(pair)).map(|place| place + 1)
    }

    /// Says why clients refuse the key of the server's certificate, if they do.
    pub fn weak_key(&self) -> Option<String> {
        match self.facts().next().flatten()?.key {
            Key::Rsa(bits @ ..2048) => Some(format!("an RSA key of {bits} bits")),
            Key::OtherCurve => Some("a key on a curve that few clients speak".to_owned()),
            Key::Other => Some("a key that is neither RSA, ECDSA nor Ed25519".to_owned()),
            Key::Rsa(_) | Key::KnownCurve => None,
        }
    }

    /// Returns the place, from 1, of the first certificate that says for what it may be used and
    /// leaves servers out (RFC 5280, section 4.2.1.12); clients look at all of them but the root's.
    pub fn first_not_for_servers(&self) -> Option<usize> {
        self.judged().find(|(_, facts)| facts.extensions.leaves_servers_out).map(|(place, _)| place)
    }

    /// Returns the place, from 1, of the first certificate whose signature is over a digest that
    /// can be forged, and which digest that is. The root's own signature is not looked at: nobody
    /// verifies it.
    pub fn first_weak_digest(&self) -> Option<(usize, &'static str)> {
        self.judged().find_map(|(place, facts)| Some((place, facts.weak_digest?)))
    }

    /// Returns the certificates that clients judge, each with its place from 1: the server's own,
    /// and of the others those that were not issued by themselves.
    fn judged(&self) -> impl Iterator<Item = (usize, Facts<'_>)> {
        let all = (1..).zip(self.facts());
        all.filter_map(|(place, facts)| Some((place, facts?)))
            .filter(|(place, facts)| *place == 1 || facts.issuer != facts.subject)
    }

    /// Tells whether one of `roots` vouches for the server's certificate at `now`, as clients
    /// decide it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn verify(&self, roots: &Roots, now: Timestamp) -> Result<(), String> {
        let Some((own, others)) = self.0.split_first() else {
            return Err("there is no certificate".to_owned());
        };
        let algorithms = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = algorithms.signature_verification_algorithms.all;
        let since = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since);
        ParsedCertificate::try_from(own)
            .and_then(|own| {
                verify_server_cert_signed_by_trust_anchor(&own, &roots.0, others, now, algorithms)
            })
            .map_err(|error| said(&error))
    }

    fn facts(&self) -> impl Iterator<Item = Option<Facts<'_>>> {
        self.0.iter().map(|certificate| facts(certificate))
    }
}

/// Authorities whose certificates are trusted.
#[derive(Debug, Clone)]
pub struct Roots(RootCertStore);

impl Roots {
    /// Reads the certificates of a PEM file of at most 1 MiB; those that are no authority's are
    /// taken too, so that a server's own certificate can be trusted by itself.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or holds none.
    pub fn from_file(file: &Path) -> Result<Self, TlsError> {
        let text = open(file).and_then(|opened| read(file, opened))?;
        let mut roots = RootCertStore::empty();
        // System bundles hold certificates that nobody can read any more.
        let certificates = CertificateDer::pem_slice_iter(text.expose()).filter_map(Result::ok);
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            let (file, cause) = (file.to_owned(), pem::Error::NoItemsFound);
            return Err(TlsError::NotPem { file, expected: "certificate", cause });
        }
        Ok(Self(roots))
    }

    /// Reads what this system trusts; `None` if it keeps that in no place that is known.
    pub fn of_system() -> Option<Self> {
        SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find_map(|file| Self::from_file(&file).ok())
    }
}
