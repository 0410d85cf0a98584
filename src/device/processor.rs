//! What the machine says of its processor and its memory.

/// The processor as its maker names it; where the machine does not tell, its architecture.
pub(super) fn brand() -> String {
    from_cpuid().or_else(from_cpuinfo).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The machine's memory in bytes, where it tells.
pub(super) fn memory_bytes() -> Option<u64> {
    if cfg!(target_os = "linux") {
        let told = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total_bytes(&text));
        if told.is_some() {
            return told;
        }
    }
    pages_bytes()
}

/// The brand string of x86 processors: 48 bytes in three leaves, padded with spaces or zeros.
#[cfg(target_arch = "x86_64")]
fn from_cpuid() -> Option<String> {
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 processor has the instruction `cpuid`, and it touches registers alone.
    let leaf = |number: u32| unsafe { std::arch::x86_64::__cpuid(number) };
    if leaf(0x8000_0000).eax < 0x8000_0004 {
        return None;
    }
    let mut bytes = Vec::with_capacity(48);
    for number in 0x8000_0002..=0x8000_0004 {
        let found = leaf(number);
        bytes.extend([found.eax, found.ebx, found.ecx, found.edx].into_iter().flat_map(u32::to_le_bytes));
    }
    tidy(&String::from_utf8_lossy(&bytes))
}

#[cfg(not(target_arch = "x86_64"))]
fn from_cpuid() -> Option<String> {
    None
}

/// The processor's name in Linux' own list.
fn from_cpuinfo() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    model_name(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn model_name(cpuinfo: &str) -> Option<String> {
    ["model name", "Model", "cpu model", "cpu"].into_iter().find_map(|wanted| {
        let values = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        values.filter(|(name, _)| name.trim() == wanted).find_map(|(_, value)| tidy(value))
    })
}

fn mem_total_bytes(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024).filter(|bytes| *bytes > 0)
}

#[cfg(unix)]
fn pages_bytes() -> Option<u64> {
    // SAFETY: `sysconf` takes any number and answers -1 to those that it does not know.
    let (pages, page_bytes) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let bytes = u64::try_from(pages).ok()?.checked_mul(u64::try_from(page_bytes).ok()?)?;
    (bytes > 0).then_some(bytes)
}

#[cfg(not(unix))]
fn pages_bytes() -> Option<u64> {
    None
}

/// The text up to its first zero byte, with single spaces between its words; `None` where nothing is left.
fn tidy(text: &str) -> Option<String> {
    let text = text.split('\0').next().unwrap_or("");
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_tidy_brand() {
        let brand = brand();
        assert!(!brand.is_empty() && tidy(&brand).as_ref() == Some(&brand), "{brand:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ways_to_ask_for_the_memory_agree() {
        let (told, counted) = (memory_bytes().unwrap(), pages_bytes().unwrap());
        assert!(told.abs_diff(counted) <= told / 4, "{told} {counted}");
    }

    #[test]
    fn the_lists_of_linux_are_read() {
        assert_eq!(mem_total_bytes("MemFree: 1 kB\nMemTotal:    16384 kB\n"), Some(16_777_216));
        for wrong in ["", "MemTotal: many kB", "MemTotal: 0 kB", "MemTotal: 18446744073709551615 kB"] {
            assert_eq!(mem_total_bytes(wrong), None, "{wrong}");
        }
        assert_eq!(model_name("processor : 0\nmodel name\t:  A  Chip\n"), Some("A Chip".to_owned()));
        assert_eq!(model_name("processor : 0\nModel : Board 4\n"), Some("Board 4".to_owned()));
        assert_eq!(model_name("model name :  \n"), None);
        assert_eq!(tidy("  Fast(R)  Chip \0junk"), Some("Fast(R) Chip".to_owned()));
    }
}
