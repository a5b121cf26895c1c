//! How much memory this process may have: that of the machine, or what its container is given.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the least of the machine's memory and the limits of every control group that this process is in,
/// in bytes; `None` if the system tells nothing.
///
/// Call it before the process is locked down: what it reads is out of reach then.
pub fn memory_limit() -> Option<u64> {
    limit_below(Path::new("/"))
}

fn limit_below(root: &Path) -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(root.join(path)).ok();
    let machine = read(Path::new("proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(files).filter_map(|file| read(&file)?.trim().parse().ok());
    limits.chain(machine).min()
}

/// Reads `MemTotal:       24616976 kB`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the files with the limits of a line of `/proc/self/cgroup`: those of the group and of every one
/// above it. `0::/a/b` is version 2, `7:memory:/a/b` version 1, where `max` is a number no machine has.
fn files(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (top, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let group = Path::new(group.trim_start_matches('/'));
    // In a container the group may be named as the host sees it, and the top is its own.
    group.ancestors().map(|above| Path::new(top).join(above).join(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       4096 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_least_limit_above_the_process_counts() {
        let groups = root(&[
            MACHINE,
            ("proc/self/cgroup", "0::/app/web\n"),
            ("sys/fs/cgroup/app/web/memory.max", "max\n"),
            ("sys/fs/cgroup/app/memory.max", "1048576\n"),
        ]);
        assert_eq!(limit_below(groups.path()), Some(1_048_576));
        let first = root(&[
            MACHINE,
            ("proc/self/cgroup", "7:cpu,memory:/app\n3:pids:/app\n"),
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "2097152\n"),
        ]);
        assert_eq!(limit_below(first.path()), Some(2_097_152));
        assert_eq!(limit_below(root(&[MACHINE]).path()), Some(4_194_304));
        assert_eq!(limit_below(root(&[]).path()), None);
    }

    #[test]
    fn this_machine_tells_its_own() {
        assert!(memory_limit().is_some_and(|bytes| bytes > 1 << 20));
    }
}
