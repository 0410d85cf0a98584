//! How much of the memory that this process may use is in use, by whomever.

use crate::device::processor;

/// Bytes in use and bytes in all: of the machine, or of the control group where that bounds it. `None` where the system does
/// not tell.
pub fn memory_use() -> Option<(u64, u64)> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = machine_use(&read("/proc/meminfo")?, processor::memory_bytes()?)?;
    let group = || {
        let of = |name: &str| read(&format!("/sys/fs/cgroup/{name}"));
        group_use(&of("memory.current")?, &of("memory.max")?, &of("memory.stat")?)
    };
    Some(group().filter(|(_, all)| *all < machine.1).unwrap_or(machine))
}

/// What is neither free nor given back when it is asked for.
fn machine_use(meminfo: &str, all: u64) -> Option<(u64, u64)> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((all.saturating_sub(available.checked_mul(1024)?), all))
}

/// The same of a control group (version 2) that has a bound.
fn group_use(current: &str, max: &str, stat: &str) -> Option<(u64, u64)> {
    let (current, max): (u64, u64) = (current.trim().parse().ok()?, max.trim().parse().ok()?);
    // Pages of files that nobody has used for long are given back first.
    let old_pages = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let old_pages: u64 = old_pages.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Some((current.saturating_sub(old_pages), max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read() {
        assert_eq!(machine_use("MemFree: 1 kB\nMemAvailable:   2 kB\n", 10_000), Some((7952, 10_000)));
        assert_eq!(machine_use("MemFree: 1 kB\n", 10_000), None);
        assert_eq!(group_use("5000\n", "8000\n", "anon 1\ninactive_file 1500\n"), Some((3500, 8000)));
        assert_eq!(group_use("5000\n", "max\n", ""), None, "it has no bound");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_uses_some_of_its_memory() {
        let (used, all) = memory_use().unwrap();
        assert!(0 < used && used <= all, "{used} of {all}");
    }
}
