//! The command line of a program that has no commands of its own.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Serve,
    ShowSettings,
    ExampleSettings,
    Help,
}

/// A command, and the settings file if one is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) command: Command,
    pub(super) file: Option<PathBuf>,
}

/// What cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WrongUsage {
    #[error("--config needs the path of a file")]
    NoFile,
    #[error("--config is given twice")]
    TwoFiles,
    #[error("unknown arguments: {0}")]
    Unknown(String),
}

impl CommandLine {
    /// Reads the words behind the program's name.
    pub(super) fn parse(words: Vec<OsString>) -> Result<Self, WrongUsage> {
        let (mut named, mut file) = (Vec::new(), None);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word != "--config" {
                named.push(word.to_string_lossy().into_owned());
                continue;
            }
            let path = words.next().filter(|path| !path.is_empty()).ok_or(WrongUsage::NoFile)?;
            if file.replace(PathBuf::from(path)).is_some() {
                return Err(WrongUsage::TwoFiles);
            }
        }
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let command = match named.as_slice() {
            [] => Command::Serve,
            ["config", "show"] => Command::ShowSettings,
            ["config", "example"] => Command::ExampleSettings,
            ["--help" | "-h"] => Command::Help,
            unknown => return Err(WrongUsage::Unknown(unknown.join(" "))),
        };
        Ok(Self { command, file })
    }
}

/// Returns how the program `name` is called.
pub(super) fn usage(name: &str) -> String {
    format!(
        "Usage: {name} [COMMAND] [--config FILE]\n\n\
         Without a command it serves until SIGTERM or SIGINT, then finishes what is in flight.\n\n  \
         config show      prints every setting in force and where it comes from\n  \
         config example   prints the whole settings file with its defaults\n  \
         --help           prints this"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, WrongUsage> {
        CommandLine::parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_file_may_stand_before_or_behind_the_command() {
        let file = Some(PathBuf::from("a.toml"));

        for line in ["config show --config a.toml", "--config a.toml config show"] {
            let expected = CommandLine { command: Command::ShowSettings, file: file.clone() };
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
        assert_eq!(parse(""), Ok(CommandLine { command: Command::Serve, file: None }));
    }

    #[test]
    fn what_is_not_understood_is_wrong_usage() {
        assert_eq!(parse("--config"), Err(WrongUsage::NoFile));
        assert_eq!(parse("--config a --config b"), Err(WrongUsage::TwoFiles));
        for line in ["serve", "config", "config show all", "--confg a", "--help me"] {
            assert_eq!(parse(line), Err(WrongUsage::Unknown(line.to_owned())), "{line}");
        }
    }
}
