//! Conversations with a listener as a stranger has them: bounded in time and in what is read.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::deadline::Timed;
use super::{HttpAnswer, Target, witness};

/// Most bytes that are read of an answer; a large OpenAPI document fits.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Why there was no conversation.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Nobody answers there in time.
    #[error("{target} cannot be reached: {source}")]
    Unreachable {
        /// Who was asked.
        target: Target,
        /// What the operating system says.
        source: io::Error,
    },
    /// What answers does not finish a handshake of TLS 1.3 or 1.2.
    #[error("no TLS handshake with {target}: {source}")]
    NoHandshake {
        /// Who was asked.
        target: Target,
        /// What went wrong.
        source: io::Error,
    },
}

/// What a handshake showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The certificates in DER as the server sent them, its own first.
    pub certificates: Vec<Vec<u8>>,
    /// Whether it takes HTTP/2.
    pub speaks_http2: bool,
}

/// Shakes hands, and says no more. The certificate is looked at and not judged.
///
/// # Errors
///
/// See [`LookError`].
pub fn shake_hands(target: &Target) -> Result<Handshake, LookError> {
    let stream = secured(target, &["h2", "http/1.1"])?;
    let certificates = stream.conn.peer_certificates().unwrap_or_default();
    Ok(Handshake {
        certificates: certificates.iter().map(|one| one.as_ref().to_vec()).collect(),
        speaks_http2: stream.conn.alpn_protocol() == Some(b"h2"),
    })
}

/// Sends `request` as it is, by TLS where the target says so, and returns what comes back.
///
/// It reads until the answer is whole, the other side closes, 5 seconds are over or 4 MiB are
/// there. A refusal in the middle of the request is no error.
///
/// # Errors
///
/// See [`LookError`].
pub fn exchange(target: &Target, request: &[u8]) -> Result<Vec<u8>, LookError> {
    if !target.is_tls() {
        return exchange_bare(target, request);
    }
    let mut stream = secured(target, &["http/1.1"])?;
    Ok(converse(&mut stream, request))
}

/// Sends `bytes` without TLS, whatever the target says, and returns what comes back, as
/// [`exchange`] does.
///
/// # Errors
///
/// [`LookError::Unreachable`].
pub fn exchange_bare(target: &Target, bytes: &[u8]) -> Result<Vec<u8>, LookError> {
    Ok(converse(&mut connect(target)?, bytes))
}

fn connect(target: &Target) -> Result<Timed, LookError> {
    Timed::connect(target)
        .map_err(|source| LookError::Unreachable { target: target.clone(), source })
}

fn secured(
    target: &Target,
    protocols: &[&str],
) -> Result<StreamOwned<ClientConnection, Timed>, LookError> {
    let mut stream = connect(target)?;
    let failed = |source| LookError::NoHandshake { target: target.clone(), source };
    let other = |error| failed(io::Error::other(error));
    let name = ServerName::try_from(target.host().to_owned())
        .map_err(|error| failed(io::Error::other(error)))?;
    let config = Arc::new(witness::client(protocols).map_err(other)?);
    let mut connection = ClientConnection::new(config, name).map_err(other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(failed)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// Whoever refuses a request may close before all of it was sent, and what was said before that
/// counts: so errors end the conversation and are not told.
fn converse(stream: &mut (impl Read + Write), bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).and_then(|()| stream.flush()).ok();
    let mut received = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while received.len() < MOST_BYTES {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => received.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        if HttpAnswer::read(&received).is_some_and(|answer| answer.is_whole()) {
            break;
        }
    }
    received
}
