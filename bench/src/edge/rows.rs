//! The rows of the report: what was found in a round, and what is made of it.

use anyhow::anyhow;

use crate::figures::Figures;

/// What one turn of one variant showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) requests_per_second: f64,
    pub(super) p99_us: f64,
    /// User and system time of the server for one request.
    pub(super) cpu_us: f64,
    /// Lines in the log for one request.
    pub(super) logged_share: f64,
}

/// One value of each variant, in the order of [`super::Variant::ALL`].
#[derive(Debug)]
pub(super) struct Each<T> {
    bare: T,
    guarded: T,
    tower_http: T,
    session: T,
}

/// One turn of every variant.
pub(super) type Round = Each<Sample>;

/// Instructions for one request of every variant.
pub(super) type Counts = Each<f64>;

impl<T: std::fmt::Debug> TryFrom<Vec<T>> for Each<T> {
    type Error = anyhow::Error;

    fn try_from(values: Vec<T>) -> anyhow::Result<Self> {
        let all: [T; 4] = values.try_into().map_err(|few| anyhow!("not all variants: {few:?}"))?;
        let [bare, guarded, tower_http, session] = all;
        Ok(Self { bare, guarded, tower_http, session })
    }
}

/// The rows of the report while they fill.
#[derive(Debug)]
pub(super) struct Found {
    of_rounds: Vec<(Figures, Value<Sample>)>,
    of_counts: Vec<(Figures, Value<f64>)>,
}

impl Found {
    pub(super) fn new() -> Self {
        Self { of_rounds: empty(&ROUND_ROWS), of_counts: empty(&COUNT_ROWS) }
    }

    pub(super) fn add(&mut self, round: &Round) {
        for (figures, value_of) in &mut self.of_rounds {
            figures.add(value_of(round));
        }
    }

    pub(super) fn add_instructions(&mut self, counts: &Counts) {
        for (figures, value_of) in &mut self.of_counts {
            figures.add(value_of(counts));
        }
    }

    pub(super) fn into_rows(self) -> Vec<Figures> {
        let rounds = self.of_rounds.into_iter().map(|(figures, _)| figures);
        rounds.chain(self.of_counts.into_iter().map(|(figures, _)| figures)).collect()
    }
}

fn empty<T>(rows: &[Row<T>]) -> Vec<(Figures, Value<T>)> {
    rows.iter().map(|(key, what, value_of)| (Figures::new(key, what), *value_of)).collect()
}

/// What a row makes of the values of all variants.
type Value<T> = fn(&Each<T>) -> f64;

/// Key, words and value of a row.
type Row<T> = (&'static str, &'static str, Value<T>);

const ROUND_ROWS: [Row<Sample>; 21] = [
    ("rps_ratio", "requests/s, guarded / bare", |of| {
        of.guarded.requests_per_second / of.bare.requests_per_second
    }),
    ("rps_ratio_session", "requests/s, session / bare", |of| {
        of.session.requests_per_second / of.bare.requests_per_second
    }),
    ("rps_ratio_tower_http", "requests/s, guarded / tower-http", |of| {
        of.guarded.requests_per_second / of.tower_http.requests_per_second
    }),
    ("p99_ratio", "p99, guarded / bare", |of| of.guarded.p99_us / of.bare.p99_us),
    ("p99_ratio_session", "p99, session / bare", |of| of.session.p99_us / of.bare.p99_us),
    ("cpu_ratio", "CPU time, guarded / bare", |of| of.guarded.cpu_us / of.bare.cpu_us),
    ("cpu_ratio_session", "CPU time, session / bare", |of| of.session.cpu_us / of.bare.cpu_us),
    ("cpu_ratio_tower_http", "CPU time, tower-http / guarded", |of| {
        of.tower_http.cpu_us / of.guarded.cpu_us
    }),
    ("bare_rps", "bare: requests/s", |of| of.bare.requests_per_second),
    ("guarded_rps", "guarded: requests/s", |of| of.guarded.requests_per_second),
    ("tower_http_rps", "tower-http: requests/s", |of| of.tower_http.requests_per_second),
    ("session_rps", "session: requests/s", |of| of.session.requests_per_second),
    ("bare_p99_us", "bare: p99, us", |of| of.bare.p99_us),
    ("guarded_p99_us", "guarded: p99, us", |of| of.guarded.p99_us),
    ("tower_http_p99_us", "tower-http: p99, us", |of| of.tower_http.p99_us),
    ("bare_cpu_us", "bare: CPU time a request, us", |of| of.bare.cpu_us),
    ("guarded_cpu_us", "guarded: CPU time a request, us", |of| of.guarded.cpu_us),
    ("tower_http_cpu_us", "tower-http: CPU time a request, us", |of| of.tower_http.cpu_us),
    ("session_cpu_us", "session: CPU time a request, us", |of| of.session.cpu_us),
    ("logged_share", "guarded: lines logged a request", |of| of.guarded.logged_share),
    ("logged_share_tower_http", "tower-http: lines logged a request", |of| {
        of.tower_http.logged_share
    }),
];

const COUNT_ROWS: [Row<f64>; 7] = [
    ("instructions_ratio", "instructions, guarded / bare", |of| of.guarded / of.bare),
    ("instructions_ratio_session", "instructions, session / bare", |of| of.session / of.bare),
    ("instructions_ratio_tower_http", "instructions, tower-http / guarded", |of| {
        of.tower_http / of.guarded
    }),
    ("bare_instructions", "bare: instructions a request", |of| of.bare),
    ("guarded_instructions", "guarded: instructions a request", |of| of.guarded),
    ("tower_http_instructions", "tower-http: instructions a request", |of| of.tower_http),
    ("session_instructions", "session: instructions a request", |of| of.session),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(scale: f64) -> Sample {
        Sample {
            requests_per_second: 1000.0 / scale,
            p99_us: 100.0 * scale,
            cpu_us: 10.0 * scale,
            logged_share: 1.0,
        }
    }

    fn median(rows: &[Figures], key: &str) -> f64 {
        rows.iter().find(|row| row.key == key).unwrap().median()
    }

    #[test]
    fn a_ratio_is_made_within_a_round_and_names_the_right_two() {
        let mut found = Found::new();
        for noise in [1.0, 8.0, 2.0] {
            let scales = [1.0, 2.0, 10.0, 4.0];
            let samples = scales.map(|scale| sample(scale * noise)).to_vec();
            found.add(&Round::try_from(samples).unwrap());
        }
        found.add_instructions(&Counts::try_from(vec![20.0, 30.0, 90.0, 50.0]).unwrap());

        let rows = found.into_rows();

        let expected = [
            ("rps_ratio", 0.5),
            ("rps_ratio_session", 0.25),
            ("rps_ratio_tower_http", 5.0),
            ("p99_ratio", 2.0),
            ("p99_ratio_session", 4.0),
            ("cpu_ratio", 2.0),
            ("cpu_ratio_session", 4.0),
            ("cpu_ratio_tower_http", 5.0),
            ("instructions_ratio", 1.5),
            ("instructions_ratio_session", 2.5),
            ("instructions_ratio_tower_http", 3.0),
            ("bare_cpu_us", 20.0),
        ];
        for (key, value) in expected {
            assert!((median(&rows, key) - value).abs() < 1e-9, "{key}");
        }
    }

    #[test]
    fn a_round_without_all_variants_is_refused() {
        assert!(Counts::try_from(vec![1.0, 2.0, 3.0]).is_err());
    }
}
