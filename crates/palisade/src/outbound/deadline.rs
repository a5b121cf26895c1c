//! A socket whose whole conversation ends at one moment, however slowly the other side speaks.

use std::io::{self, ErrorKind, Read, Write};
#[expect(clippy::disallowed_types, reason = "this is the module for outgoing connections")]
use std::net::TcpStream;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::Target;

/// Longest time for a conversation, the connecting included. Name look-ups have the system's own
/// deadline.
pub(super) const CONVERSATION: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Timed {
    #[expect(clippy::disallowed_types, reason = "this is the module for outgoing connections")]
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    /// Connects to the first address of `target` that answers.
    pub(super) fn connect(target: &Target) -> io::Result<Self> {
        let addresses = (target.host(), target.port()).to_socket_addrs()?;
        let end = Instant::now() + CONVERSATION;
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match Self::connect_to(&address, end) {
                Ok(timed) => return Ok(timed),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    #[expect(clippy::disallowed_types, reason = "this is the module for outgoing connections")]
    fn connect_to(address: &SocketAddr, end: Instant) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(address, left(end)?)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, end })
    }
}

/// Returns how much time there is; an error if there is none.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.end)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.end)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
