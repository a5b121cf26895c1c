//! A certificate for trying things out on one's own machine.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::OffsetDateTime;

use super::tls::{TlsError, TlsFiles};
use crate::clock::Timestamp;
use crate::crypto::random_bytes;
use crate::secret::Secret;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a new certificate is valid: one year less one day, which every client accepts.
const VALIDITY: Duration = DAY.saturating_mul(364);

/// A certificate that ends sooner than this is replaced: before the log would ask to renew it.
const LEAST_LEFT: Duration = DAY.saturating_mul(15);

/// Returns a certificate for `localhost`, `127.0.0.1` and `::1` in `dir`, made now if there is
/// none that is valid for 15 more days.
///
/// The key is ECDSA P-256. It is signed by itself and can sign no other, so trusting the file,
/// as with `curl --cacert certificate.pem`, trusts nothing but this service. Written are
/// `certificate.pem`, `key.pem` (mode 0600) and `not-after`, the end of its validity in
/// milliseconds since 1970.
///
/// # Errors
///
/// A file or folder that cannot be written.
pub fn self_signed(dir: &Path, now: Timestamp) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
    let not_after = dir.join("not-after");
    if is_valid_for_long(&not_after, now) && files.check().is_ok() {
        return Ok(files);
    }
    let end = now.after(VALIDITY);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = parameters(now, end)?.self_signed(&key)?;
    make_certificate_folder(dir)?;
    // The date comes last: while it is missing or old, the two others are made again.
    write(&files.key, Secret::new(key.serialize_pem()).expose(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)?;
    write(&not_after, &end.as_millis().to_string(), 0o644)?;
    Ok(files)
}

/// Makes the folder for the files, for its owner only, if it is missing.
///
/// # Errors
///
/// [`TlsError::Unwritable`].
pub(crate) fn make_certificate_folder(dir: &Path) -> Result<(), TlsError> {
    let unwritable = |cause| TlsError::Unwritable { file: dir.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritable)
}

fn parameters(start: Timestamp, end: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "localhost");
    parameters.not_before = date(start);
    parameters.not_after = date(end);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

/// Returns whether the date in `file` is far enough ahead, and not further than a new one's:
/// then the clock was ahead when it was written.
fn is_valid_for_long(file: &Path, now: Timestamp) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let end = text.trim().parse().map(Timestamp::from_millis);
    end.is_ok_and(|end| (now.after(LEAST_LEFT)..=now.after(VALIDITY)).contains(&end))
}

fn date(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.as_millis() / 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Puts a whole file in the place of an old one, so that nobody ever reads half of it.
fn write(file: &Path, content: &str, mode: u32) -> Result<(), TlsError> {
    let draft = file.with_extension(format!("{:032x}.new", u128::from_ne_bytes(random_bytes())));
    let written = create(&draft, mode)
        .and_then(|mut opened| {
            opened.write_all(content.as_bytes())?;
            opened.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, file));
    written.map_err(|cause| {
        // The draft may be there or not; what is reported is why the file itself is not.
        std::fs::remove_file(&draft).unwrap_or_default();
        TlsError::Unwritable { file: file.to_owned(), cause }
    })
}

/// Makes a file that did not exist, with exactly these permissions whatever the umask is.
fn create(file: &Path, mode: u32) -> std::io::Result<File> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.set_permissions(Permissions::from_mode(mode))?;
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        file.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_certificate_is_made_once_and_used_until_its_last_weeks() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_767_225_600_000);
        let certificate = |now| {
            let files = self_signed(&dir.path().join("tls"), now).unwrap();
            std::fs::read(files.certificate).unwrap()
        };

        let first = certificate(now);
        assert_eq!(certificate(now), first);
        assert_eq!(certificate(now.after(DAY * 349)), first);
        let second = certificate(now.after(DAY * 349 + Duration::from_secs(1)));
        assert_ne!(second, first);
        assert_ne!(certificate(now), second, "it would not be valid yet");
    }

    #[test]
    fn only_the_owner_can_read_the_key_and_no_draft_stays() {
        let dir = tempfile::tempdir().unwrap();
        let files = self_signed(dir.path(), Timestamp::from_millis(0)).unwrap();

        assert_eq!((mode(&files.key), mode(&files.certificate)), (0o600, 0o644));
        let mut names: Vec<_> =
            dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["certificate.pem", "key.pem", "not-after"]);
    }

    #[test]
    fn files_that_do_not_belong_together_are_made_again() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = Timestamp::from_millis(0);
        let files = self_signed(one.path(), now).unwrap();
        let others = self_signed(two.path(), now).unwrap();
        std::fs::copy(&others.certificate, &files.certificate).unwrap();
        assert!(matches!(files.check(), Err(TlsError::Mismatch { .. })));

        assert!(self_signed(one.path(), now).unwrap().check().is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = self_signed(&file.join("tls"), Timestamp::from_millis(0)).unwrap_err();
        assert!(error.to_string().contains("file/tls: "), "{error}");
    }
}
