//! Whether the listeners could be bound, as far as can be told without binding them: a service may
//! be running on them.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::{Deployment, Finding};
use crate::http::ListenAddress;

crate::rules! {
    /// Listeners.
    pub(super) RULES;

    /// One of them will not be had.
    UNBINDABLE = "PAL115", Error, Settings {
        title: "A listener cannot be bound.",
        why: "The service does not start.",
        mend: "Name an address of this machine, each once; and for a socket a path of at most 107 \
               bytes, in a folder that the service's user may write to, with nothing else there.",
    }
}

/// Most bytes of a socket's path: `sun_path` with its end (unix(7)).
const LONGEST_PATH: usize = 107;

pub(super) fn judge(deployment: &Deployment<'_>) -> Vec<Finding> {
    let server = deployment.server;
    let all: Vec<&ListenAddress> =
        server.listen.0.iter().chain(std::iter::once(&server.admin_listen)).collect();
    let mut findings = Vec::new();
    for (place, address) in all.iter().enumerate() {
        let is_again = all.iter().take(place).any(|before| before == address);
        let fault = match address {
            ListenAddress::Tcp(tcp) if is_again && tcp.port() != 0 => Some("is named twice".into()),
            ListenAddress::Unix(_) | ListenAddress::Inherited(_) if is_again => {
                Some("is named twice".into())
            }
            ListenAddress::Tcp(tcp) => fault_of_address(*tcp),
            ListenAddress::Unix(path) => fault_of_path(path).map(str::to_owned),
            ListenAddress::Inherited(_) => None,
        };
        let told = fault.map(|fault| format!("{address} {fault}"));
        findings.extend(told.map(|what| Finding::new(&UNBINDABLE, what)));
    }
    findings
}

/// A socket for datagrams takes no connection from anybody and tells whether the address is ours.
fn fault_of_address(address: SocketAddr) -> Option<String> {
    let refused = UdpSocket::bind((address.ip(), 0)).err()?;
    Some(format!("is no address of this machine: {refused}"))
}

fn fault_of_path(path: &Path) -> Option<&'static str> {
    let folder = path.parent().unwrap_or(path);
    if path.as_os_str().len() > LONGEST_PATH {
        return Some("is longer than 107 bytes");
    }
    if !folder.is_dir() {
        return Some("is in a folder that does not exist");
    }
    if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Some("is in a folder that this user may not write to");
    }
    let there = path.symlink_metadata().ok()?;
    (!there.file_type().is_socket()).then_some("is there already, and is no socket")
}
