//! The database: where it lies, whether it is whole, and whether commits reach the disk.
//!
//! `PAL450` to `PAL469` are for PostgreSQL, of which this version judges nothing yet, such as what
//! its user may do.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access, statfs, statvfs};
use rustix::io::Errno;

use super::Finding;
use crate::db::{
    DatabaseSection, DatabaseUrl, DbError, Inspection, Integrity, Schema, SchemaState, inspect,
};

crate::rules! {
    /// The database.
    pub(super) RULES;

    /// There is nowhere to put it.
    NO_FOLDER = "PAL401", Error, Database {
        title: "The folder of the database is missing, or this user may not write to it.",
        why: "SQLite makes its log beside the file: without writing to the folder nothing can be \
              stored.",
        mend: "Make the folder, `chown` it to the service's user and `chmod 700` it.",
    }
    /// Locks and flushes may not mean anything there.
    NETWORK = "PAL402", Error, Database {
        title: "The database lies on a network file system.",
        why: "SQLite's log needs memory that is shared by one machine, and locks and flushes that \
              mean what they say (sqlite.org, \"Write-Ahead Logging\" and \"How To Corrupt\"). \
              What was acknowledged can be lost, and the file damaged.",
        mend: "Keep the database on a disk of this machine.",
    }
    /// It is gone with the power.
    IN_MEMORY = "PAL403", Error, Database {
        title: "The database lies in memory.",
        why: "Everything that was acknowledged is gone with the next restart of the machine or \
              the container.",
        mend: "Keep the database on a disk, in a container on a volume.",
    }
    /// The disk is nearly full.
    LITTLE_SPACE = "PAL404", Warning, Database {
        title: "The disk of the database has less than 256 MiB left.",
        why: "Once it is full, every write is refused.",
        mend: "Make room, or move the database to a larger disk.",
    }
    /// It is broken.
    DAMAGED = "PAL405", Error, Database {
        title: "The database is damaged.",
        why: "Answers may be wrong or missing, and the damage spreads with what is written.",
        mend: "Stop the service, keep a copy of the file, and restore the last good backup.",
    }
    /// A newer release was here.
    NEWER = "PAL406", Error, Database {
        title: "The database was changed by a newer release.",
        why: "This one would misread what it does not know, so it refuses to start.",
        mend: "Start a release at least as new as the one that changed it.",
    }
    /// It will be changed at the start.
    OLDER = "PAL407", Note, Database {
        title: "The database is older than this release, which brings it up to date at its start.",
        why: "From then on older releases refuse it.",
        mend: "Keep a backup from before.",
    }
    /// It would have to be changed, and must not be.
    OLDER_AND_KEPT = "PAL408", Error, Database {
        title: "The database is older than this release, and database.migrate is false.",
        why: "The service refuses to start.",
        mend: "Run `migrate` first.",
    }
    /// What was applied is not what is known.
    OTHER_SCHEMA = "PAL409", Error, Database {
        title: "The tables are not the ones that this program knows.",
        why: "A migration was changed after it was applied, or one is missing: nobody knows what \
              the tables hold.",
        mend: "Use the program that made the database, or restore a backup.",
    }
    /// Rows refer to nothing.
    DANGLING = "PAL410", Error, Database {
        title: "Rows of the database refer to rows that do not exist.",
        why: "Somebody changed it behind the service, which never leaves such rows.",
        mend: "Find out who did; `PRAGMA foreign_key_check` lists the rows.",
    }
    /// There is nothing yet.
    NONE_YET = "PAL411", Note, Database {
        title: "There is no database yet; the start makes it.",
        why: "If there should be one, its address is wrong, and the service would begin with \
              nothing.",
        mend: "Nothing before the first start; else correct DATABASE_URL.",
    }
    /// It cannot be looked at.
    UNREADABLE = "PAL412", Error, Database {
        title: "The database cannot be read.",
        why: "The service could not start, or this check runs as another user.",
        mend: "Run the check as the service's user.",
    }
    /// It was not looked at as a whole.
    UNFINISHED = "PAL413", Note, Database {
        title: "The database is too large to be looked at as a whole.",
        why: "Damage in the part that was not read is not found.",
        mend: "Run `PRAGMA integrity_check` on a copy.",
    }
    /// It cannot be written.
    NOT_WRITABLE = "PAL414", Error, Database {
        title: "This user may not write to a file of the database.",
        why: "Nothing can be stored, so the service does not start.",
        mend: "`chown` it to the service's user and `chmod 600` it. `-wal`, `-shm`, `-journal` \
               and `.lock` belong to the file whose name they follow.",
    }
    /// A server is not asked.
    SERVER = "PAL450", Note, Database {
        title: "The database is a server, which this check does not look at.",
        why: "Whether it is there, has the tables of this version and gives its user no more than \
              it needs is only known at the start, or not at all.",
        mend: "Start the service, and look at the user's rights as docs/operate/postgresql.md says.",
    }
}

/// How long the file is read at most.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// Room for the log of some large changes, and time to react.
const LEAST_SPACE: u64 = 256 * 1024 * 1024;

/// Judges the database at `url` without changing it; reads the whole file, for 10 seconds at
/// most.
pub fn database(url: &DatabaseUrl, section: &DatabaseSection, schemas: &[Schema]) -> Vec<Finding> {
    let Some((file, folder)) = url.path().zip(url.folder()) else {
        return vec![Finding::new(&SERVER, "DATABASE_URL names a server")];
    };
    let can_write = access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if !folder.is_dir() || !can_write {
        return vec![Finding::new(&NO_FOLDER, folder.display())];
    }
    let mut findings = judge_place(folder);
    let misplaced = url.misplaced();
    if !misplaced.is_empty() {
        let found = |(file, what): &(PathBuf, &str)| {
            Finding::new(&UNREADABLE, format_args!("{} {what}", file.display()))
        };
        findings.extend(misplaced.iter().map(found));
        return findings;
    }
    if !file.exists() {
        findings.push(Finding::new(&NONE_YET, file.display()));
        return findings;
    }
    let is_kept =
        |file: &PathBuf| access(file, Access::WRITE_OK).is_err_and(|no| no != Errno::NOENT);
    let kept = url.files().filter(is_kept);
    findings.extend(kept.map(|file| Finding::new(&NOT_WRITABLE, file.display())));
    match inspect(url, schemas, LONGEST_LOOK) {
        Ok(inspection) => findings.extend(judge_content(inspection, section, schemas)),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            findings.push(Finding::new(&UNREADABLE, format_args!("{error}{cause}")));
        }
    }
    findings
}

fn judge_place(folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Ok(system) = statfs(folder) else { return findings };
    findings.extend(judge_kind(folder, system.f_type));
    // What is kept back for root is not there for the service.
    let free = statvfs(folder).map(|system| system.f_bavail.saturating_mul(system.f_frsize));
    findings.extend(free.ok().and_then(|free| judge_space(folder, free)));
    findings
}

fn judge_kind(folder: &Path, kind: impl Into<i64>) -> Option<Finding> {
    let (rule, name) = match danger_of(kind)? {
        Danger::Network(name) => (&NETWORK, name),
        Danger::Memory(name) => (&IN_MEMORY, name),
    };
    Some(Finding::new(rule, format_args!("{} is on {name}", folder.display())))
}

fn judge_space(folder: &Path, free: u64) -> Option<Finding> {
    let what = format_args!("{} has {} MiB left", folder.display(), free / (1024 * 1024));
    (free < LEAST_SPACE).then(|| Finding::new(&LITTLE_SPACE, what))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Danger {
    Network(&'static str),
    Memory(&'static str),
}

/// The kinds of file systems by their numbers in `linux/magic.h` and statfs(2). FUSE is among the
/// networks: what is mounted by it is far more often far away than not.
const DANGERS: [(i64, Danger); 13] = [
    (0x6969, Danger::Network("NFS")),
    (0x517B, Danger::Network("SMB")),
    (0xFE53_4D42, Danger::Network("SMB")),
    (0xFF53_4D42, Danger::Network("CIFS")),
    (0x0102_1997, Danger::Network("9P")),
    (0x00C3_6400, Danger::Network("Ceph")),
    (0x5346_414F, Danger::Network("AFS")),
    (0x0BD0_0BD0, Danger::Network("Lustre")),
    (0x7461_636F, Danger::Network("OCFS2")),
    (0x4750_4653, Danger::Network("GPFS")),
    (0x6573_5546, Danger::Network("FUSE")),
    (0x0102_1994, Danger::Memory("tmpfs")),
    (0x8584_58F6, Danger::Memory("ramfs")),
];

/// The number has another type on each kind of machine; on those of 32 bits the high ones are
/// negative.
fn danger_of(kind: impl Into<i64>) -> Option<Danger> {
    let kind = kind.into() & 0xFFFF_FFFF;
    DANGERS.iter().find(|(known, _)| *known == kind).map(|(_, danger)| *danger)
}

fn judge_content(
    inspection: Inspection,
    section: &DatabaseSection,
    schemas: &[Schema],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(match inspection.integrity {
        Integrity::Sound => None,
        Integrity::Damaged(how) => Some(Finding::new(&DAMAGED, how)),
        Integrity::Dangling(count) => Some(Finding::new(&DANGLING, format_args!("{count} rows"))),
        Integrity::Unfinished => {
            Some(Finding::new(&UNFINISHED, format_args!("read for {LONGEST_LOOK:?}")))
        }
    });
    for (schema, state) in schemas.iter().zip(inspection.schemas) {
        findings.extend(judge_schema(schema.component, state, section.migrate));
    }
    findings
}

fn judge_schema(
    component: &str,
    state: Result<SchemaState, DbError>,
    is_migrated: bool,
) -> Option<Finding> {
    let (rule, applied, known) = match state {
        Ok(SchemaState::UpToDate) => return None,
        Ok(SchemaState::Newer { applied, known }) => (&NEWER, applied, known),
        Ok(SchemaState::Older { applied, known }) if is_migrated => (&OLDER, applied, known),
        Ok(SchemaState::Older { applied, known }) => (&OLDER_AND_KEPT, applied, known),
        Err(error @ DbError::Schema { .. }) => return Some(Finding::new(&OTHER_SCHEMA, error)),
        // A file that cannot be read is judged by its integrity.
        Err(_) => return None,
    };
    let what = format_args!("{component} is at version {applied}, this program knows {known}");
    Some(Finding::new(rule, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_found_and_one_with_room_is_not() {
        let found = judge_space(Path::new("/data"), LEAST_SPACE - 1).unwrap();

        assert_eq!((found.rule().id, found.what()), ("PAL404", "/data has 255 MiB left"));
        assert!(judge_space(Path::new("/data"), LEAST_SPACE).is_none());
    }

    #[test]
    fn a_look_that_did_not_end_is_told() {
        let inspection = Inspection { integrity: Integrity::Unfinished, schemas: Vec::new() };

        let found = judge_content(inspection, &DatabaseSection::default(), &[]);

        assert_eq!(found[0].rule().id, "PAL413");
    }

    #[test]
    fn a_database_across_a_network_is_found() {
        let found = judge_kind(Path::new("/data"), 0x6969_i64).unwrap();

        assert_eq!((found.rule().id, found.what()), ("PAL402", "/data is on NFS"));
    }

    #[test]
    fn a_file_system_that_cannot_keep_a_promise_is_known_by_its_number() {
        let ext4 = 0xEF53_i64;
        assert_eq!(danger_of(0x6969_i64), Some(Danger::Network("NFS")));
        assert_eq!(danger_of(0x0102_1994_i64), Some(Danger::Memory("tmpfs")));
        // As a machine of 32 bits has it.
        assert_eq!(danger_of(-11_317_950_i32), Some(Danger::Network("CIFS")));
        assert_eq!(danger_of(ext4), None);
    }
}
