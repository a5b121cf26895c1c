//! Faults of the disk and of the clock inside the real program: `faults.c`, loaded by `LD_PRELOAD`.

use std::fs;
use std::path::{Path, PathBuf};

use palisade_testing::Program;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::Folder;

/// A library with the faults; gone with this.
pub(crate) struct Faults(TempDir);

impl Faults {
    pub(crate) async fn compile() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults.c");
        let faults = Self(tempfile::tempdir().unwrap());
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .args([faults.library(), source])
            .arg("-ldl")
            .status();
        assert!(compiler.await.unwrap().success(), "the faults do not compile");
        faults
    }

    /// Puts the library into `program`; what happens there is said by further variables.
    pub(crate) fn inside(&self, program: Program) -> Program {
        program.env("LD_PRELOAD", self.library())
    }

    /// Describes a service in `folder` to which `fault` happens.
    pub(crate) fn serve(&self, folder: &Folder, fault: &str) -> Program {
        self.inside(folder.serve()).env("FAULT", fault)
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("faults.so")
    }
}

/// What a disk would hold of the database after a power cut: what was flushed, and of the rest
/// whatever the test says.
pub(crate) struct Disk(TempDir);

/// The database and its log.
const FILES: [&str; 2] = ["orderdesk.db", "orderdesk.db-wal"];
const PAGE: usize = 4096;

impl Disk {
    /// Begins with a database at rest, whose files are on the disk.
    pub(crate) fn holding(folder: &Folder) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        fs::copy(folder.database(), disk.kept(FILES[0])).unwrap();
        assert!(!folder.path().join(FILES[1]).exists(), "the service was stopped");
        disk
    }

    /// Has the disk note what `program`, which has the faults inside, flushes.
    pub(crate) fn under(&self, program: Program) -> Program {
        program.env("DISK", self.0.path())
    }

    /// Puts into the place of the database what the disk holds, after the service was killed.
    ///
    /// Of the pages that wait for a flush, those that `has_arrived` says so of have arrived before.
    pub(crate) fn cut_power(&self, folder: &Folder, mut has_arrived: impl FnMut() -> bool) {
        for name in FILES {
            let (lost, kept) = (folder.path().join(name), self.kept(name));
            let waiting = self.0.path().join(format!("{name}.dirty"));
            let (live, mut on_disk) = (fs::read(&lost).unwrap_or_default(), read(&kept));
            for (number, _) in read(&waiting).iter().enumerate().filter(|(_, byte)| **byte != 0) {
                let page = number * PAGE..live.len().min((number + 1) * PAGE);
                if page.start < page.end && has_arrived() {
                    on_disk.resize(on_disk.len().max(page.end), 0);
                    on_disk[page.clone()].copy_from_slice(&live[page]);
                }
            }
            fs::write(&kept, &on_disk).unwrap();
            fs::write(&lost, &on_disk).unwrap();
            fs::remove_file(waiting).unwrap();
        }
        // It is memory that looks like a file.
        fs::remove_file(folder.path().join("orderdesk.db-shm")).ok();
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
