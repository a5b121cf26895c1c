//! The command line of a program that has no commands of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::outbound::{NotATarget, Target};

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Serve,
    Check(CheckOptions),
    ShowSettings,
    ExampleSettings,
    Help,
}

/// How the check is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CheckOptions {
    pub(super) url: Option<Target>,
    pub(super) authority: Option<PathBuf>,
    pub(super) is_json: bool,
    pub(super) explain: Option<String>,
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
    #[error("--{0} needs a value")]
    NoValue(&'static str),
    #[error("--{0} is given twice")]
    Twice(&'static str),
    #[error("--url: {0}")]
    Url(#[from] NotATarget),
    #[error("--ca needs --url with https")]
    AuthorityWithoutUrl,
    #[error("--format is text or json")]
    Format,
    #[error("unknown arguments: {0}")]
    Unknown(String),
}

/// Every option that takes a value.
const OPTIONS: [&str; 5] = ["config", "url", "ca", "format", "explain"];

impl CommandLine {
    /// Reads the words behind the program's name.
    pub(super) fn parse(words: Vec<OsString>) -> Result<Self, WrongUsage> {
        let (mut named, mut options) = (Vec::new(), BTreeMap::new());
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            let option = text.strip_prefix("--");
            let Some(name) = OPTIONS.into_iter().find(|name| option == Some(name)) else {
                named.push(text);
                continue;
            };
            let none =
                if name == "config" { WrongUsage::NoFile } else { WrongUsage::NoValue(name) };
            let value = words.next().filter(|value| !value.is_empty()).ok_or(none)?;
            if options.insert(name, value).is_some() {
                return Err(WrongUsage::Twice(name));
            }
        }
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let file = options.remove("config").map(PathBuf::from);
        let command = match named.as_slice() {
            ["check"] => Command::Check(CheckOptions::take(&mut options)?),
            [] => Command::Serve,
            ["config", "show"] => Command::ShowSettings,
            ["config", "example"] => Command::ExampleSettings,
            ["--help" | "-h"] => Command::Help,
            unknown => return Err(WrongUsage::Unknown(unknown.join(" "))),
        };
        match options.keys().next() {
            Some(left) => Err(WrongUsage::Unknown(format!("--{left}"))),
            None => Ok(Self { command, file }),
        }
    }
}

impl CheckOptions {
    fn take(options: &mut BTreeMap<&'static str, OsString>) -> Result<Self, WrongUsage> {
        let mut text = |name| {
            let value: Option<OsString> = options.remove(name);
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let url = text("url").map(|url| url.parse::<Target>()).transpose()?;
        let is_json = match text("format").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => return Err(WrongUsage::Format),
        };
        let explain = text("explain");
        let authority = options.remove("ca").map(PathBuf::from);
        if authority.is_some() && !url.as_ref().is_some_and(Target::is_tls) {
            return Err(WrongUsage::AuthorityWithoutUrl);
        }
        Ok(Self { url, authority, is_json, explain })
    }
}

/// Returns how the program `name` is called.
pub(super) fn usage(name: &str) -> String {
    format!(
        "Usage: {name} [COMMAND] [--config FILE]\n\n\
         Without a command it serves until SIGTERM or SIGINT, then finishes what is in flight.\n\n  \
         check            judges settings, files and process; fails on an error\n    \
           [--url URL [--ca FILE]] [--format text|json]   also looks at what answers there\n    \
           --explain ID|all                               says why a finding matters\n  \
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
        let check = parse("check --url https://x:1 --ca ca.pem --format json --config a.toml");
        let options = CheckOptions {
            url: Some("https://x:1".parse().unwrap()),
            authority: Some(PathBuf::from("ca.pem")),
            is_json: true,
            explain: None,
        };
        assert_eq!(check, Ok(CommandLine { command: Command::Check(options), file }));
        assert_eq!(parse(""), Ok(CommandLine { command: Command::Serve, file: None }));
    }

    #[test]
    fn what_is_not_understood_is_wrong_usage() {
        assert_eq!(parse("--config"), Err(WrongUsage::NoFile));
        assert_eq!(parse("--config a --config b"), Err(WrongUsage::Twice("config")));
        assert_eq!(parse("check --url"), Err(WrongUsage::NoValue("url")));
        assert_eq!(parse("check --url nowhere"), Err(WrongUsage::Url(NotATarget)));
        assert_eq!(parse("check --format xml"), Err(WrongUsage::Format));
        for lonely in ["check --ca a.pem", "check --ca a.pem --url http://localhost"] {
            assert_eq!(parse(lonely), Err(WrongUsage::AuthorityWithoutUrl));
        }
        for line in ["config show --url https://x", "--format json"] {
            assert!(matches!(parse(line), Err(WrongUsage::Unknown(_))), "{line}");
        }
        for line in ["serve", "config", "config show all", "--confg a", "--help me"] {
            assert_eq!(parse(line), Err(WrongUsage::Unknown(line.to_owned())), "{line}");
        }
    }
}
