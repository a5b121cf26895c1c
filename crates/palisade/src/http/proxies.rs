//! The proxies in front of the service, and the one header in which they say for whom they ask.

use std::net::IpAddr;

use http::HeaderName;
use http::header::FORWARDED;
use ipnet::{IpNet, Ipv4Net};

crate::choice! {
    /// The header in which the proxies in front say for whom they ask. The other one is ignored.
    pub enum ForwardedHeader {
        /// Addresses between commas, what nearly every proxy writes.
        XForwardedFor = "x-forwarded-for",
        /// The standard one (RFC 7239), of which the parameter `for` is read.
        Forwarded = "forwarded",
    }
}

impl ForwardedHeader {
    pub(super) fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => FORWARDED,
        }
    }
}

/// Who is believed about a client's address and a request's id, and in which header.
///
/// Only one of the two headers is ever read. A proxy writes the one it knows and passes the other
/// one on as the client sent it, so a service that reads both believes the client.
///
/// ```
/// use palisade::http::{ForwardedHeader, TrustedProxies};
///
/// let networks = vec!["10.0.0.0/8".parse().unwrap()];
/// let proxies = TrustedProxies::new(networks, ForwardedHeader::XForwardedFor);
///
/// assert!(proxies.trusts("10.1.2.3".parse().unwrap()));
/// assert!(proxies.trusts("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!proxies.trusts("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// Believes whoever asks from one of `networks`, nobody if there is none. A network of
    /// IPv4-mapped IPv6 addresses counts as the IPv4 network that it is.
    pub fn new(networks: Vec<IpNet>, header: ForwardedHeader) -> Self {
        Self { networks: networks.into_iter().map(canonical).collect(), header }
    }

    /// Returns whether `address` is a declared proxy's; an IPv4-mapped one counts as IPv4.
    pub fn trusts(&self, address: IpAddr) -> bool {
        // Most services have no proxy, and ask for every request.
        !self.networks.is_empty() && {
            let address = address.to_canonical();
            self.networks.iter().any(|network| network.contains(&address))
        }
    }

    /// Returns the header in which the proxies are believed.
    pub fn header(&self) -> ForwardedHeader {
        self.header
    }
}

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V4(four), Some(length)) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(four, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(network: &str) -> TrustedProxies {
        TrustedProxies::new(vec![network.parse().unwrap()], ForwardedHeader::XForwardedFor)
    }

    #[test]
    fn mapped_networks_and_addresses_are_those_of_ipv4() {
        for network in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            for inside in ["10.255.0.1", "::ffff:10.255.0.1"] {
                assert!(trusting(network).trusts(inside.parse().unwrap()), "{network} {inside}");
            }
            for outside in ["11.0.0.1", "::ffff:11.0.0.1", "::10.0.0.1", "::1"] {
                assert!(!trusting(network).trusts(outside.parse().unwrap()), "{network} {outside}");
            }
        }
        assert!(trusting("2001:db8::/32").trusts("2001:db8::1".parse().unwrap()));
    }
}
