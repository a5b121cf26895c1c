//! Which address a request comes from: the peer's, unless a declared proxy vouches for another.
//!
//! The rules:
//!
//! 1. Only a peer inside the declared networks is asked, in the one header that the settings name.
//! 2. The header is read from the right, where the nearest proxy wrote, and only as long as each
//!    hop is a declared proxy: the first that is not is the client (OWASP ASVS 15.3.4). What stands
//!    to the left of it was written by strangers and changes nothing.
//! 3. What is malformed or names nobody ends the chain at the last proxy that was named.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::forwarded;
use super::proxies::{ForwardedHeader, TrustedProxies};

/// The address that limits and decisions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Most hops that are looked at; a longer chain is cut there.
const MOST_HOPS: usize = 16;

/// Returns the client's address. IPv4-mapped IPv6 addresses count as IPv4.
pub(super) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &TrustedProxies,
) -> ClientAddress {
    let peer = peer.to_canonical();
    if !proxies.trusts(peer) {
        return ClientAddress(peer);
    }
    let lines = headers.get_all(proxies.header().name()).iter().rev().map(HeaderValue::as_bytes);
    ClientAddress(match proxies.header() {
        ForwardedHeader::XForwardedFor => follow(peer, lines.flat_map(listed_hops), proxies),
        ForwardedHeader::Forwarded => follow(peer, lines.flat_map(forwarded::hops), proxies),
    })
}

/// Goes from hop to hop, away from `proxy`, as long as each is a proxy.
fn follow(
    proxy: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    proxies: &TrustedProxies,
) -> IpAddr {
    let mut client = proxy;
    for hop in hops.take(MOST_HOPS) {
        let Some(address) = hop else { break };
        client = address.to_canonical();
        if !proxies.trusts(client) {
            break;
        }
    }
    client
}

/// Returns the hops of an `X-Forwarded-For` line, the right-most first.
///
/// There is no standard. Addresses are read as they are, and as Azure's and others' balancers
/// write them: `192.0.2.1:80`, `[2001:db8::1]` and `[2001:db8::1]:80`.
fn listed_hops(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    line.rsplit(|byte| *byte == b',').map(|hop| {
        let hop = hop.trim_ascii();
        let bare = std::str::from_utf8(hop).ok().and_then(|text| text.parse().ok());
        bare.or_else(|| forwarded::node(hop))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADERS: [ForwardedHeader; 2] =
        [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded];

    /// Returns who is seen by a service whose proxies are in 10.0.0.0/8.
    fn client(peer: &str, lines: &[(&str, &str)], header: ForwardedHeader) -> IpAddr {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            let name = http::HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], header);
        client_address(peer.parse().unwrap(), &headers, &proxies).0
    }

    /// The same by `X-Forwarded-For`.
    fn seen(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        client(peer, &lines, ForwardedHeader::XForwardedFor).to_string()
    }

    /// The same by `Forwarded`.
    fn seen_by_standard(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        client(peer, &lines, ForwardedHeader::Forwarded).to_string()
    }

    #[test]
    fn a_stranger_cannot_claim_another_address() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(seen_by_standard("192.0.2.1", &["for=198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_is_the_client() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        let chain = ["for=203.0.113.9", "for=198.51.100.7, for=\"10.0.0.2:80\";proto=https"];
        assert_eq!(seen_by_standard("10.0.0.1", &chain), "198.51.100.7");
        let mapped = ["for=\"[::ffff:198.51.100.7]\""];
        assert_eq!(seen_by_standard("::ffff:10.0.0.1", &mapped), "198.51.100.7");
    }

    #[test]
    fn what_names_nobody_ends_the_chain_at_the_last_proxy() {
        for nobody in ["unknown", "", " ", "_hidden", "198.51.100", "198.51.100.7 x", "[::1"] {
            assert_eq!(seen("10.0.0.1", &["198.51.100.7", nobody]), "10.0.0.1", "{nobody}");
            let chain = format!("198.51.100.7,{nobody}, 10.0.0.2");
            assert_eq!(seen("10.0.0.1", &[&chain]), "10.0.0.2", "{nobody}");
        }
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        let chain = ["for=198.51.100.7, proto=https, for=10.0.0.2"];
        assert_eq!(seen_by_standard("10.0.0.1", &chain), "10.0.0.2");
        assert_eq!(seen_by_standard("10.0.0.1", &["for=198.51.100.7, for=_x"]), "10.0.0.1");
    }

    #[test]
    fn only_the_header_that_the_settings_name_is_read() {
        let both = [("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "198.51.100.7")];
        let by = |header| client("10.0.0.1", &both, header).to_string();
        assert_eq!(by(ForwardedHeader::XForwardedFor), "198.51.100.7");
        assert_eq!(by(ForwardedHeader::Forwarded), "192.0.2.1");

        for (header, other) in [(HEADERS[0], both[0]), (HEADERS[1], both[1])] {
            assert_eq!(client("10.0.0.1", &[other], header).to_string(), "10.0.0.1");
        }
    }

    #[test]
    fn the_writings_of_several_balancers_are_read() {
        for hop in ["192.0.2.1", "192.0.2.1:4711", "\t192.0.2.1 "] {
            assert_eq!(seen("10.0.0.1", &[hop]), "192.0.2.1", "{hop}");
        }
        for hop in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711", "2001:DB8:0::1"] {
            assert_eq!(seen("10.0.0.1", &[hop]), "2001:db8::1", "{hop}");
        }
    }

    #[test]
    fn a_chain_of_proxies_only_is_followed_for_16_hops() {
        let chain = (2..=40).rev().map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(seen("10.0.0.1", &[&chain]), "10.0.0.17");
    }

    fn header() -> impl Strategy<Value = ForwardedHeader> {
        prop::sample::select(HEADERS.to_vec())
    }

    /// A hop as the header writes it.
    fn written(address: IpAddr, header: ForwardedHeader) -> String {
        match (header, address) {
            (ForwardedHeader::XForwardedFor, _) => address.to_string(),
            (ForwardedHeader::Forwarded, IpAddr::V4(four)) => format!("for={four}"),
            (ForwardedHeader::Forwarded, IpAddr::V6(six)) => format!("for=\"[{six}]\""),
        }
    }

    fn is_proxy(address: IpAddr) -> bool {
        matches!(address.to_canonical(), IpAddr::V4(four) if four.octets()[0] == 10)
    }

    /// A line of what stands in these headers, in no order.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[\t -~\u{80}-\u{ff}]{0,40}",
            "(10\\.0\\.0\\.[1-9]|192\\.0\\.2\\.1|::ffff:10\\.1\\.1\\.1|2001:db8::1|for=|For=|proto=|[\\[\\]\",;:\\\\ ]|unknown|_x|80){0,16}",
        ]
    }

    /// Returns every address that can be found in a text, whatever stands around it.
    fn addresses_in(text: &str) -> Vec<IpAddr> {
        let runs = text.split(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
        let forms = runs.flat_map(|run| {
            let without_port = run.split_once(':').map_or(run, |(before, _)| before);
            [run, without_port, run.trim_end_matches(':')]
        });
        forms
            .filter_map(|form| form.parse().ok())
            .map(|found: IpAddr| found.to_canonical())
            .collect()
    }

    proptest! {
        #[test]
        fn the_client_is_the_peer_or_stands_in_the_header(
            header in header(), lines in prop::collection::vec(line(), 0..4)
        ) {
            let named: Vec<_> = lines.iter().map(|line| (header.name(), line.as_str())).collect();
            let named: Vec<_> = named.iter().map(|(name, line)| (name.as_str(), *line)).collect();

            let client = client("10.0.0.1", &named, header);

            let written: Vec<IpAddr> = lines.iter().flat_map(|line| addresses_in(line)).collect();
            let is_peer = client.to_string() == "10.0.0.1";
            prop_assert!(is_peer || written.contains(&client), "{} from {:?}", client, lines);
        }

        #[test]
        fn what_stands_left_of_the_first_stranger_never_matters(
            header in header(),
            sent in prop::collection::vec(line(), 0..3),
            stranger: IpAddr,
            proxies in prop::collection::vec(any::<[u8; 3]>(), 0..5),
            is_a_line_of_its_own: bool,
        ) {
            prop_assume!(!is_proxy(stranger));
            let proxies = proxies.iter().map(|[a, b, c]| IpAddr::from([10, *a, *b, *c]));
            let trusted = [stranger].into_iter().chain(proxies);
            let trusted: Vec<_> = trusted.map(|address| written(address, header)).collect();
            let (mut lines, trusted) = (sent, trusted.join(", "));
            match lines.last_mut() {
                Some(last) if !is_a_line_of_its_own => *last = format!("{last}, {trusted}"),
                _ => lines.push(trusted),
            }

            let name = header.name();
            let named: Vec<_> = lines.iter().map(|line| (name.as_str(), line.as_str())).collect();
            prop_assert_eq!(client("10.0.0.1", &named, header), stranger.to_canonical());
        }

        #[test]
        fn what_a_stranger_sends_never_matters(
            header in header(),
            peer: IpAddr,
            forwarded in prop::collection::vec(line(), 0..3),
            x_forwarded_for in prop::collection::vec(line(), 0..3),
        ) {
            prop_assume!(!is_proxy(peer));
            let standard = forwarded.iter().map(|line| ("forwarded", line.as_str()));
            let other = x_forwarded_for.iter().map(|line| ("x-forwarded-for", line.as_str()));
            let lines: Vec<_> = standard.chain(other).collect();
            prop_assert_eq!(client(&peer.to_string(), &lines, header), peer.to_canonical());
        }
    }
}
