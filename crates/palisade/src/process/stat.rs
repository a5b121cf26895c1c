//! The fields of `/proc/self/stat`, by their places in proc(5).

use std::str::FromStr;

/// Returns one field, by its place counted from 1. The second is the program's name in brackets,
/// in which anything may stand, brackets too.
pub(super) fn field<T: FromStr>(stat: &str, place: usize) -> Option<T> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(place.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 12345 1 2";

        assert_eq!(field(stat, 14), Some(250_u64));
        assert_eq!(field(stat, 22), Some(12_345.0));
        assert_eq!(field::<u64>(stat, 26), None);
        assert_eq!(field::<u64>("7 (a) S 1", 2), None);
        assert_eq!(field::<u64>("", 14), None);
    }
}
