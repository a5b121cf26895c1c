//! Files that are fine, broken and swapped.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::http::self_signed;

fn files() -> (TempDir, TlsFiles) {
    let dir = tempfile::tempdir().unwrap();
    let files = self_signed(dir.path(), SystemClock.now().before(Duration::from_secs(60))).unwrap();
    (dir, files)
}

#[test]
fn the_error_names_the_file_and_what_is_wrong_with_it() {
    let (dir, good) = files();
    let path = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let pem =
        |kind: &str, body: &str| format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
    let with_certificate = |certificate| TlsFiles { certificate, ..good.clone() };
    let with_key = |key| TlsFiles { key, ..good.clone() };

    for (files, expected) in [
        (with_certificate(dir.path().join("none.pem")), "cannot read NAME: No such file"),
        (with_certificate(dir.path().to_owned()), "cannot read NAME: "),
        (with_certificate(path("empty.pem", b"")), "NAME holds no certificate in PEM: "),
        (with_certificate(good.key.clone()), "NAME holds no certificate in PEM: "),
        (
            with_certificate(path("binary.pem", &[0, 159, 255])),
            "NAME holds no certificate in PEM: ",
        ),
        (
            with_certificate(path("base64.pem", pem("CERTIFICATE", "§§§").as_bytes())),
            "NAME holds no certificate in PEM: ",
        ),
        (
            with_certificate(path("der.pem", pem("CERTIFICATE", "AAAA").as_bytes())),
            "cannot use NAME: the certificate is damaged: it cannot be read",
        ),
        (with_certificate(path("big.pem", &vec![b' '; 2_000_000])), "cannot read NAME: "),
        (with_key(dir.path().join("none.key")), "cannot read NAME: No such file"),
        (with_key(path("empty.key", b"")), "NAME holds no private key in PEM: "),
        (
            with_key(path("cert.key", &std::fs::read(&good.certificate).unwrap())),
            "NAME holds no private key",
        ),
        (with_key(path("der.key", pem("PRIVATE KEY", "AAAA").as_bytes())), "cannot use NAME: "),
    ] {
        let error = files.check().unwrap_err().to_string();
        let file = if files.key == good.key { &files.certificate } else { &files.key };
        let expected = expected.replace("NAME", &file.display().to_string());
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_way_out() {
    let (_dir, files) = files();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = files.check().unwrap_err().to_string();
        let key = files.key.display();
        assert_eq!(
            error,
            format!(
                "{key} is a private key that others have access to (mode {mode:04o}): chmod 600 {key}"
            )
        );
    }
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(files.check().is_ok());
}

#[test]
fn a_key_of_another_certificate_is_a_mismatch() {
    let (_dir, one) = files();
    let (_other_dir, two) = files();
    let mixed = TlsFiles { certificate: one.certificate, key: two.key };
    let error = mixed.check().unwrap_err().to_string();
    assert!(error.contains("is not the key of the certificate"), "{error}");
}

#[test]
fn a_key_beside_the_certificate_in_a_file_that_others_can_read_is_refused() {
    let (_dir, mut both) = files();
    let texts = [&both.certificate, &both.key].map(|file| std::fs::read(file).unwrap());
    both.certificate.set_file_name("both.pem");
    std::fs::write(&both.certificate, texts.concat()).unwrap();
    let close = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&both.certificate, mode).unwrap();
    };

    close(0o644);
    let refused = both.check().unwrap_err();
    close(0o600);

    assert!(matches!(refused, TlsError::SharedKey { .. }), "{refused}");
    both.check().unwrap();
}
