//! As much of X.509 (RFC 5280, section 4.1) as rustls does not tell: who issued a certificate, how it
//! is signed, what kind of key it is about, and for what it is good. Nothing here decides whether a
//! certificate is trusted.

use super::extensions::{Extensions, extensions};

/// What stands in a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    /// Who issued it, as it is encoded.
    pub(super) issuer: &'a [u8],
    /// Whom it is about, as it is encoded.
    pub(super) subject: &'a [u8],
    /// The key that it vouches for.
    pub(super) key: Key,
    /// The digest that its signature is over, if that is one that can be forged.
    pub(super) weak_digest: Option<&'static str>,
    /// For what it is good.
    pub(super) extensions: Extensions,
}

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// One of the curves that clients of TLS 1.3 speak (RFC 8446, section 4.2.3).
    KnownCurve,
    /// Another curve.
    OtherCurve,
    /// Anything else, such as DSA.
    Other,
}

pub(super) const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OBJECT: u8 = 0x06;
/// The version, which the first version of X.509 does not have.
const VERSION: u8 = 0xA0;

const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
/// P-256, P-384 and P-521.
const CURVES: [&[u8]; 3] = [
    &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
    &[0x2B, 0x81, 0x04, 0x00, 0x22],
    &[0x2B, 0x81, 0x04, 0x00, 0x23],
];
/// Ways to sign over MD5 and SHA-1 (RFC 3279, section 2.2): both have been forged.
const WEAK_DIGESTS: [(&[u8], &str); 4] = [
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x04], "MD5"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x05], "SHA-1"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x01], "SHA-1"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x03], "SHA-1"),
];

/// Reads a certificate; `None` if it is none.
pub(super) fn facts(certificate: &[u8]) -> Option<Facts<'_>> {
    let whole = take(certificate, SEQUENCE)?.content;
    let signed = take(whole, SEQUENCE)?;
    let signature = take(take(signed.rest, SEQUENCE)?.content, OBJECT)?.content;
    let mut rest = signed.content;
    if let Some(version) = take(rest, VERSION) {
        rest = version.rest;
    }
    rest = take(rest, INTEGER)?.rest;
    rest = take(rest, SEQUENCE)?.rest;
    let issuer = take(rest, SEQUENCE)?;
    let validity = take(issuer.rest, SEQUENCE)?;
    let subject = take(validity.rest, SEQUENCE)?;
    let key = take(subject.rest, SEQUENCE)?;
    let weak = WEAK_DIGESTS.iter().find(|(algorithm, _)| *algorithm == signature);
    Some(Facts {
        issuer: issuer.content,
        subject: subject.content,
        key: key_of(key.content)?,
        weak_digest: weak.map(|(_, digest)| *digest),
        extensions: extensions(key.rest),
    })
}

fn key_of(info: &[u8]) -> Option<Key> {
    let algorithm = take(info, SEQUENCE)?;
    let name = take(algorithm.content, OBJECT)?;
    Some(match name.content {
        RSA => Key::Rsa(modulus_bits(algorithm.rest)?),
        EC => match take(name.rest, OBJECT) {
            Some(curve) if CURVES.contains(&curve.content) => Key::KnownCurve,
            _ => Key::OtherCurve,
        },
        ED25519 => Key::KnownCurve,
        _ => Key::Other,
    })
}

/// Returns the bits of the modulus of an RSA key (RFC 8017, section A.1.1).
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let bits = take(key, BIT_STRING)?.content;
    let (_unused, bits) = bits.split_first()?;
    let modulus = take(take(bits, SEQUENCE)?.content, INTEGER)?.content;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    let leading = usize::try_from(first.leading_zeros()).ok()?;
    Some((modulus.len() - zeros) * 8 - leading)
}

pub(super) struct Element<'a> {
    pub(super) content: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// Takes one element of the kind `tag` from the front (ITU-T X.690, section 8.1).
pub(super) fn take(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    let (found, bytes) = bytes.split_first()?;
    let (length, bytes) = bytes.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, bytes) = match usize::from(*length) {
        short @ 0..=0x7F => (short, bytes),
        // A certificate is far shorter than four bytes can say.
        long @ 0x81..=0x84 => {
            let (digits, bytes) = bytes.split_at_checked(long - 0x80)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), bytes)
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some(Element { content, rest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn certificate(key: &KeyPair) -> Vec<u8> {
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.self_signed(key).unwrap().der().to_vec()
    }

    #[test]
    fn issuer_subject_and_key_are_read() {
        for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let der = certificate(&KeyPair::generate_for(kind).unwrap());

            let facts = facts(&der).unwrap();

            assert_eq!(facts.issuer, facts.subject);
            assert!(!facts.issuer.is_empty());
            assert_eq!((facts.key, facts.weak_digest), (Key::KnownCurve, None));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_cut_or_changed_makes_it_panic(cut in 0..500_usize, byte: u8, at in 0..500_usize) {
            let key = KeyPair::generate().unwrap();
            let mut der = certificate(&key);
            if let Some(changed) = der.get_mut(at) {
                *changed = byte;
            }
            facts(&der);
            facts(der.get(..cut).unwrap_or(&der));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            facts(&bytes);
        }
    }
}
