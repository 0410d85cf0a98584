//! How busy the CPUs of the machine are.

/// How many CPUs the machine has, and how many others want: threads that run or wait for a CPU, so that it may be more than there are.
/// No more count than there are at this moment, and no more than there were on average in the last minute, so that neither what
/// has just ended nor what is over in a moment counts. `None` where the system does not tell. Takes some tens of microseconds.
pub fn busy_cpus() -> Option<(u32, f64)> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    Some((online_cpus()?, busy(&load)?))
}

/// What `/proc/loadavg` says of others than the thread that reads it: `9.46 9.37 7.66 10/163 11581`, the averages of 1, 5 and 15
/// minutes, how many threads can run now, of how many.
fn busy(load: &str) -> Option<f64> {
    let mut fields = load.split_whitespace();
    let of_late: f64 = fields.next()?.parse().ok()?;
    let now: f64 = fields.nth(2)?.split('/').next()?.parse().ok()?;
    Some(of_late.min(now - 1.0).max(0.0))
}

#[cfg(unix)]
fn online_cpus() -> Option<u32> {
    // SAFETY: `sysconf` takes any number and answers -1 to those that it does not know.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(count).ok().filter(|count| *count > 0)
}

#[cfg(not(unix))]
fn online_cpus() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_what_runs_now_and_ran_of_late() {
        assert_eq!(busy("9.46 9.37 7.66 10/163 11581\n"), Some(9.0));
        assert_eq!(busy("0.46 9.37 7.66 10/163 11581\n"), Some(0.46), "it has only just begun");
        assert_eq!(busy("9.46 9.37 7.66 1/163 11581\n"), Some(0.0), "it has ended");
        assert_eq!(busy("9.46 9.37 7.66 0/163 11581\n"), Some(0.0));
        assert!(busy("").is_none() && busy("a b c d").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells() {
        let (cpus, busy) = busy_cpus().unwrap();
        assert!(cpus as usize >= std::thread::available_parallelism().unwrap().get() && busy >= 0.0, "{cpus} {busy}");
    }
}
