//! Codes of authenticator apps (TOTP, RFC 6238), as all of them make them: SHA-1, 6 digits, 30 seconds.

use data_encoding::BASE32_NOPAD;
use totp_rs::{Builder, Totp};

use super::random_bytes;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Bytes of a secret: as many as RFC 4226, section 4, recommends.
const SECRET: usize = 20;
/// Seconds for which a code is shown.
const STEP: u64 = 30;
/// Steps before and behind the present one whose code is taken (RFC 6238, section 5.2).
const SKEW: u16 = 1;

/// What an authenticator app and the service share.
///
/// Whoever accepts a code must remember its step, and accept none of that step or an earlier one again:
/// a code that somebody saw over a shoulder is good for half a minute.
///
/// ```
/// use palisade::clock::Timestamp;
/// use palisade::crypto::TotpSecret;
///
/// let secret = TotpSecret::generate();
/// assert!(secret.uri("Orderdesk", "ada").starts_with("otpauth://totp/Orderdesk:ada?secret="));
/// assert_eq!(secret.step_of("no code", Timestamp::from_millis(0)), None);
/// ```
#[derive(Debug, Clone)]
pub struct TotpSecret(Secret<Vec<u8>>);

impl TotpSecret {
    /// Makes a secret of 160 random bits.
    pub fn generate() -> Self {
        Self(Secret::new(random_bytes::<SECRET>().to_vec()))
    }

    /// Takes the bytes that [`TotpSecret::expose`] returned; `None` if there are too few.
    pub fn from_bytes(bytes: Secret<Vec<u8>>) -> Option<Self> {
        (bytes.expose().len() == SECRET).then_some(Self(bytes))
    }

    /// Returns the bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns the secret as people type it: base 32, 32 characters.
    pub fn to_base32(&self) -> Secret<String> {
        Secret::new(BASE32_NOPAD.encode(self.0.expose()))
    }

    /// Returns the address that an app reads from a QR code. `issuer` and `name` are written as they
    /// are: letters, digits, `.`, `-` and `_`; anything else in them is left out.
    pub fn uri(&self, issuer: &str, name: &str) -> String {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect()
        };
        let (issuer, name, secret) = (plain(issuer), plain(name), self.to_base32());
        let secret = secret.expose();
        format!(
            "otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6\
             &period={STEP}"
        )
    }

    /// Returns the step of time whose code `code` is, if that is the present one, the one before or the
    /// one behind it. It is compared in constant time.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let seconds = u64::try_from(now.as_millis()).ok()? / 1000;
        // The check looks one step back.
        let step = self.totp().check(code, seconds.max(STEP))?;
        i64::try_from(step).ok()
    }

    /// Returns the code that an app shows at `now`: for tests of what asks for one.
    pub fn code_at(&self, now: Timestamp) -> String {
        let seconds = u64::try_from(now.as_millis()).unwrap_or_default() / 1000;
        self.totp().generate(seconds).to_string()
    }

    fn totp(&self) -> Totp {
        let secret = self.0.expose().to_vec();
        Builder::new()
            .with_secret(secret)
            .with_digits(6)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the ASCII digits, and the last 6 of the 8 that it shows.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let secret = Secret::new(b"12345678901234567890".to_vec());
        let secret = TotpSecret::from_bytes(secret).unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(secret.code_at(now), code);
            assert_eq!(secret.step_of(code, now), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_late_and_no_more() {
        let secret = TotpSecret::generate();
        let at = |step: i64| Timestamp::from_millis(step * 30_000 + 7_000);
        let code = secret.code_at(at(1000));

        assert_eq!([999, 1000, 1001].map(|step| secret.step_of(&code, at(step))), [Some(1000); 3]);
        // Of a million codes, three others are good at any time.
        let neighbours = [997, 1003].map(|step| secret.step_of(&code, at(step)));
        assert!(neighbours.iter().all(|found| *found != Some(1000)));
    }

    #[test]
    fn what_is_no_code_is_none() {
        let secret = TotpSecret::generate();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let code = secret.code_at(now);
        for wrong in [
            "",
            "1",
            &code.chars().take(5).collect::<String>(),
            &format!("{code}0"),
            "abcdef",
            "１２３４５６",
            "+12345",
        ] {
            assert_eq!(secret.step_of(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn the_address_holds_nothing_that_means_something_else_there() {
        let uri = TotpSecret::generate().uri("Order desk?", "ada&secret=x/:@");
        assert!(uri.starts_with("otpauth://totp/Orderdesk:adasecretx?secret="), "{uri}");
    }
}
