//! HKDF with SHA-256 (RFC 5869): many independent keys from one.

use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The most that RFC 5869 allows to be drawn from one key: 255 blocks.
const MOST: usize = 255 * 32;

/// Makes a uniform key from `input`, which may have any form.
pub(super) fn extract(salt: &[u8], input: &[u8]) -> [u8; 32] {
    hmac(salt).chain_update(input).finalize().into_bytes().into()
}

/// Draws `N` bytes for `info` from the uniform `key`.
pub(super) fn expand<const N: usize>(key: &[u8; 32], info: &[u8]) -> [u8; N] {
    const { assert!(N <= MOST, "RFC 5869 allows 255 blocks") };
    let mut output = [0; N];
    let mut block = Zeroizing::new([0_u8; 32]);
    for (counter, part) in (1_u8..=255).zip(output.chunks_mut(32)) {
        let before: &[u8] = if counter == 1 { &[] } else { &*block };
        let mac = hmac(key).chain_update(before).chain_update(info).chain_update([counter]);
        *block = mac.finalize().into_bytes().into();
        part.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
    }
    output
}

/// Starts an HMAC-SHA256 with a key of any length.
#[expect(clippy::expect_used, reason = "HMAC hashes a key that is too long and pads a short one")]
pub(super) fn hmac(key: &[u8]) -> Hmac<Sha256> {
    let mac: Result<_, InvalidLength> = Hmac::new_from_slice(key);
    mac.expect("every length is a valid key")
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }

    #[test]
    fn test_case_1_of_rfc_5869() {
        let key = extract(&bytes("000102030405060708090a0b0c"), &[0x0b; 22]);
        assert_eq!(
            HEXLOWER.encode(&key),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
        );
        assert_eq!(
            HEXLOWER.encode(&expand::<42>(&key, &bytes("f0f1f2f3f4f5f6f7f8f9"))),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn test_case_2_of_rfc_5869_with_long_inputs() {
        let (input, salt): (Vec<u8>, Vec<u8>) = ((0x00..=0x4f).collect(), (0x60..=0xaf).collect());
        let info: Vec<u8> = (0xb0..=0xff).collect();
        assert_eq!(
            HEXLOWER.encode(&expand::<82>(&extract(&salt, &input), &info)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87"
        );
    }

    #[test]
    fn test_case_3_of_rfc_5869_without_salt_and_info() {
        assert_eq!(
            HEXLOWER.encode(&expand::<42>(&extract(&[], &[0x0b; 22]), &[])),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }
}
