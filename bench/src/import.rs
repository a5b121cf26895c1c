//! `import`: orders from a CSV file and to one, by the commands of the release program, and the decoder
//! beside the `csv` crate.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use palisade::input::{CsvDecoder, CsvLimits};
use palisade_testing::Service;

use crate::figures::Figures;
use crate::orderdesk;
use crate::report::Report;

/// Measures both ways with a million rows, two to an order.
///
/// # Errors
/// When the program does not build, or a command fails.
pub(crate) fn measure() -> anyhow::Result<Report> {
    let binary = orderdesk::build()?;
    let file = rows()?;
    let mut parse = Figures::new("parse_ratio_csv", "the decoder's speed by that of the csv crate");
    compare_decoders(&file, &mut parse)?;
    let mut figures = orderdesk::block_on(measure_program(&binary, &file))??;
    figures.push(parse);
    let how = format!(
        "A file of {ROWS} rows, {} MiB, two to an order, on an empty SQLite database: `orderdesk import`, \
         then `orderdesk export` to a file; peak memory is VmHWM of each command, looked at every 10 ms. \
         The decoders read the same bytes from memory in pieces of 64 KiB, {ROUNDS} times in turn, each \
         cell looked at.",
        file.len() >> 20
    );
    Ok(Report { scenario: "import", how, figures, notes: Vec::new() })
}

fn rows() -> anyhow::Result<String> {
    let mut file = String::from("reference,customer,currency,sku,quantity,unit_price\n");
    for row in 0..ROWS {
        writeln!(file, "order-{},ada,EUR,TEA-{},{},12.50", row / 2, row % 100, row % 9 + 1)?;
    }
    Ok(file)
}

async fn measure_program(binary: &Path, file: &str) -> anyhow::Result<Vec<Figures>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("in.csv"), file)?;
    let mut environment =
        vec![("DATABASE_URL", format!("sqlite://{}/orderdesk.db", folder.path().display()))];
    for name in ["API_KEY", "SECRET_KEY"] {
        environment.push((name, orderdesk::secret(binary).await?));
    }
    let add =
        ["user", "add", "--username", "ada", "--email", "a@example.org", "--role", "customer"];
    let add = environment.iter().fold(
        Service::builder(binary).args(add).input("correct horse battery staple"),
        |add, (name, value)| add.env(*name, value),
    );
    ensure!(add.try_run().await?.status.success(), "no account can be added");

    let run = |arguments: &[&str]| watched(binary, folder.path(), &environment, arguments);
    crate::complain("import: the file goes in");
    let into = run(&["import", "in.csv"])?;
    crate::complain("import: it comes out");
    let out = run(&["export", "out.csv"])?;
    let exported = std::fs::read_to_string(folder.path().join("out.csv"))?.lines().count();
    ensure!(exported == ROWS + 1, "{exported} lines came out");

    let rate = |seconds: f64| f64::from(u32::try_from(ROWS).unwrap_or(u32::MAX)) / seconds;
    let mut figures = [
        Figures::new("rows_per_s", "rows imported in a second"),
        Figures::new("peak_mib", "peak memory of the import, MiB"),
        Figures::new("export_rows_per_s", "rows exported in a second"),
        Figures::new("export_peak_mib", "peak memory of the export, MiB"),
    ];
    let samples = [rate(into.seconds), into.peak_mib, rate(out.seconds), out.peak_mib];
    figures.iter_mut().zip(samples).for_each(|(figures, sample)| figures.add(sample));
    Ok(figures.into())
}

/// What a command cost.
struct Cost {
    seconds: f64,
    peak_mib: f64,
}

/// Runs a command to its end and looks at its memory meanwhile.
#[expect(clippy::disallowed_types, reason = "the memory of a process is asked for by its number")]
#[expect(clippy::disallowed_methods, reason = "memory has no event to wait for")]
fn watched(
    binary: &Path,
    folder: &Path,
    environment: &[(&str, String)],
    arguments: &[&str],
) -> anyhow::Result<Cost> {
    let mut command = std::process::Command::new(binary);
    command.args(arguments).current_dir(folder).env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdout(std::process::Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Ok(now) = peak_mib(child.id()) {
            peak = peak.max(now);
        }
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    ensure!(status.success(), "orderdesk {} failed", arguments.join(" "));
    Ok(Cost { seconds: begun.elapsed().as_secs_f64(), peak_mib: peak })
}

fn peak_mib(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.context("the process has ended")?.trim().trim_end_matches(" kB");
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Reads the file with either decoder in turn.
fn compare_decoders(file: &str, ratio: &mut Figures) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let (own, ours) = (read_with_ours(file)?, begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let (other, theirs) = (read_with_csv(file)?, begun.elapsed().as_secs_f64());
        ensure!(own == other, "the decoders disagree: {own} and {other} bytes of cells");
        ratio.add(theirs / ours);
    }
    Ok(())
}

/// Returns how many bytes the cells have.
fn read_with_ours(file: &str) -> anyhow::Result<usize> {
    let header = &["reference", "customer", "currency", "sku", "quantity", "unit_price"];
    let mut decoder = CsvDecoder::new(header, CsvLimits::default());
    let mut bytes = 0;
    for piece in file.as_bytes().chunks(PIECE) {
        decoder.feed(piece);
        while let Some(row) = decoder.next_row()? {
            bytes += black_box(row.cells?).iter().map(str::len).sum::<usize>();
        }
    }
    Ok(bytes)
}

fn read_with_csv(file: &str) -> anyhow::Result<usize> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(PIECE).from_reader(file.as_bytes());
    let (mut record, mut bytes) = (csv::StringRecord::new(), 0);
    while reader.read_record(&mut record)? {
        bytes += black_box(&record).iter().map(str::len).sum::<usize>();
    }
    Ok(bytes)
}

const ROWS: usize = 1_000_000;
const ROUNDS: usize = 9;
const PIECE: usize = 64 * 1024;
