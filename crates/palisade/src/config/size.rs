//! Amounts of bytes as people write them: `65536`, `"64KiB"`, `"1MiB"`.

use std::borrow::Cow;
use std::fmt;

use super::{FromSetting, Raw, Unfit};

/// The units and their bytes, largest first. `KB` is missing on purpose: it means two things.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// An amount of bytes.
///
/// ```
/// use palisade::config::{FromSetting, Size};
///
/// assert_eq!(Size::from_text("64KiB"), Some(Size::bytes(65_536)));
/// assert_eq!(Size::kib(1024).to_string(), "1MiB");
/// assert_eq!(Size::bytes(1000).to_string(), "1000");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// Returns `count` bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// Returns `count` times 1024 bytes, or the largest size there is.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// Returns `count` times 1024 KiB, or the largest size there is.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// Returns `count` times 1024 MiB, or the largest size there is.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// Returns the number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes, or the most that this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Returns the largest unit that divides the size, and how often it does.
    fn in_unit(self) -> Option<(u64, &'static str)> {
        let divides = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        UNITS.iter().find(divides).map(|(unit, bytes)| (self.0 / bytes, *unit))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_unit() {
            Some((count, unit)) => write!(out, "{count}{unit}"),
            None => write!(out, "{}", self.0),
        }
    }
}

impl FromSetting for Size {
    fn expected() -> Cow<'static, str> {
        "a size such as 65536, \"64KiB\" or \"1MiB\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (digits, bytes) = unit.unwrap_or((text, 1));
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(bytes).map(Self)
    }

    fn written(&self) -> String {
        self.to_string()
    }

    fn from_raw(raw: &Raw) -> Result<Self, Unfit> {
        match raw {
            Raw::Integer(count) => u64::try_from(*count).ok().map(Self),
            Raw::Text(text) | Raw::Variable(text) => Self::from_text(text),
            Raw::Boolean(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Unfit::for_type::<Self>(raw))
    }

    fn to_toml(&self) -> String {
        match self.in_unit() {
            Some(_) => super::quoted(&self.to_string()),
            None => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_size_is_read_back(count: u64, shift in 0..64_u32) {
            let size = Size::bytes(count >> shift << (shift / 2));
            prop_assert_eq!(Size::from_text(&size.to_string()), Some(size));
        }

        #[test]
        fn whatever_is_accepted_can_be_written_and_read_back(text in "[0-9]{0,22}([KMG]iB|.*)") {
            if let Some(value) = Size::from_text(&text) {
                prop_assert_eq!(Size::from_text(&value.written()), Some(value));
            }
        }
    }

    #[test]
    fn a_size_may_be_a_number_in_toml_and_text_in_the_environment() {
        assert_eq!(Size::from_raw(&Raw::Integer(65_536)), Ok(Size::kib(64)));
        assert_eq!(Size::from_raw(&Raw::Variable("65536".into())), Ok(Size::kib(64)));
    }

    #[test]
    fn what_is_ambiguous_negative_or_too_large_is_no_size() {
        for text in ["", "KiB", "64KB", "64 KiB", "64kib", "-1", "+1", "17179869184GiB"] {
            assert_eq!(Size::from_text(text), None, "{text}");
        }
        assert!(Size::from_raw(&Raw::Integer(-1)).is_err());
    }
}
