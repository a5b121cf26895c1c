//! Sockets that are bound before the process gives up what it needs for that.

use std::os::unix::fs::lchown;
use std::path::Path;

use crate::http::{InheritedSockets, ListenAddress, ListenAddresses, Socket};
use crate::process::{Account, LockdownError, Needs, Report, Sandbox, lock_down};

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

    /// Locks the process down: it becomes `account` if one is given, and keeps what `needs` lists
    /// and the removal of its own Unix sockets, which are the account's from now on.
    ///
    /// # Errors
    ///
    /// What `mode` demands and cannot be had, and what is wrong with `account`.
    pub fn lock_down(
        self,
        mode: Sandbox,
        account: Option<&Account>,
        needs: Needs,
    ) -> Result<(LockedDown, Report), LockdownError> {
        // The limit of a container stands in files that are out of reach afterwards.
        let cores = std::thread::available_parallelism();
        if let Some(account) = account.filter(|account| !account.is_present()) {
            self.files().for_each(|file| give(file, account));
        }
        let needs = self.files().fold(needs, Needs::removes);
        let report = lock_down(mode, account, &needs)?;
        Ok((LockedDown::new(self, cores.ok()), report))
    }

    /// Returns the files of the Unix sockets that were bound here.
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.public.iter().chain([&self.admin]).filter_map(Socket::file)
    }
}

/// Gives a socket to the account that will serve it, so that its group can connect and it can be
/// removed. A link in its place is not followed. If that fails, who is not root is told so next.
fn give(file: &Path, account: &Account) {
    if let Err(error) = lchown(file, Some(account.user()), Some(account.group())) {
        tracing::debug!(%error, "a socket keeps its owner");
    }
}
