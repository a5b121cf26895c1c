//! Everything that a service leaves behind, place by place, to be searched.
//!
//! One search serves every service: what finds the secret of one that gives it away is what finds
//! none in one that keeps it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fail::fail;
use crate::{Client, Markers, Service};

/// What was found, by the name of the place.
#[derive(Debug, Default)]
pub struct Sinks {
    places: BTreeMap<String, Vec<u8>>,
}

impl Sinks {
    /// Adds what only a running service shows: `metrics`, `readiness`, and, where the system lets
    /// these tests read it, its `environment` and its `command line`.
    ///
    /// # Panics
    /// When the service does not answer.
    pub async fn add_running(&mut self, service: &Service) {
        let admin = Client::http(service.admin());
        for (place, path) in [("metrics", "/metrics"), ("readiness", "/ready")] {
            self.add(place, admin.get(path).send().await.body());
        }
        for (place, file) in [("environment", "environ"), ("command line", "cmdline")] {
            self.add(place, of_process(service, file));
        }
    }

    /// Adds what a service that has ended leaves: `standard output`, `log on standard error`, and
    /// `file NAME` for every file in the folder that it ran in, a core file and the database too.
    ///
    /// # Panics
    /// When its output was too much to be kept, or a file cannot be read.
    pub fn add_left(&mut self, service: &Service) {
        self.add("standard output", service.stdout_bytes());
        self.add("log on standard error", service.stderr_bytes());
        self.add_folder(service.folder());
    }

    /// Adds `file NAME` for every file in `folder` and below it.
    ///
    /// # Panics
    /// When one cannot be read.
    pub fn add_folder(&mut self, folder: &Path) {
        let files = files_below(folder);
        for path in files.unwrap_or_else(|error| fail(format_args!("{error}"))) {
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            let bytes = fs::read(&path);
            let bytes = bytes.unwrap_or_else(|error| fail(format_args!("{name}: {error}")));
            self.add(&format!("file {name}"), bytes);
        }
    }

    /// Adds bytes to a place.
    pub fn add(&mut self, place: &str, bytes: impl AsRef<[u8]>) {
        self.places.entry(place.to_owned()).or_default().extend_from_slice(bytes.as_ref());
    }

    /// Returns the places, in order.
    pub fn names(&self) -> Vec<&str> {
        self.places.keys().map(String::as_str).collect()
    }

    /// Returns what is in a place.
    ///
    /// # Panics
    /// When it was never added.
    #[track_caller]
    pub fn at(&self, place: &str) -> &[u8] {
        let found = self.places.get(place);
        found.unwrap_or_else(|| fail(format_args!("no {place:?} among {:?}", self.names())))
    }

    /// Tells whether `words` are in a place, in capitals or not.
    ///
    /// # Panics
    /// When it was never added.
    #[track_caller]
    pub fn says(&self, place: &str, words: &str) -> bool {
        let words = words.as_bytes();
        self.at(place).windows(words.len()).any(|window| window.eq_ignore_ascii_case(words))
    }

    /// Returns the places in which a marker is found, in order.
    pub fn holding(&self, markers: &Markers) -> Vec<&str> {
        let held = self.places.iter().filter(|(_, bytes)| !markers.found_in(bytes).is_empty());
        held.map(|(place, _)| place.as_str()).collect()
    }

    /// Asserts that no marker is in any place; the failure names it, its form and the place.
    ///
    /// # Panics
    /// When one is.
    #[track_caller]
    pub fn assert_without(&self, markers: &Markers) {
        let mut leaks = String::new();
        for (place, bytes) in &self.places {
            let found = markers.found_in(bytes);
            if !found.is_empty() {
                writeln!(leaks, "{place} has {}", found.join(", ")).ok();
                leaks.extend(around(bytes, markers));
            }
        }
        if !leaks.is_empty() {
            fail(format_args!("secrets were found:\n{leaks}"));
        }
    }
}

/// Returns the first lines that hold a marker, as far as they are short enough to be read.
fn around(bytes: &[u8], markers: &Markers) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let guilty = lines.filter(|line| line.len() < 5_000 && !markers.found_in(line).is_empty());
    guilty.take(3).map(|line| format!("  {}\n", String::from_utf8_lossy(line))).collect()
}

/// Returns what the system tells of a process; nothing if that is for root's eyes only, as it is
/// for a process that cannot be dumped.
fn of_process(service: &Service, file: &str) -> Vec<u8> {
    match fs::read(format!("/proc/{}/{file}", service.pid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Vec::new(),
        Err(error) => fail(format_args!("{file}: {error}")),
        Ok(bytes) => bytes,
    }
}

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(files_below(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_below_a_folder_is_searched_and_the_place_of_a_leak_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        for (name, text) in [("a", "nothing"), ("deep/b.debug", "with s3cr3t-of-the-shop!")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut markers = Markers::default();
        markers.add("it", "s3cr3t-of-the-shop");

        let mut sinks = Sinks::default();
        sinks.add_folder(folder.path());

        assert_eq!(sinks.names(), ["file a", "file deep/b.debug"]);
        assert_eq!(sinks.holding(&markers), ["file deep/b.debug"]);
        assert!(sinks.says("file a", "Thing") && !sinks.says("file a", "things"));
        let failure = std::panic::catch_unwind(|| sinks.assert_without(&markers)).unwrap_err();
        let said = failure.downcast_ref::<String>().unwrap();
        assert!(said.contains("file deep/b.debug has it as plain text"), "{said}");
    }
}
