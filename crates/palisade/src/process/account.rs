//! The account that the service runs as, and giving root up for it.
//!
//! Names are looked up in `/etc/passwd` and `/etc/group` and nowhere else: what asks a directory
//! server would have to start threads and open sockets. Such accounts are named by their numbers.

use std::borrow::Cow;
use std::fs;
use std::io;

use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{
    Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid, set_thread_uid,
};

use crate::config::FromSetting;

/// Whom the service should run as: a name, or two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAs {
    /// A name of `/etc/passwd`.
    Name(String),
    /// A user and a group by their numbers.
    Numbers(u32, u32),
}

impl FromSetting for RunAs {
    fn expected() -> Cow<'static, str> {
        "a user's name, or user and group as numbers such as \"1000:1000\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if let Some((user, group)) = text.split_once(':') {
            return Some(Self::Numbers(number(user)?, number(group)?));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(&byte);
        let is_name = !text.is_empty() && text.bytes().all(is_allowed) && number(text).is_none();
        is_name.then(|| Self::Name(text.to_owned()))
    }

    fn written(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Numbers(user, group) => format!("{user}:{group}"),
        }
    }
}

/// The number of nobody at all: the kernel takes it for "leave it as it is".
const NO_NUMBER: u32 = u32::MAX;

fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && *number != NO_NUMBER)
}

/// Why the service cannot run as the account that the settings name.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such name.
    #[error("sandbox.user = \"{0}\": /etc/passwd has no such user; say user:group as numbers")]
    Unknown(String),
    /// A file of accounts cannot be read.
    #[error("sandbox.user: {file}: {source}")]
    Unreadable {
        /// The file.
        file: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Only root can become somebody else.
    #[error(
        "sandbox.user = \"{wanted}\", and this process runs as user {present}, who cannot become \
         another: start it as root, or leave sandbox.user out"
    )]
    NotRoot {
        /// Who was asked for.
        wanted: String,
        /// The number of the user who started the process.
        present: u32,
    },
    /// Threads that run already would stay root.
    #[error("sandbox.user: {0} threads run already, and each would stay root: start them later")]
    Threads(usize),
    /// The system refuses.
    #[error("sandbox.user = \"{wanted}\": the system refuses: {source}")]
    Refused {
        /// Who was asked for.
        wanted: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is root, which nothing is given up for.
    #[error(
        "sandbox.user = \"{0}\" is root, who is nobody to become: name another, or leave it out"
    )]
    Root(String),
    /// The change was made and root can be had back.
    #[error("sandbox.user = \"{0}\": the change did not last")]
    NotLasting(String),
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    wanted: RunAs,
    user: u32,
    group: u32,
    /// All groups, the first one included.
    groups: Vec<u32>,
}

impl Account {
    /// Looks an account up.
    ///
    /// # Errors
    ///
    /// [`AccountError::Unknown`], [`AccountError::Unreadable`].
    pub fn find(wanted: &RunAs) -> Result<Self, AccountError> {
        match wanted {
            RunAs::Numbers(user, group) => {
                let wanted = wanted.clone();
                Ok(Self { wanted, user: *user, group: *group, groups: vec![*group] })
            }
            RunAs::Name(name) => {
                let users = accounts("/etc/passwd")?;
                let groups = accounts("/etc/group")?;
                in_files(name, &users, &groups).ok_or_else(|| AccountError::Unknown(name.clone()))
            }
        }
    }

    /// Returns the number of the user.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// Returns the number of the first group.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Tells whether the process is this account already.
    pub fn is_present(&self) -> bool {
        let users = [getuid(), geteuid()].map(Uid::as_raw);
        let groups = [getgid(), getegid()].map(Gid::as_raw);
        users == [self.user; 2] && groups == [self.group; 2]
    }

    /// Tells why this process could not become this account: it is root's, or the process is not
    /// root's, and only root can become somebody else.
    ///
    /// # Errors
    ///
    /// [`AccountError::Root`], [`AccountError::NotRoot`].
    pub fn demand_to_be_had(&self) -> Result<(), AccountError> {
        if self.user == 0 {
            return Err(AccountError::Root(self.wanted.written()));
        }
        let present = geteuid();
        if self.is_present() || present.is_root() {
            return Ok(());
        }
        Err(AccountError::NotRoot { wanted: self.wanted.written(), present: present.as_raw() })
    }

    /// Becomes this account for good: groups first, then the group, then the user, each real,
    /// effective and saved; looks whether it lasts.
    ///
    /// `threads` is how many run, which must be 1: each has an account of its own.
    pub(super) fn become_for_good(&self, threads: usize) -> Result<(), AccountError> {
        self.demand_to_be_had()?;
        if self.is_present() {
            return Ok(());
        }
        let wanted = self.wanted.written();
        if threads != 1 {
            return Err(AccountError::Threads(threads));
        }
        let refused = |source: rustix::io::Errno| AccountError::Refused {
            wanted: wanted.clone(),
            source: source.into(),
        };
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups).map_err(refused)?;
        set_thread_res_gid(group, group, group).map_err(refused)?;
        set_thread_res_uid(user, user, user).map_err(refused)?;
        if self.lasts() { Ok(()) } else { Err(AccountError::NotLasting(wanted)) }
    }

    /// Tells whether the process is this account and cannot go back.
    fn lasts(&self) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_all = |name: &str, number: u32| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let numbers = line.map(|line| line.split_ascii_whitespace().map(str::parse::<u32>));
            // Without /proc, what the calls below tell has to do.
            numbers.is_none_or(|mut all| all.all(|one| one == Ok(number)))
        };
        let could_go_back = set_thread_uid(Uid::ROOT).is_ok();
        self.is_present()
            && is_all("Uid:", self.user)
            && is_all("Gid:", self.group)
            && !could_go_back
    }
}

fn accounts(file: &'static str) -> Result<String, AccountError> {
    let bytes = fs::read(file).map_err(|source| AccountError::Unreadable { file, source })?;
    // Names of people may be in any encoding; what is compared is ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Finds `name` in the texts of passwd(5) and group(5).
fn in_files(name: &str, users: &str, groups: &str) -> Option<Account> {
    let entry = users.lines().map(columns).find(|columns| columns.first() == Some(&name))?;
    let user = number(entry.get(2)?)?;
    let group = number(entry.get(3)?)?;
    let is_member = |columns: &Vec<&str>| {
        columns.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
    };
    let others = groups.lines().map(columns).filter(is_member);
    let others = others.filter_map(|columns| number(columns.get(2)?));
    let mut groups: Vec<u32> = std::iter::once(group).chain(others).collect();
    groups.sort_unstable();
    groups.dedup();
    Some(Account { wanted: RunAs::Name(name.to_owned()), user, group, groups })
}

fn columns(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_two_numbers() {
        assert_eq!(RunAs::from_text("orderdesk"), Some(RunAs::Name("orderdesk".into())));
        assert_eq!(RunAs::from_text("1000:985"), Some(RunAs::Numbers(1000, 985)));
        for wrong in ["", "1000", "a b", "a:b", "1000:", ":1", "-1:1", "+1:1", "4294967295:1"] {
            assert_eq!(RunAs::from_text(wrong), None, "{wrong:?}");
        }
        assert_eq!(RunAs::Numbers(1, 2).written(), "1:2");
    }

    #[test]
    fn a_name_is_found_with_its_groups() {
        let users = "root:x:0:0:root:/root:/bin/sh\nod:x:998:997::/:/bin/false\nodd:x:5:5:::\n";
        let groups = "root:x:0:\nssl:x:110:a,od\nod:x:997:od\nother:x:111:odd\nbroken\n";

        let found = in_files("od", users, groups).unwrap();

        assert_eq!((found.user, found.group), (998, 997));
        assert_eq!(found.groups, [110, 997]);
        assert_eq!(in_files("o", users, groups), None);
        assert_eq!(in_files("odd", "odd:x::5", groups), None);
    }

    #[test]
    fn nobody_becomes_another_beside_threads_that_stay_root() {
        let account = Account::find(&RunAs::Numbers(4_000_001, 4_000_001)).unwrap();

        let refused = account.become_for_good(2).unwrap_err();

        assert!(
            matches!(refused, AccountError::Threads(2) | AccountError::NotRoot { .. }),
            "{refused}"
        );
    }
}
