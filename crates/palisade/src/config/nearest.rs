//! The name that somebody probably meant.

/// Longest name that is compared; nothing longer resembles a setting.
const MOST_CHARACTERS: usize = 64;

/// Returns the candidate that is closest to `name`, if one is close enough to be meant.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    if wanted.len() > MOST_CHARACTERS {
        return None;
    }
    let most_edits = (wanted.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= most_edits)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Counts the insertions, deletions and replacements between two names (Levenshtein).
fn distance(wanted: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (line, symbol) in candidate.chars().enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (expected, pair) in wanted.iter().zip(row.windows(2)) {
            let (diagonal, above) = match pair {
                [diagonal, above] => (*diagonal, *above),
                _ => continue,
            };
            let replaced = diagonal + usize::from(*expected != symbol);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_the_name_that_was_meant() {
        let known = ["listen", "admin_listen", "public_url"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("LISTEN", known), Some("listen"));
        assert_eq!(nearest("admin-listen", known), Some("admin_listen"));
        assert_eq!(nearest("bind", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn the_distance_counts_single_edits() {
        let count = |left: &str, right| distance(&left.chars().collect::<Vec<_>>(), right);
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", "abc"), 0);
    }
}
