//! One measured quantity: its samples, and the three numbers people want to see.

/// What was measured, in one unit, as often as it was repeated.
#[derive(Debug)]
pub(crate) struct Figures {
    /// The key in the JSON line; ends in the unit.
    pub(crate) key: &'static str,
    /// What it is, for the table.
    pub(crate) what: &'static str,
    samples: Vec<f64>,
}

impl Figures {
    /// Starts without a sample.
    pub(crate) fn new(key: &'static str, what: &'static str) -> Self {
        Self { key, what, samples: Vec::new() }
    }

    /// Adds one measurement and keeps the samples in order.
    pub(crate) fn add(&mut self, sample: f64) {
        let at = self.samples.partition_point(|other| *other < sample);
        self.samples.insert(at, sample);
    }

    /// Returns how often it was measured.
    pub(crate) fn count(&self) -> usize {
        self.samples.len()
    }

    /// Returns the smallest sample; not a number if there is none.
    pub(crate) fn min(&self) -> f64 {
        self.samples.first().copied().unwrap_or(f64::NAN)
    }

    /// Returns the sample in the middle, the upper one of two; not a number if there is none.
    pub(crate) fn median(&self) -> f64 {
        self.samples.get(self.samples.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Returns the largest sample; not a number if there is none.
    pub(crate) fn max(&self) -> f64 {
        self.samples.last().copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_depend_on_the_order_of_the_samples() {
        let mut figures = Figures::new("x_ms", "x");

        for sample in [5.0, 1.0, 4.0, 2.0, 30.0] {
            figures.add(sample);
        }

        assert_eq!([figures.min(), figures.median(), figures.max()], [1.0, 4.0, 30.0]);
        assert_eq!(figures.count(), 5);
    }
}
