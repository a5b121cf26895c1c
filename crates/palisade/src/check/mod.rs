//! The deployment check: numbered findings on what a service is about to run with, and on what
//! answers when it runs.
//!
//! The rules of this module:
//!
//! 1. A finding has a permanent number, a level, what was found, why that matters and how to mend
//!    it. Numbers are never given to anything else; `docs/operate/check.md` explains each.
//! 2. What stops a start is the same finding with the same number: [`Deployment::clear`] is what
//!    `serve` asks before it binds.
//! 3. A finding is silenced only by its number and with a reason, and is shown all the same.
//! 4. Nothing here writes, and nothing here shows a secret: what is known to be one is taken out.
//!
//! A service puts its check together from these parts and adds rules of its own with
//! [`rules!`](crate::rules). It leaves out what only another machine can see, except where it is
//! told to look from outside: [`live()`].

mod catalogue;
mod certificate;
mod clock;
mod database;
mod exposure;
mod files;
mod finding;
mod limits;
mod listeners;
mod live;
mod manual;
mod owners;
mod process;
mod report;
mod rule;
mod secrets;
mod settings;
mod silence;
mod start;

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::http::{LimitsSection, ServerSection, TlsSection};
use crate::process::SandboxSection;
use crate::telemetry::LogSection;

pub use catalogue::{catalogue, library_rules};
pub use clock::clock;
pub use database::database;
pub use exposure::Reach;
pub use files::{Paths, files};
pub use finding::Finding;
pub use limits::{passwords, sessions};
pub use live::{Trust, live};
pub use manual::{explain, manual};
pub(crate) use process::becomes;
pub use process::{lockdown, process};
pub use report::{Check, Report};
pub use rule::{Level, Rule, Tag};
pub use secrets::{Key, SecretReader};
pub(crate) use settings::revealing;
pub use settings::{mistakes, shown};
pub use silence::{CheckSection, Silence};
pub use start::{Checked, Refused};

/// What every service is set up with.
#[derive(Debug, Clone)]
pub struct Deployment<'a> {
    /// Where it listens, and behind whom.
    pub server: &'a ServerSection,
    /// How the public listener is encrypted.
    pub tls: &'a TlsSection,
    /// What one client may cost.
    pub limits: &'a LimitsSection,
    /// What is logged.
    pub log: Arc<LogSection>,
    /// What the process takes from itself.
    pub sandbox: &'a SandboxSection,
    /// How far this start may reach.
    pub reach: Reach,
    /// The present moment.
    pub now: Timestamp,
}

impl Deployment<'_> {
    /// Returns what stops the start.
    pub fn fatal(&self) -> Vec<Finding> {
        let mut findings = exposure::judge(self);
        findings.extend(certificate::fatal(self.tls));
        findings.extend(process::fatal(self.sandbox));
        findings.extend(settings::fatal(self));
        findings
    }

    /// Returns what stops the start because a file is not there, which a process can tell of files
    /// that it may not open.
    pub(crate) fn without_files(&self) -> Vec<Finding> {
        certificate::absent(self.tls)
    }

    /// Returns everything that the settings and what they name show, what stops the start
    /// included.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = exposure::judge(self);
        findings.extend(settings::fatal(self));
        findings.extend(settings::judge(self));
        findings.extend(listeners::judge(self));
        findings.extend(certificate::judge(self));
        findings.extend(limits::judge(self.limits));
        findings.extend(process(self.sandbox));
        findings
    }
}
