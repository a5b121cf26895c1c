//! Files that are fine, broken, swapped and replaced.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::http::self_signed;

fn files() -> (TempDir, TlsFiles) {
    let dir = tempfile::tempdir().unwrap();
    let files = self_signed(dir.path(), SystemClock.now().before(Duration::from_secs(60))).unwrap();
    (dir, files)
}

fn client(
    trusted: &TlsFiles,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&trusted.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Shakes hands over a pipe; returns the version and the protocol that were agreed on.
async fn shake_hands(
    source: &TlsAcceptorSource,
    client: ClientConfig,
    name: &'static str,
) -> std::io::Result<(ProtocolVersion, Option<Vec<u8>>)> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let name = ServerName::try_from(name).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (accepted, connected) =
        tokio::join!(source.acceptor().accept(far), connector.connect(name, near));
    let connected = connected?;
    accepted?;
    let (_, session) = connected.get_ref();
    Ok((session.protocol_version().unwrap(), session.alpn_protocol().map(<[u8]>::to_vec)))
}

#[tokio::test]
async fn clients_choose_the_version_and_the_protocol() {
    let (_dir, files) = files();
    let source = TlsAcceptorSource::open(files.clone()).unwrap();

    for (version, expected) in
        [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)]
    {
        for (offered, chosen) in [
            (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
            (&["http/1.1"], Some(b"http/1.1")),
            (&[], None),
        ] {
            let mut client = client(&files, &[version]);
            client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let agreed = shake_hands(&source, client, "localhost").await.unwrap();
            assert_eq!(agreed, (expected, chosen.map(<[u8]>::to_vec)));
        }
    }
}

#[tokio::test]
async fn the_certificate_stands_for_this_machine_only() {
    let (_dir, files) = files();
    let source = TlsAcceptorSource::open(files.clone()).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(shake_hands(&source, client(&files, &[&TLS13]), name).await.is_ok(), "{name}");
    }
    for name in ["example.org", "127.0.0.2"] {
        assert!(shake_hands(&source, client(&files, &[&TLS13]), name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_reload_serves_the_new_files_and_a_broken_one_keeps_the_old() {
    let (_dir, old) = files();
    let (_other_dir, new) = files();
    let source = TlsAcceptorSource::open(old.clone()).unwrap();
    let before = client(&old, &[&TLS13]);

    let certificate = std::fs::read(&old.certificate).unwrap();
    std::fs::write(&old.certificate, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    assert!(matches!(source.reload(), Err(TlsError::NotPem { .. })));
    std::fs::copy(&new.certificate, &old.certificate).unwrap();
    assert!(matches!(source.reload(), Err(TlsError::Mismatch { .. })));
    assert!(shake_hands(&source, before.clone(), "localhost").await.is_ok());

    std::fs::copy(&new.key, &old.key).unwrap();
    source.reload().unwrap();
    assert!(shake_hands(&source, client(&new, &[&TLS13]), "localhost").await.is_ok());
    assert!(shake_hands(&source, before, "localhost").await.is_err());
    assert_ne!(certificate, std::fs::read(&old.certificate).unwrap());
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
            "cannot use NAME: invalid peer certificate: BadEncoding",
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
        let error = files.load().unwrap_err().to_string();
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
        let error = files.load().unwrap_err().to_string();
        let key = files.key.display();
        assert_eq!(
            error,
            format!(
                "{key} is a private key that others have access to (mode {mode:04o}): chmod 600 {key}"
            )
        );
    }
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(files.load().is_ok());
}

#[test]
fn a_key_of_another_certificate_is_a_mismatch() {
    let (_dir, one) = files();
    let (_other_dir, two) = files();
    let mixed = TlsFiles { certificate: one.certificate, key: two.key };
    let error = mixed.load().unwrap_err().to_string();
    assert!(error.contains("is not the key of the certificate"), "{error}");
}
