//! One key of a section: its name, its documentation, its default and its bounds.

use std::ops::RangeInclusive;

use super::{FromSetting, KeyOutline, Raw, Unfit};

/// What [`settings!`](crate::settings) says about one key.
#[derive(Debug, Clone)]
pub struct Field<T> {
    name: &'static str,
    about: &'static str,
    default: T,
    bounds: Option<Bounds<T>>,
}

/// Keeps the comparison beside the range, so that only bounded types need an order.
#[derive(Debug, Clone)]
struct Bounds<T> {
    range: RangeInclusive<T>,
    holds: fn(&RangeInclusive<T>, &T) -> bool,
}

impl<T: FromSetting> Field<T> {
    /// Describes a key that accepts every value of its type.
    pub fn new(name: &'static str, about: &'static str, default: T) -> Self {
        Self { name, about, default, bounds: None }
    }

    /// Accepts only values in `range`.
    #[must_use]
    pub fn within(mut self, range: RangeInclusive<T>) -> Self
    where
        T: PartialOrd,
    {
        self.bounds = Some(Bounds { range, holds: |range, value| range.contains(value) });
        self
    }

    /// Returns what the example file says about the key.
    pub fn outline(&self) -> KeyOutline {
        KeyOutline {
            name: self.name,
            about: self.about,
            default: self.default.to_toml(),
            expected: self.expected(),
        }
    }

    /// Returns the key's name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Takes the default out.
    pub(super) fn into_default(self) -> T {
        self.default
    }

    /// Reads what a layer says.
    pub(super) fn judge(&self, raw: &Raw) -> Result<T, Unfit> {
        let expected = |found: &str| Unfit::new(self.expected(), found);
        let value = T::from_raw(raw).map_err(|unfit| match self.bounds {
            Some(_) => expected(&unfit.found),
            None => Unfit { expected: self.with_natural_bounds(unfit.expected), ..unfit },
        })?;
        self.admits(&value)?;
        Ok(value)
    }

    /// Refuses the default if it is out of its own bounds, which only a test should ever see.
    pub(super) fn judge_default(&self) -> Result<(), Unfit> {
        self.admits(&self.default)
    }

    fn admits(&self, value: &T) -> Result<(), Unfit> {
        match &self.bounds {
            Some(bounds) if !(bounds.holds)(&bounds.range, value) => {
                Err(Unfit::new(self.expected(), &value.to_toml()))
            }
            _ => Ok(()),
        }
    }

    fn expected(&self) -> String {
        match &self.bounds {
            Some(Bounds { range, .. }) => {
                let (least, most) = (range.start().written(), range.end().written());
                format!("{}, from {least} to {most}", T::expected())
            }
            None => self.with_natural_bounds(T::expected().into_owned()),
        }
    }

    /// Adds the bounds of the type itself to words that speak of the whole value.
    fn with_natural_bounds(&self, expected: String) -> String {
        match T::natural_bounds() {
            Some((least, most)) => format!("{expected}, from {least} to {most}"),
            None => expected,
        }
    }
}
