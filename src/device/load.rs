//! How busy the CPUs of the machine are.

/// How many CPUs the machine has, and how many others want: threads that run or wait for a CPU, so that it may be more than there are.
/// No more count than there are at this moment, and no more than there were on average in the last minute, so that neither what
/// has just ended nor what is over in a moment counts. `None` where the system does not tell. Takes some tens of microseconds for each
/// thread of this process.
pub fn busy_cpus() -> Option<(u32, f64)> {
    // Threads of this process come to rest meanwhile: those that still ran before are counted there too.
    let before = own_threads_that_run()?;
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let own = own_threads_that_run()?.max(before);
    Some((online_cpus()?, busy(&load, own)?))
}

/// How many threads of this process run or wait for a CPU, this one among them.
fn own_threads_that_run() -> Option<u32> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    // One that has ended meanwhile does not run.
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    Some(stats.filter(|stat| runs(stat)).count().max(1) as u32)
}

/// Whether `/proc/…/stat` says of a thread that it runs: `7 (a name) R 1 …`. A name may hold brackets itself.
fn runs(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

/// What `/proc/loadavg` says of others than the `own` threads of this process that run: `9.46 9.37 7.66 10/163 11581`, the averages of
/// 1, 5 and 15 minutes, how many threads can run now, of how many.
fn busy(load: &str, own: u32) -> Option<f64> {
    let mut fields = load.split_whitespace();
    let of_late: f64 = fields.next()?.parse().ok()?;
    let now: f64 = fields.nth(2)?.split('/').next()?.parse().ok()?;
    Some(of_late.min(now - f64::from(own)).max(0.0))
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
        assert_eq!(busy("9.46 9.37 7.66 10/163 11581\n", 1), Some(9.0));
        assert_eq!(busy("9.46 9.37 7.66 10/163 11581\n", 3), Some(7.0), "three are this process");
        assert_eq!(busy("0.46 9.37 7.66 10/163 11581\n", 1), Some(0.46), "it has only just begun");
        assert_eq!(busy("9.46 9.37 7.66 1/163 11581\n", 1), Some(0.0), "it has ended");
        assert_eq!(busy("9.46 9.37 7.66 0/163 11581\n", 1), Some(0.0));
        assert!(busy("", 1).is_none() && busy("a b c d", 1).is_none());
        assert!(runs("7 (a (name) S) R 1 7") && !runs("7 (R) S 1 7") && !runs(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_of_this_process_that_run_are_found() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        std::hint::spin_loop()
                    }
                });
            }
            // They need a moment to begin.
            let found = (0..1000).any(|_| own_threads_that_run().is_some_and(|count| count >= 3));
            is_over.store(true, Ordering::Relaxed);
            assert!(found);
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells() {
        let (cpus, busy) = busy_cpus().unwrap();
        assert!(cpus as usize >= std::thread::available_parallelism().unwrap().get() && busy >= 0.0, "{cpus} {busy}");
    }
}
