//! Asks a health route over plain HTTP, for container health checks without a shell.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
#[expect(clippy::disallowed_types, reason = "this is the module for outgoing connections")]
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time to connect, to write and to read, each.
const DEADLINE: Duration = Duration::from_secs(3);
/// More than any status line that this service writes.
const MOST_BYTES: u64 = 512;

/// Where a listener of our own is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ProbeTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// Why there was no answer to judge.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers there in time.
    #[error("no answer from {address}: {source}")]
    Unreachable {
        /// Who was asked.
        address: ProbeTarget,
        /// What the operating system says.
        source: io::Error,
    },
    /// What answers does not speak HTTP.
    #[error("{address} does not answer in HTTP")]
    NotHttp {
        /// Who was asked.
        address: ProbeTarget,
    },
}

/// Returns the HTTP status that `address` answers for `GET path`.
///
/// # Errors
///
/// See [`ProbeError`].
pub fn probe(address: &ProbeTarget, path: &str) -> Result<u16, ProbeError> {
    let answer = ask(address, path)
        .map_err(|source| ProbeError::Unreachable { address: address.clone(), source })?;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| ProbeError::NotHttp { address: address.clone() })
}

#[expect(clippy::disallowed_types, reason = "this is the module for outgoing connections")]
fn ask(address: &ProbeTarget, path: &str) -> io::Result<String> {
    match address {
        ProbeTarget::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, DEADLINE)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            stream.set_write_timeout(Some(DEADLINE))?;
            exchange(stream, &address.to_string(), path)
        }
        ProbeTarget::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            stream.set_write_timeout(Some(DEADLINE))?;
            exchange(stream, "localhost", path)
        }
    }
}

fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
