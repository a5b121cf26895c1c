//! The rows of the report: each request at each size, and how much longer it takes at the largest.

use anyhow::Context as _;

use super::ask::REQUESTS;
use crate::figures::Figures;

/// The sizes, in orders.
pub(super) const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// One row for each request at one size.
pub(super) type AtSize = [Figures; REQUESTS.len()];

/// Returns the empty rows for the size at `place` of [`SIZES`].
///
/// # Errors
/// When there is no such size.
pub(super) fn empty(place: usize) -> anyhow::Result<AtSize> {
    let named = NAMES.get(place).context("there is no such size")?;
    Ok(named.map(|(key, what)| Figures::new(key, what)))
}

/// Puts the sizes of each request side by side, each with what the largest takes of the smallest.
pub(super) fn side_by_side(sizes: Vec<AtSize>) -> Vec<Figures> {
    let mut sizes: Vec<_> = sizes.into_iter().map(IntoIterator::into_iter).collect();
    let mut rows = Vec::new();
    for (key, what) in RATIOS {
        let of_request: Vec<_> = sizes.iter_mut().filter_map(Iterator::next).collect();
        let mut ratio = Figures::new(key, what);
        if let (Some(smallest), Some(largest)) = (of_request.first(), of_request.last()) {
            ratio.add(largest.median() / smallest.median());
        }
        rows.push(ratio);
        rows.extend(of_request);
    }
    rows
}

/// The keys and the words of all requests, in the order of [`REQUESTS`].
macro_rules! named {
    ($before:literal, $key:literal, $words:literal) => {
        [
            (concat!($before, "find", $key), concat!("GET /orders/{id}", $words)),
            (concat!($before, "list", $key), concat!("GET /orders, all", $words)),
            (concat!($before, "list_own", $key), concat!("GET /orders, own", $words)),
            (concat!($before, "list_status", $key), concat!("GET /orders?status=, all", $words)),
            (
                concat!($before, "list_own_status", $key),
                concat!("GET /orders?status=, own", $words),
            ),
            (concat!($before, "reference", $key), concat!("GET /orders?reference=, all", $words)),
            (concat!($before, "pay", $key), concat!("POST /orders/{id}/pay", $words)),
        ]
    };
}

const NAMES: [[(&str, &str); REQUESTS.len()]; SIZES.len()] = [
    named!("", "_us_1e3", ", a thousand: us"),
    named!("", "_us_1e5", ", a hundred thousand: us"),
    named!("", "_us_1e6", ", a million: us"),
];

const RATIOS: [(&str, &str); REQUESTS.len()] =
    named!("growth_of_", "", ": medians, most orders / fewest");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_sizes_and_its_growth_together() {
        let mut sizes: Vec<_> = (0..3).map(|place| empty(place).unwrap()).collect();
        for (size, time) in sizes.iter_mut().zip([100.0, 110.0, 150.0]) {
            size.iter_mut().for_each(|figures| figures.add(time));
        }

        let rows = side_by_side(sizes);

        let keys: Vec<_> = rows.iter().take(5).map(|row| row.key).collect();
        let expected =
            ["growth_of_find", "find_us_1e3", "find_us_1e5", "find_us_1e6", "growth_of_list"];
        assert_eq!(keys, expected);
        assert!((rows[0].median() - 1.5).abs() < 1e-9);
        assert!(empty(3).is_err());
    }
}
