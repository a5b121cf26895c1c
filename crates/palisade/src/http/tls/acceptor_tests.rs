//! Handshakes with files that stay, are renewed, half renewed and broken.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use rustls::client::ClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::http::self_signed;

fn files() -> (TempDir, TlsFiles) {
    let dir = tempfile::tempdir().unwrap();
    let files = self_signed(dir.path(), SystemClock.now().before(Duration::from_secs(60))).unwrap();
    (dir, files)
}

fn open(files: &TlsFiles) -> TlsAcceptorSource {
    TlsAcceptorSource::open(files.clone(), TlsVersion::Tls12).unwrap()
}

fn client(
    trusted: &[&TlsFiles],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for files in trusted {
        roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What was agreed on.
#[derive(Debug)]
struct Agreed {
    version: ProtocolVersion,
    protocol: Option<Vec<u8>>,
    kind: HandshakeKind,
}

/// Shakes hands over a pipe, and sends the client a byte, behind which it has the tickets.
async fn shake_hands(
    source: &TlsAcceptorSource,
    client: &ClientConfig,
    name: &'static str,
) -> std::io::Result<Agreed> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let name = ServerName::try_from(name).unwrap();
    let connector = TlsConnector::from(Arc::new(client.clone()));
    let (accepted, connected) =
        tokio::join!(source.acceptor().accept(far), connector.connect(name, near));
    let (mut accepted, mut connected) = (accepted?, connected?);
    accepted.write_all(b".").await?;
    connected.read_u8().await?;
    let (_, session) = connected.get_ref();
    Ok(Agreed {
        version: session.protocol_version().unwrap(),
        protocol: session.alpn_protocol().map(<[u8]>::to_vec),
        kind: session.handshake_kind().unwrap(),
    })
}

async fn trusts(source: &TlsAcceptorSource, files: &TlsFiles) -> bool {
    shake_hands(source, &client(&[files], &[&TLS13]), "localhost").await.is_ok()
}

/// Looks until the files were still for one look; returns what the second says.
fn look_twice(source: &TlsAcceptorSource) -> Result<bool, TlsError> {
    assert!(!source.reload_if_changed().unwrap(), "what has just changed is left alone");
    source.reload_if_changed()
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

#[tokio::test]
async fn clients_choose_the_version_and_the_protocol() {
    let (_dir, files) = files();
    let source = open(&files);

    for (version, expected) in
        [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)]
    {
        for (offered, chosen) in [
            (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
            (&["http/1.1"], Some(b"http/1.1")),
            (&[], None),
        ] {
            let mut client = client(&[&files], &[version]);
            client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let agreed = shake_hands(&source, &client, "localhost").await.unwrap();
            assert_eq!(agreed.version, expected);
            assert_eq!(agreed.protocol.as_deref(), chosen);
        }
    }
}

#[tokio::test]
async fn a_version_older_than_the_setting_is_refused() {
    let (_dir, files) = files();
    let source = TlsAcceptorSource::open(files.clone(), TlsVersion::Tls13).unwrap();

    let old = shake_hands(&source, &client(&[&files], &[&TLS12]), "localhost").await;
    let both = shake_hands(&source, &client(&[&files], &[&TLS12, &TLS13]), "localhost").await;

    let refusal = old.unwrap_err().to_string();
    assert!(refusal.contains("Tls12NotOfferedOrEnabled"), "{refusal}");
    assert_eq!(both.unwrap().version, ProtocolVersion::TLSv1_3);
}

#[tokio::test]
async fn the_certificate_stands_for_this_machine_only() {
    let (_dir, files) = files();
    let source = open(&files);
    let client = client(&[&files], &[&TLS13]);
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(shake_hands(&source, &client, name).await.is_ok(), "{name}");
    }
    for name in ["example.org", "127.0.0.2"] {
        assert!(shake_hands(&source, &client, name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_until_another_certificate_is_served() {
    for version in [&TLS13, &TLS12] {
        let ((_dir, old), (_other_dir, new)) = (files(), files());
        let source = open(&old);
        let client = client(&[&old, &new], &[version]);
        let kind = async || shake_hands(&source, &client, "localhost").await.unwrap().kind;

        assert_eq!(kind().await, HandshakeKind::Full);
        assert_eq!(kind().await, HandshakeKind::Resumed);
        source.reload().unwrap();
        assert_eq!(kind().await, HandshakeKind::Resumed, "the same certificate");

        copy(&new.certificate, &old.certificate);
        copy(&new.key, &old.key);
        source.reload().unwrap();
        assert_eq!(kind().await, HandshakeKind::Full, "a ticket does not outlive its certificate");
        assert_eq!(kind().await, HandshakeKind::Resumed);
    }
}

#[tokio::test]
async fn a_ticket_permits_no_data_before_the_handshake_is_over() {
    let (_dir, files) = files();
    let mut client = client(&[&files], &[&TLS13]);
    client.enable_early_data = true;
    shake_hands(&open(&files), &client, "localhost").await.unwrap();

    let name = ServerName::try_from("localhost").unwrap();
    let mut again = ClientConnection::new(Arc::new(client.clone()), name).unwrap();

    assert!(again.early_data().is_none());
}

#[tokio::test]
async fn a_reload_serves_the_new_files_and_a_broken_one_keeps_the_old() {
    let ((_dir, served), (_other_dir, new), (_copy_dir, old)) = (files(), files(), files());
    copy(&served.certificate, &old.certificate);
    let source = open(&served);

    std::fs::write(&served.certificate, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    assert!(matches!(source.reload(), Err(TlsError::NotPem { .. })));
    copy(&new.certificate, &served.certificate);
    assert!(matches!(source.reload(), Err(TlsError::Mismatch { .. })));
    assert!(trusts(&source, &old).await);
    assert_eq!(source.failed_reloads(), 2);

    copy(&new.key, &served.key);
    source.reload().unwrap();
    assert!(trusts(&source, &new).await && !trusts(&source, &old).await);
    assert_eq!(source.failed_reloads(), 2);
}

#[test]
fn files_that_did_not_change_are_not_read_again() {
    let (_dir, files) = files();
    let source = open(&files);
    for _ in 0..3 {
        assert!(!source.reload_if_changed().unwrap());
    }

    // As a backup does: it changes what the files look like, and nothing else.
    std::fs::hard_link(&files.certificate, files.certificate.with_extension("backup")).unwrap();

    assert!(!look_twice(&source).unwrap(), "nothing is new");
}

#[tokio::test]
async fn a_half_done_renewal_is_told_once_and_taken_when_it_is_whole() {
    let ((_dir, served), (_other_dir, new)) = (files(), files());
    let source = open(&served);

    copy(&new.certificate, &served.certificate);
    assert!(matches!(look_twice(&source), Err(TlsError::Mismatch { .. })));
    for _ in 0..3 {
        assert!(!source.reload_if_changed().unwrap(), "told already");
    }
    std::fs::write(&served.certificate, "").unwrap();
    assert!(matches!(look_twice(&source), Err(TlsError::NotPem { .. })), "another fault is news");
    assert_eq!(source.failed_reloads(), 2);

    copy(&new.certificate, &served.certificate);
    copy(&new.key, &served.key);
    assert!(look_twice(&source).unwrap());
    assert!(trusts(&source, &new).await);
    assert_eq!(source.failed_reloads(), 2);
}

#[test]
fn a_fault_that_ends_without_a_new_certificate_is_told_too() {
    let (_dir, files) = files();
    let source = open(&files);

    let open_to_others = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&files.key, open_to_others).unwrap();
    assert!(matches!(look_twice(&source), Err(TlsError::SharedKey { .. })));
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();

    assert!(look_twice(&source).unwrap());
    assert!(!source.reload_if_changed().unwrap());
}

/// Kubernetes mounts `..data`, a link to a folder, and swaps that link; a file's own name and
/// link stay as they are.
#[tokio::test]
async fn a_swapped_link_to_the_folder_of_the_files_is_seen() {
    let ((old_dir, old), (new_dir, new)) = (files(), files());
    let mount = tempfile::tempdir().unwrap();
    let data = mount.path().join("..data");
    symlink(old_dir.path(), &data).unwrap();
    let linked = |name: &str| {
        let link = mount.path().join(name);
        symlink(Path::new("..data").join(name), &link).unwrap();
        link
    };
    let mounted = TlsFiles { certificate: linked("certificate.pem"), key: linked("key.pem") };
    let source = open(&mounted);
    assert!(trusts(&source, &old).await);

    let draft = mount.path().join("..data_tmp");
    symlink(new_dir.path(), &draft).unwrap();
    std::fs::rename(&draft, &data).unwrap();

    assert!(look_twice(&source).unwrap());
    assert!(trusts(&source, &new).await && !trusts(&source, &old).await);
}

/// `cp -p` and restored backups keep the time and often the size.
#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let (_dir, files) = files();
    let source = open(&files);
    let before = files.certificate.metadata().unwrap();
    let mut bytes = std::fs::read(&files.certificate).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(b'?');

    std::fs::write(&files.certificate, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(&files.certificate).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();

    let after = files.certificate.metadata().unwrap();
    assert_eq!(
        (before.len(), before.modified().unwrap()),
        (after.len(), after.modified().unwrap())
    );
    assert!(look_twice(&source).is_err());
}

#[test]
fn the_validity_is_that_of_the_certificate_served() {
    let (dir, files) = files();
    let source = open(&files);
    let promised = std::fs::read_to_string(dir.path().join("not-after")).unwrap();

    let not_after = source.validity().not_after.as_millis();

    assert_eq!(not_after / 1000, promised.trim().parse::<i64>().unwrap() / 1000);
}
