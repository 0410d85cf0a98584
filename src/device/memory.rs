//! What memory the machine has free, and the cgroup that this process runs in.

use std::path::{Path, PathBuf};

/// How many bytes of memory this process and those that it starts may still take, before the machine or a cgroup has none
/// left; `None` where the system does not tell.
pub fn free_memory_bytes() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return super::processor::memory_bytes();
    }
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_bytes(&text));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = folders(&groups).into_iter().filter_map(|folder| free_in_group(&folder));
    machine.into_iter().chain(groups).min()
}

/// How many bytes of memory are in use, by whomever, and of how many: what the machine has, or a cgroup sets as its limit.
pub fn memory_use() -> Option<(u64, u64)> {
    let machine = super::processor::memory_bytes()?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let all = folders(&groups).into_iter().filter_map(|folder| limit_of_group(&folder)).fold(machine, u64::min);
    Some((all.saturating_sub(free_memory_bytes()?), all))
}

/// How much memory this process holds, in bytes, where the system tells.
#[cfg(feature = "service")]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The limit of a group; `None` where it sets none.
fn limit_of_group(folder: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let limit = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
    // Version 1 says "none" with a number near the largest.
    limit.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

fn available_bytes(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The folders of this process' memory cgroup and of all that it lies in, by what `/proc/self/cgroup` says.
fn folders(groups: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|controller| controller == "memory") => Path::new("/sys/fs/cgroup/memory"),
            _ => continue,
        };
        // In a container the path may be that of the host, while only its own group is mounted, at the root.
        let path = Path::new(path.trim_start_matches('/'));
        let own = path.ancestors().filter(|part| !part.as_os_str().is_empty()).map(|part| root.join(part));
        folders.extend(own.chain([root.to_owned()]));
    }
    folders
}

/// What a group's limit leaves; `None` where it sets none. Pages of files count as free: they are given up first.
fn free_in_group(folder: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (limit, used, stat) = match read("memory.max") {
        Some(limit) => (limit, read("memory.current")?, read("memory.stat")),
        None => (read("memory.limit_in_bytes")?, read("memory.usage_in_bytes")?, read("memory.stat")),
    };
    free_of(&limit, &used, &stat.unwrap_or_default())
}

fn free_of(limit: &str, used: &str, stat: &str) -> Option<u64> {
    // Version 1 says "none" with a number near the largest.
    let limit: u64 = limit.trim().parse().ok().filter(|limit| *limit < 1 << 60)?;
    let used: u64 = used.trim().parse().ok()?;
    let of_files = |name: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let of_files = of_files("total_inactive_file").or_else(|| of_files("inactive_file")).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(of_files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some_memory_free_and_no_more_than_it_has() {
        let free = free_memory_bytes().unwrap();
        assert!(free > 1 << 20 && free <= crate::device::processor::memory_bytes().unwrap(), "{free}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_uses_some_of_its_memory() {
        let (used, all) = memory_use().unwrap();
        assert!(0 < used && used <= all, "{used} of {all}");
    }

    #[test]
    fn what_is_available_is_read_from_the_list() {
        assert_eq!(available_bytes("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(available_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_groups_are_found_in_both_versions() {
        let paths = |text| folders(text).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            paths("0::/user.slice/a.scope\n"),
            ["/sys/fs/cgroup/user.slice/a.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"]
        );
        assert_eq!(paths("5:cpu:/x\n4:memory:/job\n"), ["/sys/fs/cgroup/memory/job", "/sys/fs/cgroup/memory"]);
        assert!(paths("").is_empty() && paths("nonsense\n").is_empty());
    }

    #[test]
    fn a_limit_leaves_what_is_not_used_and_pages_of_files_can_be_given_up() {
        assert_eq!(free_of("1000\n", "600\n", "anon 1\ninactive_file 250\nactive_file 9\n"), Some(650));
        assert_eq!(free_of("1000", "600", "inactive_file 1\ntotal_inactive_file 100\n"), Some(500));
        assert_eq!(free_of("1000", "1200", ""), Some(0));
        assert_eq!(free_of("max", "600", ""), None);
        assert_eq!(free_of("9223372036854771712", "600", ""), None);
    }
}
