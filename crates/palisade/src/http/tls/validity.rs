//! From when and until when a certificate is good.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use crate::clock::Timestamp;

/// The time between two moments, both included, in which clients accept a certificate.
///
/// ```
/// use std::time::Duration;
/// use palisade::clock::Timestamp;
/// use palisade::http::Validity;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let not_before = Timestamp::from_millis(1_767_225_600_000);
/// let validity = Validity { not_before, not_after: not_before.after(day * 90) };
/// assert!(!validity.ends_soon(not_before.after(day * 70)));
/// assert!(validity.ends_soon(not_before.after(day * 80)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

impl Validity {
    /// Reads it from a certificate.
    ///
    /// rustls tells the dates only of a certificate that it refuses for them. So it is asked about
    /// the beginning and the end of time, which spares a second reader of X.509.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let not_before = match judge(&certificate, Duration::ZERO) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => moment(not_before),
            // What else is wrong, such as that nobody vouches for it, is not asked here.
            Ok(()) | Err(_) => Timestamp::from_millis(0),
        };
        match judge(&certificate, Duration::MAX) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Ok(Self { not_before, not_after: moment(not_after) }),
            Ok(()) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
            Err(error) => Err(error),
        }
    }

    /// Returns whether the certificate should have been renewed by now: less than a third of its
    /// validity is left, or less than 14 days if that is shorter.
    ///
    /// ACME clients renew earlier: with a third left, or half of it where that is a few days.
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        let whole = self.not_after.as_millis().saturating_sub(self.not_before.as_millis());
        let third = Duration::from_millis(u64::try_from(whole / 3).unwrap_or_default());
        now.after(third.min(MOST_NOTICE)) > self.not_after
    }

    /// Returns whether clients refuse the certificate because it is too old.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        now > self.not_after
    }
}

/// Two weeks: enough for a person to come back from a holiday.
const MOST_NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

fn judge(certificate: &ParsedCertificate<'_>, since_1970: Duration) -> Result<(), Error> {
    let (nobody, now) = (RootCertStore::empty(), UnixTime::since_unix_epoch(since_1970));
    verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, &[])
}

fn moment(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn valid(years: (i32, i32), is_ca: IsCa) -> Validity {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(years.0, 2, 28);
        parameters.not_after = date_time_ymd(years.1, 12, 31);
        parameters.is_ca = is_ca;
        let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Validity::of(certificate.der()).unwrap()
    }

    /// X.509 writes years before 2050 with two digits and later ones with four.
    #[test]
    fn both_dates_are_read_in_both_forms_and_from_any_kind_of_certificate() {
        for (years, is_ca) in [
            ((2024, 2049), IsCa::NoCa),
            ((2024, 2050), IsCa::ExplicitNoCa),
            ((2051, 9999), IsCa::Ca(BasicConstraints::Unconstrained)),
            ((1970, 1999), IsCa::NoCa),
        ] {
            let Validity { not_before, not_after } = valid(years, is_ca);
            assert_eq!(not_before.to_string(), format!("{}-02-28T00:00:00.000Z", years.0));
            assert_eq!(not_after.to_string(), format!("{}-12-31T00:00:00.000Z", years.1));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        assert!(Validity::of(&CertificateDer::from(vec![0x30, 0])).is_err());
    }

    #[test]
    fn the_end_is_soon_two_weeks_ahead_and_for_short_lives_with_a_third_left() {
        for (days, notice) in [(364, 14), (90, 14), (42, 14), (6, 2)] {
            let not_before = Timestamp::from_millis(0);
            let validity = Validity { not_before, not_after: not_before.after(DAY * days) };
            let last_quiet = validity.not_after.before(DAY * notice);

            assert!(!validity.ends_soon(last_quiet), "{days}");
            assert!(validity.ends_soon(last_quiet.after(Duration::from_millis(1))), "{days}");
            assert!(!validity.has_ended(validity.not_after), "{days}");
            assert!(validity.has_ended(validity.not_after.after(DAY)), "{days}");
        }
    }
}
