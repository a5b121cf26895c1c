//! A program to run: arguments, environment, folder. It becomes a [`Service`] or runs to its end.
//!
//! The child's environment holds only what the test gave: a variable of the person who runs the
//! tests never decides a test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::fail::fail;
use crate::service::Service;

/// How to start a program; made by [`Service::builder`].
#[derive(Debug, Clone)]
pub struct Program {
    binary: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    user: Option<u32>,
    may_dump_core: bool,
    input: Vec<u8>,
}

impl Program {
    pub(crate) fn new(binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            user: None,
            may_dump_core: false,
            input: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child's environment, which is empty otherwise.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs the child in `dir` instead of a temporary folder of its own.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Runs the child as the user and the group of this number, which takes root. The folder, if it
    /// is given, must be that user's.
    #[must_use]
    pub fn user(mut self, number: u32) -> Self {
        self.user = Some(number);
        self
    }

    /// Lets the child write core files as large as the hard limit has it, whatever the soft limit of
    /// whoever runs the tests is: where that is 0 already, a child that lowers it changes nothing.
    #[must_use]
    pub fn may_dump_core(mut self) -> Self {
        self.may_dump_core = true;
        self
    }

    /// Gives the child `bytes` on standard input, for [`Self::run`]; default nothing.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Starts the program as a service and waits, at most 20 s, until it says where it listens.
    ///
    /// # Panics
    /// When [`Self::try_start`] would return an error.
    pub async fn start(self) -> Service {
        self.try_start().await.unwrap_or_else(|error| fail(format_args!("{error:#}")))
    }

    /// Starts the program as a service and waits, at most 20 s, until it says where it listens.
    ///
    /// # Errors
    /// When it cannot be run, ends early or stays silent; the text holds its standard error.
    pub async fn try_start(self) -> anyhow::Result<Service> {
        let folder = self.folder()?;
        let mut command = self.command(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| self.cannot_run())?;

        Service::adopt(child, folder, self.name()).await
    }

    /// Runs the program to its end, at most 60 s.
    ///
    /// # Panics
    /// When [`Self::try_run`] would return an error.
    pub async fn run(self) -> Finished {
        self.try_run().await.unwrap_or_else(|error| fail(format_args!("{error:#}")))
    }

    /// Runs the program to its end, at most 60 s.
    ///
    /// # Errors
    /// When it cannot be run or does not end. An exit status other than 0 is no error.
    pub async fn try_run(self) -> anyhow::Result<Finished> {
        let folder = self.folder()?;
        let mut command = self.command(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| self.cannot_run())?;

        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is free to end without it.
                stdin.write_all(&self.input).await.ok();
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(RUN, both)
            .await
            .with_context(|| format!("{} did not end within {RUN:?}", self.name()))??;

        Ok(Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn folder(&self) -> anyhow::Result<Folder> {
        if let Some(dir) = &self.dir {
            return Ok(Folder::Given(dir.clone()));
        }
        let folder = tempfile::tempdir().context("no temporary folder")?;
        if self.user.is_some() {
            std::os::unix::fs::chown(folder.path(), self.user, self.user)?;
        }
        Ok(Folder::Own(folder))
    }

    fn command(&self, folder: &Folder) -> Command {
        let mut command = match self.may_dump_core {
            true => Command::new("/bin/sh"),
            false => Command::new(&self.binary),
        };
        if self.may_dump_core {
            // Without `unsafe` only a program can change its limits, and this one becomes the child.
            command.args(["-c", RAISE_CORE_LIMIT]).arg(&self.binary);
        }
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .kill_on_drop(true);
        if let Some(number) = self.user {
            command.uid(number).gid(number);
        }
        command
    }

    fn name(&self) -> String {
        self.binary.display().to_string()
    }

    fn cannot_run(&self) -> String {
        format!("{} cannot be run", self.name())
    }
}

/// The child's working folder: removed with the [`Service`] if we made it.
#[derive(Debug)]
pub(crate) enum Folder {
    /// Made for this child.
    Own(TempDir),
    /// Chosen by the test, which also removes it.
    Given(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

/// What a program that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Finished {
    /// Asserts the exit code; the failure shows what the program said.
    ///
    /// # Panics
    /// When the program ended otherwise.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        if self.status.code() != Some(code) {
            let Self { status, stdout, stderr } = self;
            fail(format_args!(
                "expected exit code {code}, got {status}\nstdout:\n{stdout}\nstderr:\n{stderr}"
            ));
        }
        self
    }
}

const RAISE_CORE_LIMIT: &str = r#"ulimit -S -c "$(ulimit -H -c)"; exec "$0" "$@""#;
const RUN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_sees_only_the_environment_input_and_folder_it_was_given() {
        let finished = shell("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=; cat; ls; exit 3")
            .env("GIVEN", "yes")
            .input("typed\n")
            .run()
            .await;

        finished.assert_code(3);
        assert_eq!(finished.stdout, "GIVEN=yes\ntyped\n");
    }

    #[tokio::test]
    async fn a_program_that_may_dump_core_has_a_soft_limit_as_high_as_the_hard_one() {
        let limits = shell("ulimit -S -c; ulimit -H -c; echo \"$@\"").args(["sh", "a b", "c"]);

        let finished = limits.may_dump_core().run().await;

        let lines: Vec<_> = finished.assert_code(0).stdout.lines().collect();
        assert_eq!((lines[0], lines[2]), (lines[1], "a b c"));
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Service::builder(Path::new("/no/such/program")).try_run().await.unwrap_err();

        assert!(format!("{error:#}").starts_with("/no/such/program cannot be run"), "{error:#}");
    }

    fn shell(script: &str) -> Program {
        Service::builder(Path::new("/bin/sh")).args(["-c", script])
    }
}
