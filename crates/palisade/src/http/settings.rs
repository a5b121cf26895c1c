//! The settings of the edge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::metrics::Listener;
use super::{
    ConnectionLimits, EdgeSettings, ForwardedHeader, ListenAddress, ListenAddresses, RateLimiter,
    TrustedProxies,
};
use crate::config::{Reader, Size, Throttle};

crate::settings! {
    /// Where the service listens, and who stands in front of it.
    pub struct ServerSection in "server" checked by addresses_make_sense {
        /// Where the public listener is: an address and a port (port 0 takes a free one),
        /// `unix:/path` for a proxy on the same machine, `systemd` or `systemd:name` for a socket
        /// that systemd hands over, or a list of these. Off loopback it needs TLS, or a proxy that
        /// is declared in `trusted_proxies`. Whoever comes through a Unix socket counts as
        /// 127.0.0.1.
        pub listen: ListenAddresses = ListenAddresses(vec![loopback(8443)]);
        /// Where the listener for health checks and metrics is. It must stay on loopback or be a
        /// Unix socket: what it says is not for strangers.
        pub admin_listen: ListenAddress = loopback(9443);
        /// How clients reach the service from outside, such as `https://orders.example.com`;
        /// the OpenAPI document says so. Empty: relative to where the document was read.
        pub public_url: Option<String> = None;
        /// Networks of the proxies in front. Only from there X-Forwarded-For (or Forwarded) and
        /// X-Request-Id are believed; from anywhere else they are ignored, because anybody can
        /// send them. None is the default; the whole Internet (/0) is refused.
        pub trusted_proxies: Vec<IpNet> = Vec::new();
        /// The header in which those proxies say for whom they ask: the one that each of them
        /// sets or appends to. The other one is ignored, because a proxy that does not know it
        /// passes on what a client put there. The default is what nearly every proxy writes.
        pub forwarded_header: ForwardedHeader = ForwardedHeader::XForwardedFor;
    }
}

crate::choice! {
    /// How the public listener is encrypted.
    pub enum TlsMode {
        /// With a certificate and key from two files.
        Files = "files",
        /// With a certificate made at the first start, for development.
        SelfSigned = "self-signed",
        /// Not at all: on loopback, or behind a declared proxy that does it.
        Off = "off",
    }
}

crate::choice! {
    /// The oldest version of TLS that clients may speak.
    pub enum TlsVersion {
        /// TLS 1.2 and 1.3: what Mozilla calls the intermediate configuration.
        Tls12 = "1.2",
        /// TLS 1.3 alone: what Mozilla calls the modern configuration.
        Tls13 = "1.3",
    }
}

crate::settings! {
    /// Encryption of the public listener: TLS 1.3 and 1.2.
    pub struct TlsSection in "tls" checked by files_are_named {
        /// Off is the default because the default address is loopback, where there is nobody to
        /// hide from; with any other address the service does not start without TLS.
        pub mode: TlsMode = TlsMode::Off;
        /// The certificate chain in PEM, the service's own certificate first. For mode = "files".
        /// When this file or the key is replaced, new connections get the new certificate within
        /// 4 seconds, at once after SIGHUP; while the two are broken or do not belong together,
        /// the old one stays and the log says why.
        pub certificate: Option<PathBuf> = None;
        /// The private key in PEM, readable by its owner only. For mode = "files".
        pub key: Option<PathBuf> = None;
        /// The oldest version that is spoken. 1.2 is the default because its suites that are left
        /// are sound and some clients have nothing newer (Mozilla's intermediate configuration);
        /// with 1.3 they are refused (its modern one).
        pub min_version: TlsVersion = TlsVersion::Tls12;
    }
}

crate::settings! {
    /// What one client may cost. Every limit bounds memory or time that a stranger can ask for.
    pub struct LimitsSection in "limits" {
        /// Largest request body; routes that take files state their own. Enough for an order of
        /// 100 lines.
        pub body_bytes: Size = Size::kib(64), in Size::bytes(1)..=Size::mib(16);
        /// Largest sum of all header names and values of a request.
        pub header_bytes: Size = Size::kib(16), in Size::kib(1)..=Size::kib(48);
        /// Most header lines of a request.
        pub header_count: usize = 64, in 8..=256;
        /// Longest time for a TLS handshake, for the first request of a connection, and for the
        /// head of every HTTP/1.1 request to arrive.
        pub header_timeout: Duration = Duration::from_secs(10),
            in Duration::from_millis(100)..=Duration::from_secs(300);
        /// Longest time for a request's body to arrive.
        pub body_timeout: Duration = Duration::from_secs(20),
            in Duration::from_millis(100)..=Duration::from_secs(300);
        /// Longest time from a request's head to its answer. On HTTP/2 a request may wait as long
        /// before that, for its client to read earlier answers.
        pub request_timeout: Duration = Duration::from_secs(30),
            in Duration::from_millis(100)..=Duration::from_secs(600);
        /// Longest time that a connection may stay open without a request. While there is no place
        /// for others it is a second.
        pub idle_timeout: Duration = Duration::from_secs(60),
            in Duration::from_millis(100)..=Duration::from_secs(3600);
        /// Longest time that a client may read nothing of its answer, or less than the speed below.
        pub write_timeout: Duration = Duration::from_secs(20),
            in Duration::from_millis(100)..=Duration::from_secs(600);
        /// Least speed of a body that arrives and of an answer that is read, in bytes a second.
        /// What is slower after its first seconds is cut off.
        pub least_bytes_per_second: Size = Size::kib(1), in Size::bytes(1)..=Size::mib(1);
        /// Requests after which a connection is ended in good order, so that clients spread anew.
        pub requests_per_connection: u64 = 10_000, in 1..=1_000_000_000;
        /// Age at which a connection is ended in good order.
        pub connection_age: Duration = Duration::from_secs(3600),
            in Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);
        /// Most connections at a time; further ones wait to be accepted.
        pub connections: usize = 4096, in 1..=1_000_000;
        /// Most connections at a time from one IPv4 address or one IPv6 /64; further ones are
        /// closed. What `trusted_proxies` names speaks for many and has no such limit.
        pub connections_per_ip: usize = 256, in 1..=1_000_000;
        /// Most requests that are worked on at a time; further ones are answered 503 at once. Once a
        /// quarter is taken, one address may have an eighth.
        pub in_flight: usize = 1024, in 1..=1_000_000;
        /// Most memory for answers that wait for their clients to read them. Above half of it,
        /// clients that read nothing are cut off after a second; above all of it, requests are
        /// answered 503.
        pub unsent_bytes: Size = Size::mib(64), in Size::mib(1)..=Size::mib(65_536);
    }
}

/// Longest path and query, what RFC 9110, section 4.1, recommends to support.
const URI_BYTES: usize = 8000;

fn loopback(port: u16) -> ListenAddress {
    ListenAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

fn addresses_make_sense(server: &ServerSection, reader: &mut Reader) {
    if server.public_url.as_deref().is_some_and(|url| !is_base_url(url)) {
        let expected = "the address of a site such as \"https://orders.example.com\"";
        reader.refuse("server", "public_url", expected);
    }
    if server.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        let expected = "networks that hold proxies only; /0 would believe everybody";
        reader.refuse("server", "trusted_proxies", expected);
    }
    if !server.admin_listen.is_local() {
        let expected = "a loopback address such as \"127.0.0.1:9443\", or \"unix:/path\"";
        reader.refuse("server", "admin_listen", expected);
    }
}

fn is_base_url(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let parsed = url.parse::<http::Uri>().ok().filter(|_| is_web);
    parsed.is_some_and(|url| {
        // It is shown to everybody, so it must not hold a password.
        let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        has_host && !has_user && url.query().is_none()
    })
}

fn files_are_named(tls: &TlsSection, reader: &mut Reader) {
    if tls.mode == TlsMode::Files {
        for (key, value) in [("certificate", &tls.certificate), ("key", &tls.key)] {
            if value.is_none() {
                let expected = "the path of a PEM file, because tls.mode = \"files\" needs it";
                reader.refuse_beside("tls", key, "mode", expected);
            }
        }
    }
}

impl LimitsSection {
    /// Returns what connections may cost.
    pub fn connections(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections: self.connections,
            connections_per_ip: self.connections_per_ip,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            write_timeout: self.write_timeout,
            least_bytes_per_second: self.least_bytes_per_second.as_u64(),
            requests_per_connection: self.requests_per_connection,
            connection_age: self.connection_age,
            header_count: self.header_count,
        }
    }

    /// Returns the limits of the public listener's requests.
    pub fn public_edge(&self, server: &ServerSection, per_ip: Throttle) -> EdgeSettings {
        EdgeSettings {
            body_bytes: self.body_bytes.as_usize(),
            body_timeout: self.body_timeout,
            least_bytes_per_second: self.least_bytes_per_second.as_u64(),
            request_timeout: self.request_timeout,
            header_bytes: self.header_bytes.as_usize(),
            header_count: self.header_count,
            uri_bytes: URI_BYTES,
            in_flight: self.in_flight,
            unsent_bytes: self.unsent_bytes.as_usize(),
            trusted_proxies: TrustedProxies::new(
                server.trusted_proxies.clone(),
                server.forwarded_header,
            ),
            per_ip: Arc::new(RateLimiter::of(per_ip)),
            per_account: Arc::new(RateLimiter::of(Throttle::Off)),
            listener: Listener::Public,
            strict_transport: false,
            serves_while_draining: false,
        }
    }

    /// Returns the limits of the admin listener's requests: the same, save that nobody is
    /// trusted or throttled there, and that it answers while the service drains.
    pub fn admin_edge(&self) -> EdgeSettings {
        let mut edge = self.public_edge(&ServerSection::default(), Throttle::Off);
        edge.serves_while_draining = true;
        edge.listener = Listener::Admin;
        edge
    }
}
