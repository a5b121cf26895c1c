//! Sockets that are bound before the process gives up what it needs for that.

use crate::http::{InheritedSockets, ListenAddress, ListenAddresses, Socket};
use crate::process::{LockdownError, Report, Sandbox, lock_down};

use super::LockedDown;

/// Sockets that are bound and not yet served.
#[derive(Debug)]
pub struct Bound {
    pub(super) public: Vec<Socket>,
    pub(super) admin: Socket,
}

/// Why a listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting}): {source}")]
pub struct BindError {
    setting: &'static str,
    address: ListenAddress,
    source: std::io::Error,
}

/// Permissions of a public Unix socket: the service's account and its group, to which the proxy
/// in front belongs.
const PUBLIC_SOCKET_MODE: u32 = 0o660;
/// Permissions of the admin's Unix socket: the service's account.
const ADMIN_SOCKET_MODE: u32 = 0o600;

impl Bound {
    /// Binds the public listeners and the admin's, or takes them from `inherited`.
    ///
    /// # Errors
    ///
    /// The address that cannot be bound, with the setting that names it.
    pub fn bind(
        public: &ListenAddresses,
        admin: &ListenAddress,
        mut inherited: InheritedSockets,
    ) -> Result<Self, BindError> {
        let mut bind = |setting, address: &ListenAddress, mode| {
            let failed = |source| BindError { setting, address: address.clone(), source };
            Socket::bind(address, mode, &mut inherited).map_err(failed)
        };
        let public = public.0.iter().map(|one| bind("server.listen", one, PUBLIC_SOCKET_MODE));
        let public = public.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { public, admin: bind("server.admin_listen", admin, ADMIN_SOCKET_MODE)? })
    }

    /// Returns the public addresses that were really bound and that other machines can reach.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn reachable_from_outside(&self) -> Result<Vec<ListenAddress>, std::io::Error> {
        let all: Vec<_> = self.public.iter().map(Socket::address).collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|address| !address.is_local()).collect())
    }

    /// Locks the process down.
    ///
    /// # Errors
    ///
    /// What `mode` demands and cannot be had.
    pub fn lock_down(self, mode: Sandbox) -> Result<(LockedDown, Report), LockdownError> {
        let report = lock_down(mode)?;
        Ok((LockedDown::new(self), report))
    }
}
