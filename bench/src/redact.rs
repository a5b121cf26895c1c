//! What it costs the log's writer to take secrets out of a line.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use palisade::config::KeyMaterial;
use palisade::crypto::random_bytes;
use palisade::secret::{Secret, redacted, register, register_prefix};

use crate::figures::Figures;
use crate::report::Report;

/// Measures before and after ten secrets are registered.
///
/// # Errors
/// When a secret cannot be registered.
pub(crate) fn measure() -> anyhow::Result<Report> {
    let lines = lines();
    let mut none = Figures::new("redact_none_ns", "nothing registered, ns a line");
    sample(&lines, &mut none);
    let secret = register_ten()?;
    let mut ten = Figures::new("redact_ten_ns", "ten secrets and a prefix, ns a line");
    sample(&lines, &mut ten);
    let leaking = lines.replace("\"GET\"", &format!("\"{}\"", secret.expose()));
    let mut found = Figures::new("redact_found_ns", "one of them in every line, ns a line");
    sample(&leaking, &mut found);
    let length = lines.len() / LINES;
    let how = format!(
        "Lines of the access log of {length} bytes with random request ids, {LINES} at a time as \
         the writer takes them, {SAMPLES} times. The ten are nine keys of 32 bytes in base64url and \
         the URL of a database with a password."
    );
    Ok(Report { scenario: "redact", how, figures: vec![none, ten, found], notes: Vec::new() })
}

/// Registers what a service has, and returns one of it.
fn register_ten() -> anyhow::Result<Secret<String>> {
    for _ in 0..8 {
        register(&KeyMaterial::generate())?;
    }
    let password = KeyMaterial::generate();
    let url = format!("postgres://orderdesk:{}@127.0.0.1:5432/orderdesk", password.expose());
    register(&password)?;
    register(&Secret::new(url))?;
    register_prefix("ods_");
    Ok(password)
}

fn lines() -> String {
    let mut lines = String::new();
    for number in 0..LINES {
        let id = u128::from_ne_bytes(random_bytes());
        let duration = number % 5000;
        // Writing to memory cannot fail.
        writeln!(
            lines,
            "{{\"timestamp\":\"2026-11-23T19:28:20.263Z\",\"level\":\"INFO\",\"message\":\"request\",\
             \"request_id\":\"{id:032x}\",\"method\":\"GET\",\"route\":\"/orders/{{id}}\",\
             \"status\":200,\"duration_us\":{duration},\"target\":\"palisade::access\"}}"
        )
        .ok();
    }
    lines
}

fn sample(lines: &str, figures: &mut Figures) {
    for _ in 0..SAMPLES {
        let started = Instant::now();
        black_box(redacted(black_box(lines)));
        figures.add(started.elapsed().as_secs_f64() * 1e9 / COUNT);
    }
}

/// As many as wait a hundredth of a second on a busy service.
const LINES: usize = 500;
const COUNT: f64 = 500.0;
const SAMPLES: usize = 201;
