//! Lists of values: each element is judged, and every wrong one is told with its place.

use std::borrow::Cow;

use super::{FromSetting, Raw, Unfit};

/// Most wrong elements that a message repeats; how many more there are is said.
const MOST_TOLD: usize = 8;

/// Reads every element, or says which of them are wrong; `expected` is what the whole list may be.
pub(super) fn read<T: FromSetting>(
    elements: &[Raw],
    expected: Cow<'static, str>,
) -> Result<Vec<T>, Unfit> {
    let (mut values, mut wrong) = (Vec::with_capacity(elements.len()), Vec::new());
    for (place, element) in (1..).zip(elements) {
        match T::from_raw(element) {
            Ok(value) => values.push(value),
            Err(unfit) => wrong.push((place, unfit.found)),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(unfit(expected, &wrong, elements.len())) }
}

/// Returns the elements of a variable, which are separated by commas.
pub(super) fn elements(variable: &str) -> Vec<Raw> {
    variable.split(',').map(|element| Raw::Variable(element.trim().to_owned())).collect()
}

fn unfit(expected: Cow<'static, str>, wrong: &[(usize, String)], all: usize) -> Unfit {
    let told = wrong.iter().take(MOST_TOLD);
    let mut found: Vec<String> = match all {
        1 => told.map(|(_, element)| element.clone()).collect(),
        _ => told.map(|(place, element)| format!("{element} (element {place})")).collect(),
    };
    let more = wrong.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        found.push(format!("and {more} more that are wrong"));
    }
    // Each is shortened, and hidden where it may hold a secret, by itself.
    Unfit { expected: expected.into_owned(), found: found.join(", ") }
}
