//! The files that a service trusts: who may change or read them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;
use super::owners::{Holder, folders_to};
use crate::db::files_of;

crate::rules! {
    /// Files and folders.
    pub(super) RULES;

    /// Everybody may change the settings.
    SETTINGS_OPEN = "PAL301", Error, Files {
        title: "Others can change the settings file.",
        why: "Whoever can write there decides how the service runs: where it listens, whom it \
              believes, what it logs.",
        mend: "`chown` it to root or to the service's user, and `chmod 640` it.",
    }
    /// A group may change the settings.
    SETTINGS_OPEN_TO_GROUP = "PAL302", Warning, Files {
        title: "A group can change the settings file.",
        why: "Every member of the group decides how the service runs.",
        mend: "`chmod g-w` it, or silence this with who is in that group.",
    }
    /// A file can be replaced by somebody who may not write it.
    REPLACEABLE = "PAL303", Error, Files {
        title: "Others can replace a file that the service trusts, by a folder on the way to it.",
        why: "Who may write to a folder may rename what is in it and put something else there, \
              whatever the file's own mode is.",
        mend: "`chown` the folder to root or to the service's user, and `chmod go-w` it.",
    }
    /// Others can look into the data folder.
    DATA_FOLDER_OPEN = "PAL304", Warning, Files {
        title: "Others can look into the folder of the database.",
        why: "They see what is there and when it changes, and read every copy or backup that is \
              left there with an open mode.",
        mend: "`chmod 700` it.",
    }
    /// A file of the database is not the service's alone.
    DATABASE_FILE_OPEN = "PAL305", Error, Files {
        title: "A file of the database is open to others, or belongs to another user.",
        why: "Who reads it has every account, address and hash; who writes it decides what the \
              service believes.",
        mend: "`chown` it to the service's user, and `chmod 600` it.",
    }
    /// What is only read can be written.
    READ_WHERE_WRITTEN = "PAL306", Warning, Files {
        title: "A file that the service only reads lies in the folder of its database.",
        why: "The service may write whatever is in that folder, locked down or not: who takes it over \
              could change the settings, secrets or key that the next start believes.",
        mend: "Move it to a folder of its own, which the service's user cannot write to.",
    }
}

/// What a service reads and keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paths<'a> {
    /// The settings file, if there is one.
    pub settings: Option<&'a Path>,
    /// Files that hold secrets, the key of the certificate included.
    pub secrets: &'a [PathBuf],
    /// The certificate.
    pub certificate: Option<&'a Path>,
    /// The database.
    pub database: Option<&'a Path>,
    /// The number of the user whom the service becomes, if `sandbox.user` names one: what belongs
    /// to that user is the service's own.
    pub user: Option<u32>,
}

/// Returns who else may change or read them. What cannot be seen is not judged here: it is an
/// error of what reads it.
pub fn files(paths: &Paths<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let user = paths.user;
    let settings = paths.settings.and_then(Holder::of);
    findings.extend(settings.and_then(|file| judge_settings(&file, user)));
    findings.extend(paths.database.into_iter().flat_map(|path| judge_database(path, user)));
    let read = paths.settings.into_iter().chain(paths.certificate);
    let read = read.chain(paths.secrets.iter().map(PathBuf::as_path));
    findings.extend(judge_neighbours(read, paths.database));
    let trusted = paths.settings.into_iter().chain(paths.certificate).chain(paths.database);
    let trusted = trusted.chain(paths.secrets.iter().map(PathBuf::as_path));
    let mut told = BTreeSet::new();
    for path in trusted {
        let folders = folders_to(path).into_iter();
        for folder in folders.filter(|folder| folder.lets_others_replace(user)) {
            if told.insert(folder.path.clone()) {
                let what = format_args!("{} leads to {}", folder.said(), path.display());
                findings.push(Finding::new(&REPLACEABLE, what));
            }
        }
    }
    findings
}

/// Finds what lies where the database does, links resolved.
fn judge_neighbours<'a>(
    read: impl Iterator<Item = &'a Path>,
    database: Option<&Path>,
) -> Vec<Finding> {
    let folder_of = |path: &Path| path.canonicalize().ok()?.parent().map(Path::to_owned);
    let data = database.and_then(Path::parent).and_then(|folder| folder.canonicalize().ok());
    let Some(data) = data else { return Vec::new() };
    let is_inside = |path: &&Path| folder_of(path).is_some_and(|folder| folder.starts_with(&data));
    let found = read.filter(is_inside).collect::<BTreeSet<_>>().into_iter();
    found.map(|path| Finding::new(&READ_WHERE_WRITTEN, path.display())).collect()
}

fn judge_settings(file: &Holder, user: Option<u32>) -> Option<Finding> {
    if file.is_open_to_all() || file.is_foreign(user) {
        return Some(Finding::new(&SETTINGS_OPEN, file.said()));
    }
    file.is_open_to_group().then(|| Finding::new(&SETTINGS_OPEN_TO_GROUP, file.said()))
}

fn judge_database(path: &Path, user: Option<u32>) -> Vec<Finding> {
    let folder = path.parent().and_then(Holder::of).filter(Holder::is_folder);
    let mut findings: Vec<_> = folder
        .filter(Holder::is_shared)
        .map(|folder| {
            let mend = format!("`chmod 700 {}`", folder.path.display());
            Finding::new(&DATA_FOLDER_OPEN, folder.said()).mended_by(mend)
        })
        .into_iter()
        .collect();
    for file in files_of(path) {
        let file = Holder::of(&file);
        let open = file.filter(|file| file.is_shared() || file.is_foreign(user));
        findings.extend(open.map(|file| Finding::new(&DATABASE_FILE_OPEN, file.said())));
    }
    findings
}
