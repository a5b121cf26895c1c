//! Where a service listens: TCP, a Unix socket, or a socket that systemd hands over.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::net::listen;
use rustix::process::umask;

use crate::config::{Environment, FromSetting, Raw, Unfit};

/// Where one listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket in the file system, for a proxy on the same machine.
    Unix(PathBuf),
    /// A socket that systemd bound: the one of this name (`FileDescriptorName=`), or the first.
    Inherited(Option<String>),
}

impl ListenAddress {
    /// Tells whether only this machine can reach it. What systemd bound is known only later.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) | Self::Inherited(_) => true,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Inherited(None) => out.write_str("systemd"),
            Self::Inherited(Some(name)) => write!(out, "systemd:{name}"),
        }
    }
}

impl FromSetting for ListenAddress {
    fn expected() -> Cow<'static, str> {
        "an address and a port such as \"127.0.0.1:8443\", \"unix:/path\", or \"systemd:name\""
            .into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            let is_path = path.is_absolute() && !text.contains(char::is_control);
            return is_path.then(|| Self::Unix(path.to_owned()));
        }
        match text.split_once(':') {
            Some(("systemd", name)) if !name.is_empty() => {
                Some(Self::Inherited(Some(name.to_owned())))
            }
            None if text == "systemd" => Some(Self::Inherited(None)),
            _ => text.parse().ok().map(Self::Tcp),
        }
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

/// Where the public listeners are: one, or several of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddresses(pub Vec<ListenAddress>);

/// Most public listeners.
const MOST_LISTENERS: usize = 16;

impl FromSetting for ListenAddresses {
    fn expected() -> Cow<'static, str> {
        format!("{}, or a list of up to {MOST_LISTENERS} of them", ListenAddress::expected()).into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let all = text.split(',').map(|one| ListenAddress::from_text(one.trim()));
        all.collect::<Option<Vec<_>>>().and_then(Self::checked)
    }

    fn written(&self) -> String {
        self.0.iter().map(ListenAddress::to_string).collect::<Vec<_>>().join(",")
    }

    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        let all = match raw {
            Raw::Text(text) => Vec::from_raw(&Raw::Variable(text.clone())),
            _ => Vec::from_raw(raw),
        };
        let expected = |unfit| Unfit { expected: Self::expected().into_owned(), ..unfit };
        Self::checked(all.map_err(expected)?).ok_or_else(|| Unfit::for_type::<Self>(raw))
    }

    fn to_toml(&self) -> String {
        match self.0.as_slice() {
            [one] => one.to_toml(),
            all => all.to_vec().to_toml(),
        }
    }
}

impl ListenAddresses {
    fn checked(all: Vec<ListenAddress>) -> Option<Self> {
        (1..=MOST_LISTENERS).contains(&all.len()).then_some(Self(all))
    }
}

/// Connections that the kernel makes and keeps until they are accepted, as far as its own limit
/// (`net.core.somaxconn`, 4096 by default) allows. With the 128 of the standard library a burst of
/// connections makes other clients wait a second, until they try again.
const BACKLOG: i32 = 4096;

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// One for the network.
    Tcp(std::net::TcpListener),
    /// One in the file system; whoever bound it removes the file at the end.
    Unix(std::os::unix::net::UnixListener, Option<PathBuf>),
}

/// The sockets that systemd handed to this process (`sd_listen_fds(3)`).
pub struct InheritedSockets {
    sockets: ListenFd,
    names: Vec<String>,
}

impl fmt::Debug for InheritedSockets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InheritedSockets").field("names", &self.names).finish_non_exhaustive()
    }
}

impl InheritedSockets {
    /// Takes the sockets over, and what names them from `environment`. Call it once, before there
    /// are threads: it also removes the variables, so that no child process believes them.
    pub fn take(environment: &Environment) -> Self {
        let names = environment.text("LISTEN_FDNAMES").ok().flatten().unwrap_or_default();
        let names = names.split(':').map(str::to_owned).collect();
        Self { sockets: ListenFd::from_env(), names }
    }

    /// Returns none at all.
    pub fn none() -> Self {
        Self { sockets: ListenFd::empty(), names: Vec::new() }
    }

    fn find(&mut self, name: Option<&str>) -> io::Result<Socket> {
        let place = match name {
            None => Some(0),
            Some(name) => self.names.iter().position(|known| known == name),
        };
        let missing = || {
            let text = "systemd handed over no such socket: see FileDescriptorName= in the unit";
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        let place = place.filter(|place| *place < self.sockets.len()).ok_or_else(missing)?;
        // Of the two kinds, taking the wrong one is an error and leaves the socket in place.
        if let Ok(Some(listener)) = self.sockets.take_tcp_listener(place) {
            return Ok(Socket::Tcp(listener));
        }
        let listener = self.sockets.take_unix_listener(place)?.ok_or_else(missing)?;
        Ok(Socket::Unix(listener, None))
    }
}

impl Socket {
    /// Binds `address`, or takes over what is bound. A Unix socket gets `mode`, and replaces one
    /// that nobody listens on any more.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn bind(
        address: &ListenAddress,
        mode: u32,
        inherited: &mut InheritedSockets,
    ) -> io::Result<Self> {
        let socket = match address {
            ListenAddress::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listen(listener.as_fd(), BACKLOG)?;
                Self::Tcp(listener)
            }
            ListenAddress::Unix(path) => {
                let listener = bind_unix(path, mode)?;
                listen(listener.as_fd(), BACKLOG)?;
                Self::Unix(listener, Some(path.clone()))
            }
            ListenAddress::Inherited(name) => inherited.find(name.as_deref())?,
        };
        match &socket {
            Self::Tcp(listener) => listener.set_nonblocking(true)?,
            Self::Unix(listener, _) => listener.set_nonblocking(true)?,
        }
        Ok(socket)
    }

    /// Returns the file of a Unix socket that this process bound, and removes at the end.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) | Self::Unix(_, None) => None,
            Self::Unix(_, Some(path)) => Some(path),
        }
    }

    /// Returns where it really listens, as the settings would say it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn address(&self) -> io::Result<ListenAddress> {
        Ok(match self {
            Self::Tcp(listener) => ListenAddress::Tcp(listener.local_addr()?),
            Self::Unix(listener, _) => {
                let address = listener.local_addr()?;
                ListenAddress::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned())
            }
        })
    }
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    remove_stale(path)?;
    // Until the mode is set nobody else may connect; no other thread makes files at this point.
    let before = umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = std::os::unix::net::UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Removes the socket that an earlier process left, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => std::fs::remove_file(path),
    }
}

/// A listener that accepts.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, Option<PathBuf>),
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Listener {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(listener) => Self::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Socket::Unix(listener, path) => {
                Self::Unix(tokio::net::UnixListener::from_std(listener)?, path)
            }
        })
    }

    /// Waits for the next connection. Whoever comes through a Unix socket counts as 127.0.0.1:
    /// it is on this machine, and has no address of its own.
    pub(super) async fn accept(&self) -> io::Result<(Accepted, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true).ok();
                Ok((Accepted::Tcp(stream), peer.ip().to_canonical()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted::Unix(stream), IpAddr::V4(Ipv4Addr::LOCALHOST)))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, Some(path)) = self {
            std::fs::remove_file(path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path_that_a_file_can_have() {
        assert!(ListenAddress::from_text("unix:/run/a.sock").is_some());
        for text in ["unix:run/a.sock", "unix:/run/a\0b", "unix:/run/a\nb", "unix:"] {
            assert!(ListenAddress::from_text(text).is_none(), "{text:?}");
        }
    }
}
