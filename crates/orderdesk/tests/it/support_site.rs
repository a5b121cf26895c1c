//! A deployment as the manual describes a good one, to be spoilt in one way or another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use palisade_testing::{Finished, Program};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{API_KEY, SECRET_KEY, orderdesk, text};
use crate::support_certificates::{Authority, Issued, THIS_YEAR};

/// The host of the good deployment's `public_url`.
pub(crate) const HOST: &str = "orders.example.com";

/// Files with their modes, settings and variables, of a service that does not run yet.
pub(crate) struct Site {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    pub(crate) authority: Authority,
}

impl Site {
    /// Makes a good one for `host`, with an empty database of this version.
    pub(crate) async fn good(host: &str) -> Self {
        // Of the two folders for anybody's files, the one that is seldom in memory.
        let folder = tempfile::tempdir_in("/var/tmp").or_else(|_| tempfile::tempdir()).unwrap();
        let mut site = Self { folder, variables: BTreeMap::new(), authority: Authority::new() };
        for (name, mode) in [("data", 0o700), ("keys", 0o755), ("tls", 0o755)] {
            fs::create_dir(site.path(name)).unwrap();
            site.close(name, mode);
        }
        site.close("", 0o755);
        site.write("keys/api", API_KEY, 0o600);
        site.write("keys/secret", SECRET_KEY, 0o600);
        let issued = site.authority.issue(host, THIS_YEAR);
        site.serve_with(&issued);
        let settings = format!(
            "[accounts]\nrequire_second_factor = \"operators\"\n\n\
             [server]\nlisten = \"0.0.0.0:8443\"\npublic_url = \"https://{host}\"\n\n\
             [tls]\nmode = \"files\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            site.path("tls/chain.pem").display(),
            site.path("tls/key.pem").display(),
        );
        site.write("orderdesk.toml", &settings, 0o644);
        site.variable("API_KEY_FILE", site.shown("keys/api"));
        site.variable("SECRET_KEY_FILE", site.shown("keys/secret"));
        site.variable("DATABASE_URL", site.database_url());
        site.command(["migrate"]).run().await.assert_code(0);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn database_url(&self) -> String {
        format!("sqlite://{}", self.shown("data/orderdesk.db"))
    }

    /// Writes a file, in the place of one that may be there.
    pub(crate) fn write(&self, name: &str, content: &str, mode: u32) {
        fs::write(self.path(name), content).unwrap();
        self.close(name, mode);
    }

    /// Gives a file or a folder a mode.
    pub(crate) fn close(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Puts a certificate with the authority's intermediate behind it, and its key.
    pub(crate) fn serve_with(&self, Issued { certificate, key }: &Issued) {
        let chain = format!("{certificate}{}", self.authority.intermediate);
        self.write("tls/chain.pem", &chain, 0o644);
        self.write("tls/key.pem", key, 0o600);
    }

    pub(crate) fn variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    pub(crate) fn without(&mut self, name: &str) {
        self.variables.remove(name).unwrap();
    }

    /// Overrides one setting, such as `("log.level", "debug")`, by its variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let variable = format!("ORDERDESK__{}", name.replace('.', "__").to_uppercase());
        self.variable(&variable, value);
    }

    /// Opens the database behind the service's back.
    pub(crate) fn tamper(&self, sql: &str) {
        let database = rusqlite::Connection::open(self.path("data/orderdesk.db")).unwrap();
        database.execute_batch(sql).unwrap();
    }

    /// Describes a command with the settings and secrets of the deployment.
    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Program {
        let mut command = orderdesk().args(args).args(["--config", "orderdesk.toml"]);
        for (name, value) in &self.variables {
            command = command.env(name, value);
        }
        command.dir(self.folder.path())
    }

    /// Runs the check, with more arguments if there are any.
    pub(crate) async fn check(&self, more: &[&str]) -> Checked {
        let args = [&["check", "--format", "json"], more].concat();
        let finished = self.command(args).run().await;
        Checked::read(finished)
    }
}

/// What a check has found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) finished: Finished,
    pub(crate) report: Value,
}

impl Checked {
    #[track_caller]
    fn read(finished: Finished) -> Self {
        let report = serde_json::from_str(&finished.stdout);
        let report = report.unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        Self { finished, report }
    }

    pub(crate) fn findings(&self) -> &[Value] {
        self.report["findings"].as_array().unwrap()
    }

    /// Returns the numbers that were found, without what a test cannot decide: that it runs as
    /// root, and what its machine has to say.
    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        let ids = self.findings().iter().map(|finding| text(finding, "id"));
        ids.filter(|id| !OF_THIS_MACHINE.contains(id)).collect()
    }

    /// Returns what was said about every finding of a number.
    pub(crate) fn what(&self, id: &str) -> Vec<&str> {
        let of_id = self.findings().iter().filter(|finding| finding["id"] == id);
        of_id.map(|finding| text(finding, "what")).collect()
    }

    /// Returns the numbers that were found from outside.
    pub(crate) fn live(&self) -> BTreeSet<&str> {
        self.ids().into_iter().filter(|id| id.starts_with("PAL9")).collect()
    }
}

/// Root, the lockdown by effort, a crash that may write a core file, few descriptors, a clock that
/// nobody has set: tests beside the code make these appear.
const OF_THIS_MACHINE: [&str; 5] = ["PAL701", "PAL703", "PAL705", "PAL604", "PAL803"];

/// Tells whether `folder` lies in memory.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: i128 = 0x0102_1994;
    // The number has another type on each kind of machine.
    rustix::fs::statfs(folder).is_ok_and(|system| i128::from(system.f_type) == TMPFS)
}
