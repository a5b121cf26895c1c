//! Where a command writes a table: standard output, or a file that has its name once it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// For its owner only: it holds what the database holds.
const PRIVATE: u32 = 0o600;

/// What is written to. A file that is not finished is removed.
pub(super) struct Output(Target);

enum Target {
    Standard,
    /// Whoever read has gone: nothing more is written.
    Gone,
    File {
        file: File,
        unfinished: PathBuf,
        target: PathBuf,
        force: bool,
    },
    Finished,
}

impl Output {
    pub(super) fn standard() -> Self {
        Self(Target::Standard)
    }

    /// Begins a file; `-` is standard output.
    pub(super) fn begin(target: &Path, force: bool) -> anyhow::Result<Self> {
        if target == Path::new("-") {
            return Ok(Self::standard());
        }
        let named = || target.display().to_string();
        refuse_existing(target, force)?;
        let mut unfinished = target.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE);
        let file = options.open(&unfinished).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => anyhow::anyhow!(
                "{} is there: another run is writing it, or was killed; remove it if none runs",
                unfinished.display()
            ),
            _ => anyhow::Error::new(error).context(named()),
        })?;
        let target = target.to_owned();
        Ok(Self(Target::File { file, unfinished, target, force }))
    }

    /// Tells whether a person sees what is written.
    pub(super) fn is_shown(&self) -> bool {
        matches!(self.0, Target::Standard) && io::stdout().is_terminal()
    }

    pub(super) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        match &mut self.0 {
            Target::Standard => match io::stdout().lock().write_all(text.as_bytes()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.0 = Target::Gone,
                written => written.context("standard output")?,
            },
            Target::File { file, unfinished, .. } => {
                let named = || unfinished.display().to_string();
                file.write_all(text.as_bytes()).with_context(named)?;
            }
            Target::Gone | Target::Finished => {}
        }
        Ok(())
    }

    /// Gives the file its name, once it is on the disk.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let Target::File { file, unfinished, target, force } = &self.0 else {
            return Ok(io::stdout().lock().flush().or_else(closed)?);
        };
        let named = || target.display().to_string();
        file.sync_all().with_context(named)?;
        refuse_existing(target, *force)?;
        fs::rename(unfinished, target).with_context(named)?;
        self.0 = Target::Finished;
        Ok(())
    }
}

fn closed(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

fn refuse_existing(target: &Path, force: bool) -> anyhow::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(found) if !found.is_file() => bail!("{} is no plain file", target.display()),
        Ok(_) if !force => bail!("{} exists: add --force to replace it", target.display()),
        _ => Ok(()),
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Target::File { unfinished, .. } = &self.0 {
            fs::remove_file(unfinished).ok();
        }
    }
}
