//! The white space around names and addresses, which people paste along and never mean.

/// The characters that [`str::trim`] removes (Unicode `White_Space`), as an ECMA-262 class.
pub(super) const WHITE_SPACE: &str =
    r"[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// Returns `raw` without the white space around it, or `None` if `raw` as it came has more than
/// `most` characters.
pub(super) fn trimmed(raw: &str, most: usize) -> Option<&str> {
    match raw.chars().nth(most) {
        Some(_) => None,
        None => Some(raw.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the class back: single characters and ranges, all written as `\uXXXX`.
    fn ranges() -> Vec<(u32, u32)> {
        let inside = WHITE_SPACE.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut goes_on = false;
        for part in inside.split(r"\u").skip(1) {
            let code = u32::from_str_radix(part.trim_end_matches('-'), 16).unwrap();
            match goes_on {
                true => ranges.last_mut().unwrap().1 = code,
                false => ranges.push((code, code)),
            }
            goes_on = part.ends_with('-');
        }
        ranges
    }

    #[test]
    fn the_class_holds_exactly_what_trim_removes() {
        let ranges = ranges();
        for character in '\0'..=char::MAX {
            let code = u32::from(character);
            let is_in_class = ranges.iter().any(|(first, last)| (*first..=*last).contains(&code));
            assert_eq!(is_in_class, character.is_whitespace(), "{character:?}");
        }
    }
}
