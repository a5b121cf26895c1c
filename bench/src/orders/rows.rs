//! The rows of the report while they fill: by key, in the order in which they were named.

use crate::figures::Figures;

/// Rows that fill round by round.
#[derive(Debug)]
pub(crate) struct Rows(Vec<Figures>);

impl Rows {
    /// Starts with these keys, and what each is.
    pub(crate) fn new(named: &[(&'static str, &'static str)]) -> Self {
        Self(named.iter().map(|(key, what)| Figures::new(key, what)).collect())
    }

    /// Adds what a round found.
    ///
    /// # Errors
    /// When there is no such row.
    pub(crate) fn add(&mut self, round: &[(&str, f64)]) -> anyhow::Result<()> {
        for (key, value) in round {
            let row = self.0.iter_mut().find(|row| row.key == *key);
            row.ok_or_else(|| anyhow::anyhow!("there is no row {key}"))?.add(*value);
        }
        Ok(())
    }

    /// Returns the rows that were filled.
    pub(crate) fn into_figures(self) -> Vec<Figures> {
        self.0.into_iter().filter(|row| row.count() > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_row() {
        let mut rows = Rows::new(&[("a", "A"), ("b", "B")]);

        rows.add(&[("b", 2.0)]).unwrap();

        assert!(rows.add(&[("c", 3.0)]).is_err());
        let keys: Vec<_> = rows.into_figures().iter().map(|row| row.key).collect();
        assert_eq!(keys, ["b"]);
    }
}
