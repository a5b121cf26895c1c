//! Links on the way to a secret: those of service managers lead there, those of others nowhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use super::secret_file::{Access, read};
use super::{FileFault, secret_path};

/// Somebody who is neither root nor the one who runs the tests.
const STRANGER: u32 = 54_321;

/// A folder of ours that nobody else can write to, with what an attack needs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a folder");
        self.chmod(name, mode);
        path
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("its mode");
    }

    fn secret(&self, name: &str, mode: u32) -> PathBuf {
        fs::write(self.path(name), "s3cr3t\n").expect("a file");
        self.chmod(name, mode);
        self.path(name)
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        symlink(target, self.path(name)).expect("a link");
        self.path(name)
    }
}

fn outcome(path: &Path) -> Result<(), FileFault> {
    read(path, Access::OwnerOnly).map(|found| {
        assert_eq!(found.expect("a secret").expose(), "s3cr3t");
    })
}

/// Gives a file, a folder or a link away; only root can, and without that there is no attack.
#[must_use]
fn give_away(path: &Path) -> bool {
    let is_given = lchown(path, Some(STRANGER), None).is_ok();
    if !is_given {
        eprintln!("skipped: only root can give {} to another user", path.display());
    }
    is_given
}

#[test]
fn links_of_our_own_lead_to_the_secret_wherever_they_turn() {
    let place = Place::new();
    place.folder("real", 0o700);
    place.folder("real/deep", 0o755);
    place.secret("real/deep/key", 0o600);
    place.link("folder", "real/./deep");
    place.link("absolute", place.path("folder/key"));
    place.link("real/up", "../folder/../deep/key");
    place.link("chain", "absolute");

    for way in ["real/deep/key", "folder/key", "absolute", "real/up", "chain", "real/../absolute"] {
        assert!(outcome(&place.path(way)).is_ok(), "{way}: {:?}", outcome(&place.path(way)));
    }
}

#[test]
fn the_mode_of_the_file_behind_a_link_is_judged() {
    let place = Place::new();
    place.secret("key", 0o640);
    let link = place.link("link", "key");

    assert!(matches!(outcome(&link), Err(FileFault::Mode { mode: 0o640, .. })));
}

#[test]
fn a_link_in_a_folder_that_others_can_write_to_is_refused_unless_it_is_sticky() {
    let place = Place::new();
    place.folder("open", 0o700);
    place.secret("key", 0o600);
    let link = place.link("open/link", "../key");

    for (mode, is_refused) in [(0o777, true), (0o757, true), (0o1777, false), (0o755, false)] {
        place.chmod("open", mode);
        let refused = matches!(outcome(&link), Err(FileFault::FolderMode { .. }));
        assert_eq!(refused, is_refused, "{mode:o}: {:?}", outcome(&link));
        assert_eq!(outcome(&link).is_ok(), !is_refused, "{mode:o}");
    }
}

#[test]
fn a_link_that_leads_out_into_a_folder_that_others_can_write_to_is_refused() {
    let (ours, open) = (Place::new(), Place::new());
    open.secret("key", 0o600);
    open.folder("below", 0o700);
    open.secret("below/key", 0o600);
    let to_file = ours.link("file", open.path("key"));
    let to_below = ours.link("below", open.path("below"));
    assert!(outcome(&to_file).is_ok() && outcome(&to_below.join("key")).is_ok());

    open.chmod(".", 0o777);

    for way in [to_file, to_below.join("key")] {
        let refused = outcome(&way).expect_err("a way that others can turn").to_string();
        let folder = open.path("").display().to_string();
        assert!(refused.contains(folder.trim_end_matches('/')), "{refused}");
        assert!(refused.contains("chmod go-w") && refused.contains("0777"), "{refused}");
    }
    assert!(outcome(&open.path("key")).is_ok(), "a folder that is named, and no link");
}

#[test]
fn a_group_may_write_to_a_folder_behind_a_link_only_if_it_is_nobody_elses() {
    let (ours, shared) = (Place::new(), Place::new());
    shared.secret("key", 0o600);
    let link = ours.link("link", shared.path("key"));
    shared.chmod(".", 0o770);
    let group = |group: u32| lchown(shared.path("."), None, Some(group)).is_ok();

    if group(secret_path::us()) {
        assert!(outcome(&link).is_ok(), "{:?}", outcome(&link));
    }
    if group(STRANGER) {
        assert!(matches!(outcome(&link), Err(FileFault::FolderMode { mode: 0o770, .. })));
    } else {
        eprintln!("skipped: only root can give a folder to another group");
    }
}

#[test]
fn a_link_or_a_folder_of_somebody_else_is_refused() {
    let (ours, theirs) = (Place::new(), Place::new());
    ours.secret("key", 0o600);
    let link = ours.link("link", "key");
    theirs.secret("key", 0o600);
    let out = ours.link("out", theirs.path("key"));
    assert!(outcome(&link).is_ok() && outcome(&out).is_ok());

    if give_away(&link) && give_away(&theirs.path(".")) {
        let refused = outcome(&link).expect_err("somebody else's link").to_string();
        assert!(refused.contains("link") && refused.contains("user 54321"), "{refused}");
        assert!(matches!(outcome(&out), Err(FileFault::FolderOwner { owner: STRANGER, .. })));
    }
}

#[test]
fn a_link_that_a_stranger_puts_into_a_sticky_folder_is_refused() {
    let (sticky, ours) = (Place::new(), Place::new());
    sticky.chmod(".", 0o1777);
    ours.secret("key", 0o600);
    let link = sticky.link("link", ours.path("key"));
    assert!(outcome(&link).is_ok());

    if give_away(&link) {
        assert!(matches!(outcome(&link), Err(FileFault::Link { owner: STRANGER, .. })));
    }
}

#[test]
fn links_in_a_circle_end() {
    let place = Place::new();
    place.link("a", "b");
    let circle = place.link("b", "a");
    place.link("here", ".");
    place.secret("key", 0o600);

    assert!(matches!(outcome(&circle), Err(FileFault::Links)));
    assert!(outcome(&place.path(&"here/".repeat(40)).join("key")).is_ok());
    let many = place.path(&"here/".repeat(41)).join("key");
    assert!(matches!(outcome(&many), Err(FileFault::Links)));
}

#[test]
fn a_link_to_nothing_is_no_secret_and_one_through_a_file_is_a_fault() {
    let place = Place::new();
    place.secret("key", 0o600);
    let dangling = place.link("dangling", "nothing");
    let through = place.link("through", "key/key");

    assert!(matches!(read(&dangling, Access::OwnerOnly), Ok(None)));
    assert!(matches!(outcome(&through), Err(FileFault::Unreadable(_))));
}

#[test]
fn what_kubernetes_mounts_is_read_before_and_after_it_is_turned() {
    let place = Place::new();
    // As kubelet lays it out: a sticky folder that all can write to, versions, links to links.
    let mount = place.folder("secrets", 0o1777);
    for version in ["..2026_11_23_01", "..2026_11_23_02"] {
        place.folder(&format!("secrets/{version}"), 0o755);
        place.secret(&format!("secrets/{version}/api_key"), 0o440);
    }
    place.link("secrets/..data", "..2026_11_23_01");
    let key = place.link("secrets/api_key", "..data/api_key");

    let is_root = fs::metadata(&mount).expect("the mount").uid() == 0;
    let is_read = || outcome(&key).is_ok();
    assert_eq!(is_read(), is_root, "a group reads only what root projects: {:?}", outcome(&key));

    place.link("secrets/..data_tmp", "..2026_11_23_02");
    fs::rename(place.path("secrets/..data_tmp"), place.path("secrets/..data")).expect("a turn");
    fs::remove_dir_all(place.path("secrets/..2026_11_23_01")).expect("the old version");
    assert_eq!(is_read(), is_root);

    place.chmod("secrets/..2026_11_23_02/api_key", 0o444);
    assert!(matches!(outcome(&key), Err(FileFault::Mode { mode: 0o444, .. })), "open to all");
    place.chmod("secrets/..2026_11_23_02/api_key", 0o440);
    let plain = place.link("plain", "secrets/..2026_11_23_02/api_key");
    assert!(matches!(outcome(&plain), Err(FileFault::Mode { .. })), "no mount of Kubernetes's");
}

#[test]
fn a_projection_that_a_stranger_made_gives_no_group_a_right() {
    let place = Place::new();
    place.folder("..version", 0o755);
    place.secret("..version/key", 0o440);
    let projection = place.link("..data", "..version");

    if give_away(&projection) {
        let refused = outcome(&place.path("..data/key"));
        assert!(matches!(refused, Err(FileFault::Link { owner: STRANGER, .. })), "{refused:?}");
    }
}
