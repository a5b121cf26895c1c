//! Certificates as an authority issues them, for any time and name.

use std::time::Duration;

use palisade::clock::{Clock, SystemClock};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};

/// From how many days ago until in how many days a certificate is good.
pub(crate) const THIS_YEAR: [i64; 2] = [-30, 335];

/// A root that clients trust, and an intermediate below it, which issues.
pub(crate) struct Authority {
    pub(crate) root: String,
    pub(crate) intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate without its chain, and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with_intermediate([-3000, 3000])
    }

    /// Makes one whose intermediate is good for `days`.
    pub(crate) fn with_intermediate(days: [i64; 2]) -> Self {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_parameters = authority("Root", [-3000, 3000]);
        let root = root_parameters.self_signed(&root_key).unwrap();
        let parameters = authority("Intermediate", days);
        let root_issuer = Issuer::new(root_parameters, root_key);
        let intermediate = parameters.signed_by(&key, &root_issuer).unwrap();
        let issuer = Issuer::new(parameters, key);
        Self { root: root.pem(), intermediate: intermediate.pem(), issuer }
    }

    /// Issues a certificate for `name` that is good for `days`.
    pub(crate) fn issue(&self, name: &str, days: [i64; 2]) -> Issued {
        self.sign(&parameters(name, days))
    }
}

impl Authority {
    /// Issues a certificate with which `name` may prove to be a client, and no server.
    pub(crate) fn issue_for_clients(&self, name: &str, days: [i64; 2]) -> Issued {
        let mut parameters = parameters(name, days);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters)
    }

    /// Issues a certificate that names nobody, as they were made when the common name counted.
    pub(crate) fn issue_without_names(&self, days: [i64; 2]) -> Issued {
        let mut parameters = parameters("orders.example.com", days);
        parameters.subject_alt_names.clear();
        self.sign(&parameters)
    }

    fn sign(&self, parameters: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        issued(parameters.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

/// Makes a certificate that was issued by itself.
pub(crate) fn self_issued(name: &str, days: [i64; 2]) -> Issued {
    let key = KeyPair::generate().unwrap();
    issued(parameters(name, days).self_signed(&key).unwrap(), &key)
}

fn issued(certificate: Certificate, key: &KeyPair) -> Issued {
    Issued { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn authority(name: &str, days: [i64; 2]) -> CertificateParams {
    let mut parameters = parameters(name, days);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.subject_alt_names.clear();
    parameters
}

fn parameters(name: &str, [from, until]: [i64; 2]) -> CertificateParams {
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let now = u64::try_from(SystemClock.now().as_millis()).unwrap();
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(now);
    let day = |days: i64| {
        let span = Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
        if days < 0 { now - span } else { now + span }
    };
    (parameters.not_before, parameters.not_after) = (day(from), day(until));
    parameters
}
