//! How many threads a run takes on a machine where others have work too. Pure.

/// On a machine with fewer CPUs, all are used: there is nothing to share out.
const MIN_CPUS: u32 = 4;

/// Where others keep a smaller part of the CPUs busy than this, all are used.
const MIN_BUSY_SHARE: f64 = 0.1;

/// How many threads to use, of the `allowed` ones, on a machine with so many CPUs of which others keep `busy`; `None` for all
/// that are allowed. Others' whole CPUs are left to them; what is less than one does not count.
pub fn threads_beside(allowed: u32, cpus: u32, busy: f64) -> Option<u32> {
    if cpus < MIN_CPUS || busy < 1.0 || busy < MIN_BUSY_SHARE * f64::from(cpus) {
        return None;
    }
    // A float to an integer is cut to its range.
    let free = cpus.saturating_sub(busy as u32).max(1);
    Some(free).filter(|free| *free < allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_cpus_that_others_keep_busy_are_left_to_them() {
        assert_eq!(threads_beside(40, 40, 12.0), Some(28));
        assert_eq!(threads_beside(40, 40, 12.9), Some(28));
        assert_eq!(threads_beside(4, 4, 1.0), Some(3));
        assert_eq!(threads_beside(8, 8, 100.0), Some(1), "one is always used");
    }

    #[test]
    fn little_work_and_small_machines_change_nothing() {
        for (cpus, busy) in [(40, 0.0), (40, 3.9), (8, 0.99), (2, 2.0), (3, 1.5), (8, f64::NAN)] {
            assert_eq!(threads_beside(cpus, cpus, busy), None, "{cpus} {busy}");
        }
    }

    #[test]
    fn who_may_use_a_part_of_the_machine_uses_it_as_long_as_that_much_is_free() {
        assert_eq!(threads_beside(4, 40, 30.0), None);
        assert_eq!(threads_beside(4, 40, 38.0), Some(2));
    }

    proptest! {
        #[test]
        fn one_thread_at_least_and_fewer_than_allowed(allowed in 1_u32..500, cpus in 0_u32..500, busy: f64) {
            if let Some(threads) = threads_beside(allowed, cpus, busy) {
                prop_assert!(threads >= 1 && threads < allowed);
            }
        }
    }
}
