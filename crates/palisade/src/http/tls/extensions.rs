//! For what a certificate is good (RFC 5280, sections 4.2.1.6 and 4.2.1.12): the names of the server,
//! and whether it may prove to be one.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::der::{OBJECT, SEQUENCE, take};

/// What the extensions of a certificate say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Extensions {
    /// The names and addresses of servers that it is for, as people write them.
    pub(super) names: Vec<String>,
    /// Whether it says for what it may be used, and leaves servers out.
    pub(super) leaves_servers_out: bool,
}

const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
/// Two fields that nobody uses stand before the extensions.
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xA3;

const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x25];
/// Clients ask for this one, and do not take the one for any use instead.
const SERVER_AUTHENTICATION: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// Reads what stands behind the key; nothing where nothing can be read.
pub(super) fn extensions(mut rest: &[u8]) -> Extensions {
    let mut read = Extensions::default();
    for unused in [ISSUER_ID, SUBJECT_ID] {
        rest = take(rest, unused).map_or(rest, |field| field.rest);
    }
    let all = take(rest, EXTENSIONS).and_then(|field| take(field.content, SEQUENCE));
    let mut rest = all.map(|all| all.content).unwrap_or_default();
    while let Some(extension) = take(rest, SEQUENCE) {
        rest = extension.rest;
        match value(extension.content) {
            Some((ALTERNATIVE_NAMES, value)) => read.names = names(value),
            Some((EXTENDED_KEY_USAGE, value)) => read.leaves_servers_out = !serves(value),
            Some(_) | None => {}
        }
    }
    read
}

/// Returns what an extension is called, and what it says.
fn value(extension: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = take(extension, OBJECT)?;
    let rest = take(name.rest, BOOLEAN).map_or(name.rest, |critical| critical.rest);
    Some((name.content, take(rest, OCTETS)?.content))
}

fn serves(usages: &[u8]) -> bool {
    let mut rest = take(usages, SEQUENCE).map(|all| all.content).unwrap_or_default();
    while let Some(usage) = take(rest, OBJECT) {
        if usage.content == SERVER_AUTHENTICATION {
            return true;
        }
        rest = usage.rest;
    }
    false
}

fn names(value: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = take(value, SEQUENCE).map(|all| all.content).unwrap_or_default();
    while let Some(&kind) = rest.first() {
        let Some(name) = take(rest, kind) else { break };
        rest = name.rest;
        match kind {
            DNS_NAME => names.push(String::from_utf8_lossy(name.content).into_owned()),
            IP_ADDRESS => names.extend(address(name.content)),
            _ => {}
        }
    }
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    let six = <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
    four.or(six).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};

    use super::super::der::facts;
    use super::*;

    fn read(usages: &[ExtendedKeyUsagePurpose]) -> Extensions {
        let names = ["orders.example.com".to_owned(), "192.0.2.7".to_owned(), "2001:db8::7".into()];
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = usages.to_vec();
        let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        facts(certificate.der()).unwrap().extensions
    }

    #[test]
    fn names_and_addresses_are_read_as_people_write_them() {
        assert_eq!(read(&[]).names, ["orders.example.com", "192.0.2.7", "2001:db8::7"]);
    }

    #[test]
    fn a_certificate_that_says_its_uses_serves_only_if_servers_are_among_them() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
        for (usages, leaves_servers_out) in [
            (&[][..], false),
            (&[ServerAuth], false),
            (&[ClientAuth, ServerAuth], false),
            (&[ClientAuth], true),
            (&[Any], true),
        ] {
            assert_eq!(read(usages).leaves_servers_out, leaves_servers_out, "{usages:?}");
        }
    }
}
