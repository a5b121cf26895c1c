//! Reading the `Forwarded` header (RFC 7239), one element for each proxy on the way.
//!
//! The rules of this parser:
//!
//! 1. It reads from the right, where the nearest proxy wrote. What a client put to the left of that,
//!    an open quote for instance, changes nothing about what stands to the right of it.
//! 2. An element that is malformed, has two `for`, has none, or hides the address (`unknown`,
//!    `_name`) names nobody. It is never guessed at, and never skipped: a proxy that does not know
//!    its client does not vouch for what stands to the left.
//! 3. Each byte is looked at a bounded number of times, and nothing is copied.
//!
//! It leaves out what the other parameters (`by`, `host`, `proto`) say, and who may be believed:
//! that is for [`super::address`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whom each element of `line` names, the right-most first; `None` for nobody.
pub(super) fn hops(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let (before, element) = split_last(rest?);
        rest = before;
        Some(client_of(element))
    })
}

/// Returns the address in a node such as `192.0.2.1`, `192.0.2.1:80` or `[2001:db8::1]:80`
/// (RFC 7239, section 6). An IPv6 address without brackets is none, and neither is a name.
pub(super) fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (address, after) = inside.split_once(']')?;
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), after)
        }
        None => {
            let (address, after) = text.split_at(text.find(':').unwrap_or(text.len()));
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), after)
        }
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address)
}

/// One to five digits, or a name that hides the port.
fn is_port(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(is_plain),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Splits at the last comma that is in no quoted string, seen from the right: every quote there
/// belongs to a string that ends to the right of it, whatever a client sent before.
fn split_last(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (place, byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' => is_quoted = !is_quoted || is_escaped(line, place),
            b',' if !is_quoted => {
                let (before, comma_and_element) = line.split_at(place);
                return (Some(before), comma_and_element.strip_prefix(b",").unwrap_or_default());
            }
            _ => {}
        }
    }
    (None, line)
}

/// Whether an odd number of backslashes stands before `place`.
fn is_escaped(line: &[u8], place: usize) -> bool {
    let before = line.iter().take(place).rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Returns the address in the one `for` of an element: `name=value` pairs between semicolons.
fn client_of(element: &[u8]) -> Option<IpAddr> {
    let mut client = None;
    for_each_pair(element.trim_ascii(), |name, value| {
        let is_first = !name.eq_ignore_ascii_case(b"for") || client.replace(value).is_none();
        is_first.then_some(())
    })?;
    node(client?)
}

/// Calls `each` with the name and the value of every pair; `None` if `each` refuses one, or if
/// the element is malformed anywhere.
fn for_each_pair<'a>(
    element: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>,
) -> Option<()> {
    let mut rest = element;
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix(b";") {
            rest = next;
            continue;
        }
        let (name, after_name) = token(rest)?;
        let after_sign = after_name.strip_prefix(b"=")?;
        let (value, after) = quoted(after_sign).or_else(|| token(after_sign))?;
        if !after.is_empty() && !after.starts_with(b";") {
            return None;
        }
        each(name, value)?;
        rest = after;
    }
    Some(())
}

/// Splits a token off the start (RFC 9110, section 5.6.2).
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits a quoted string off the start, without its quotes (RFC 9110, section 5.6.4). Escapes
/// stay as they are, because no address has one.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let mut is_escape = false;
    for (place, byte) in inside.iter().enumerate() {
        match byte {
            _ if is_escape => is_escape = false,
            b'\\' => is_escape = true,
            b'"' => {
                let (value, quote_and_rest) = inside.split_at(place);
                return Some((value, quote_and_rest.strip_prefix(b"\"")?));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Vec<String> {
        let shown = |hop: Option<IpAddr>| hop.map_or("-".to_owned(), |address| address.to_string());
        hops(line.as_bytes()).map(shown).collect()
    }

    #[test]
    fn every_writing_of_an_address_in_rfc_7239_is_read() {
        for (line, address) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("for=\"192.0.2.43\"", "192.0.2.43"),
            ("for=\"192.0.2.43:47011\"", "192.0.2.43"),
            ("for=\"192.0.2.43:_hidden\"", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("FOR=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("by=\"a,\\\";for=1.1.1.1\";host=x;for=192.0.2.60", "192.0.2.60"),
            (" \tfor=192.0.2.60 ", "192.0.2.60"),
            (";;for=192.0.2.60;", "192.0.2.60"),
        ] {
            assert_eq!(read(line), [address], "{line}");
        }
    }

    #[test]
    fn what_is_malformed_or_hidden_names_nobody() {
        for line in [
            "",
            " ",
            ";",
            "for",
            "for=",
            "=192.0.2.1",
            "192.0.2.1",
            "proto=https",
            "for=unknown",
            "for=_SEVKISEK",
            "for=\"unknown:80\"",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1;FOR=192.0.2.2",
            "for=192.0.2.1:80",
            "for=2001:db8::1",
            "for=\"2001:db8::1\"",
            "for=[2001:db8::1]",
            "for=\"[2001:db8::1\"",
            "for=\"[192.0.2.1]\"",
            "for=\"[fe80::1%eth0]\"",
            "for=\"192.0.2.1:\"",
            "for=\"192.0.2.1:123456\"",
            "for=\"192.0.2.1:8x\"",
            "for=\"192.0.2.1:_\"",
            "for=\" 192.0.2.1\"",
            "for=\"192.0.2.01\"",
            "for=\"192\\.0.2.1\"",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=192.0.2.1; proto=http",
            "for= 192.0.2.1",
            "for =192.0.2.1",
            "for=192.0.2.1 proto=http",
            "for=192.0.2.1;proto",
            "for=192.0.2.1;proto=\"x\"y",
            "f\u{f6}r=192.0.2.1",
            "x-for=192.0.2.1",
        ] {
            assert_eq!(read(line), ["-"], "{line}");
        }
    }

    #[test]
    fn elements_are_read_from_the_right_and_none_is_skipped() {
        assert_eq!(
            read("for=192.0.2.1, for=unknown,,for=\"[2001:db8::1]\";by=\"a,b\""),
            ["2001:db8::1", "-", "-", "192.0.2.1"]
        );
    }

    fn name_in_any_case() -> impl Strategy<Value = String> {
        let letter = |one: char| prop_oneof![Just(one), Just(one.to_ascii_uppercase())];
        (letter('f'), letter('o'), letter('r')).prop_map(|(f, o, r)| format!("{f}{o}{r}"))
    }

    /// A well-formed `for`, and whom it names.
    fn client() -> impl Strategy<Value = (String, Option<IpAddr>)> {
        let port = prop_oneof![Just(String::new()), ":[0-9]{1,5}", ":_[A-Za-z0-9._-]{1,8}"];
        let is_quoted = any::<bool>();
        prop_oneof![
            (any::<Ipv4Addr>(), port.clone(), is_quoted).prop_map(|(four, port, is_quoted)| {
                let is_token = port.is_empty() && !is_quoted;
                let text = if is_token { four.to_string() } else { format!("\"{four}{port}\"") };
                (text, Some(IpAddr::V4(four)))
            }),
            (any::<Ipv6Addr>(), port)
                .prop_map(|(six, port)| (format!("\"[{six}]{port}\""), Some(IpAddr::V6(six)))),
            prop_oneof![Just("unknown".to_owned()), "_[A-Za-z0-9._-]{1,8}"]
                .prop_map(|hidden| (hidden, None)),
        ]
    }

    /// A well-formed element with the pairs in any order, and whom it names.
    fn element() -> impl Strategy<Value = (String, Option<IpAddr>)> {
        let other = "(by|host|proto|x!)=([A-Za-z0-9._-]{1,8}|\"([ !#-\\[\\]-~]|\\\\[ -~]){0,8}\")";
        (
            name_in_any_case(),
            client(),
            prop::collection::vec(other, 0..4),
            any::<prop::sample::Index>(),
        )
            .prop_map(|(name, (text, address), mut pairs, place)| {
                pairs.insert(place.index(pairs.len() + 1), format!("{name}={text}"));
                (pairs.join(";"), address)
            })
    }

    proptest! {
        #[test]
        fn what_is_well_formed_is_read_back(
            elements in prop::collection::vec(element(), 1..6), space in "[ \t]{0,2}"
        ) {
            let texts: Vec<&str> = elements.iter().map(|(text, _)| text.as_str()).collect();
            let line = texts.join(&format!("{space},{space}"));
            let named: Vec<_> = elements.iter().rev().map(|(_, address)| *address).collect();
            prop_assert_eq!(hops(line.as_bytes()).collect::<Vec<_>>(), named);
        }

        #[test]
        fn what_a_client_sent_does_not_change_what_a_proxy_appended(
            sent in "[\t -~\u{80}-\u{ff}]{0,30}", (element, address) in element()
        ) {
            let line = format!("{sent},{element}");
            prop_assert_eq!(hops(line.as_bytes()).next(), Some(address));
        }

        #[test]
        fn no_bytes_make_it_panic_or_go_on_for_ever(bytes: Vec<u8>) {
            prop_assert!(hops(&bytes).count() <= bytes.len() + 1);
            node(&bytes);
        }
    }
}
