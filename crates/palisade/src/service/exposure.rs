//! Whom a service may serve: other machines only behind TLS or a declared proxy.

use super::Basics;
use crate::http::{ListenAddress, TlsMode};

/// How far a service may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// As far as the settings say, off loopback only with a certificate or behind a declared
    /// proxy.
    AsSet,
    /// From this machine, whatever the settings say. The reason ends the sentence
    /// "... is not on loopback, and ...".
    ThisMachine(&'static str),
}

/// Why an address must not be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// This start serves nobody but this machine.
    #[error("server.listen = \"{address}\" is not on loopback, and {reason}")]
    BeyondThisMachine {
        /// The address.
        address: ListenAddress,
        /// Why it serves nobody else.
        reason: &'static str,
    },
    /// Whatever is sent could be read on its way.
    #[error(
        "server.listen = \"{0}\" is not on loopback, and tls.mode is \"off\": passwords \
         and tokens would cross the network in the clear. Set tls.mode = \"files\" with a \
         certificate and key, or name the proxy that terminates TLS in \
         server.trusted_proxies, or listen on 127.0.0.1"
    )]
    InTheClear(ListenAddress),
    /// The certificate is one that anybody could have made.
    #[error(
        "server.listen = \"{0}\" is not on loopback, and tls.mode is \"self-signed\", \
         which no client can trust: set tls.mode = \"files\""
    )]
    SelfSigned(ListenAddress),
}

impl Reach {
    /// Refuses the first address on which clients would be in danger.
    pub(super) fn check(self, listeners: &[ListenAddress], basics: &Basics) -> Result<(), Exposed> {
        let mut outside = listeners.iter().filter(|address| !address.is_local());
        outside.try_for_each(|address| self.check_outside(address.clone(), basics))
    }

    fn check_outside(self, address: ListenAddress, basics: &Basics) -> Result<(), Exposed> {
        if let Self::ThisMachine(reason) = self {
            return Err(Exposed::BeyondThisMachine { address, reason });
        }
        match basics.tls.mode {
            TlsMode::Files => Ok(()),
            TlsMode::Off if !basics.server.trusted_proxies.is_empty() => Ok(()),
            TlsMode::Off => Err(Exposed::InTheClear(address)),
            TlsMode::SelfSigned => Err(Exposed::SelfSigned(address)),
        }
    }
}
