//! Memory: what the process has used and what the machine has.

/// Bytes at the process's high-water mark so far; `None` where the system does not tell.
pub(super) fn peak_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Bytes of memory and swap space of the machine; `None` where the system does not tell.
pub(super) fn machine_bytes() -> Option<u64> {
    let memory = kibibytes("/proc/meminfo", "MemTotal:")?;
    Some(memory + kibibytes("/proc/meminfo", "SwapTotal:").unwrap_or(0))
}

/// Bytes that could be used now without swapping; `None` where the system does not tell.
pub(super) fn available_bytes() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
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
