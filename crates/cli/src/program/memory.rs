//! Memory: what the process has used and what the machine has.

use std::path::Path;

/// Bytes at the process's high-water mark so far; `None` where the system does not tell.
pub(super) fn peak_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Bytes of memory that the machine has, or the control groups of the process may have, as in a container, and of swap space;
/// `None` where the system does not tell.
pub(super) fn machine_bytes() -> Option<u64> {
    let memory = kibibytes("/proc/meminfo", "MemTotal:").map(limited)?;
    Some(memory + kibibytes("/proc/meminfo", "SwapTotal:").unwrap_or(0))
}

/// The least limit of the control groups that `groups` names, lines of `/proc/self/cgroup`, and of those that hold them; their
/// files are below `root`.
fn group_bytes(root: &Path, groups: &str) -> Option<u64> {
    let limit = |file: &Path| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        // The second version has one hierarchy without a name of its own.
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            named if named.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let inside = Path::new(group.trim_start_matches('/'));
        limits.extend(inside.ancestors().filter_map(|at| limit(&folder.join(at).join(file))));
    }
    limits.into_iter().min()
}

/// Bytes that could be used now without swapping, or that control groups may have in all where that is less; `None` where the
/// system does not tell.
pub(super) fn available_bytes() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:").map(limited)
}

/// So many bytes, or what the control groups of the process may have.
fn limited(bytes: u64) -> u64 {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_bytes(Path::new("/sys/fs/cgroup"), &groups).map_or(bytes, |limit| limit.min(bytes))
}

fn kibibytes(file: &str, key: &str) -> Option<u64> {
    parse(&std::fs::read_to_string(file).ok()?, key)
}

/// The bytes in a line `KEY  123 kB`.
fn parse(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_kibibytes() {
        let text = "VmPeak:\t  100 kB\nVmHWM:\t   17 kB\nThreads:\t2\n";
        assert_eq!(parse(text, "VmHWM:"), Some(17 * 1024));
        assert_eq!(parse(text, "Threads:"), None);
        assert_eq!(parse(text, "VmSwap:"), None);
    }

    /// The least of a group and those around it counts, in either version; `max` and groups that are not there are no limits.
    #[test]
    fn groups_limit_memory() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(group_bytes(root, "0::/a/b\n"), None);
        write("memory.max", "max\n");
        write("a/memory.max", "4096\n");
        write("a/b/memory.max", "8192\n");
        assert_eq!(group_bytes(root, "0::/a/b\n"), Some(4096));
        assert_eq!(group_bytes(root, "0::/a/c\n"), Some(4096));
        assert_eq!(group_bytes(root, "0::/\n"), None);
        write("memory/job/memory.limit_in_bytes", "1000\n");
        assert_eq!(group_bytes(root, "4:cpu,cpuacct:/job\n3:hugetlb,memory:/job\n"), Some(1000));
        assert_eq!(group_bytes(root, "4:cpu,cpuacct:/a\nnonsense\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_mark_rises_with_what_is_touched() {
        let before = peak_bytes().unwrap();
        let block = vec![1_u8; before as usize];
        assert_eq!(block.iter().map(|&byte| usize::from(byte)).sum::<usize>(), block.len());
        let after = peak_bytes().unwrap();
        assert!(after >= block.len() as u64 && after > before, "{before} {after}");
        assert!(machine_bytes().unwrap() >= available_bytes().unwrap());
    }
}
