//! What is known of groups of jobs that others wait for, so that it is not found out again for each of those.

use std::collections::HashMap;
use std::ops::Range;

/// Groups of fewer jobs are looked at each time.
const JOBS_MIN: u64 = 16;

/// So many are remembered at most: many jobs that wait for different groups wait for a few jobs each.
const GROUPS_MAX: usize = 1024;

/// Something about each of the groups that were asked for of late, by their places in the run.
#[derive(Debug)]
pub(crate) struct Groups<T> {
    known: HashMap<Range<u64>, T>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

impl<T: Copy> Groups<T> {
    /// What is known of a group.
    pub fn get(&self, group: &Range<u64>) -> Option<T> {
        if group.end - group.start < JOBS_MIN {
            return None;
        }
        self.known.get(group).copied()
    }

    /// Remembers what was found of a group, where that is worth it.
    pub fn set(&mut self, group: &Range<u64>, found: T) {
        if group.end - group.start < JOBS_MIN {
            return;
        }
        if self.known.len() >= GROUPS_MAX {
            self.known.clear();
        }
        self.known.insert(group.clone(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_groups_in_turn_are_found_out_once_each_and_memory_stays_bounded() {
        let mut groups = Groups::default();
        let mut found_out = 0;
        for _ in 0..100 {
            for at in 0..500 {
                let group = at..at + 1000;
                let known = groups.get(&group).unwrap_or_else(|| {
                    found_out += 1;
                    groups.set(&group, at);
                    at
                });
                assert_eq!(known, at);
            }
        }
        assert_eq!(found_out, 500);
        for at in 0..10_000 {
            groups.set(&(at..at + 2), at);
            assert_eq!(groups.get(&(at..at + 2)), None, "a small group costs no memory");
        }
        (0..10_000).for_each(|at| groups.set(&(at..at + 20), at));
        assert!(groups.known.len() <= GROUPS_MAX);
    }
}
