//! The lanes of a replayed machine: list scheduling, each job as soon as the lanes that it takes are free.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulate::replay::{Place, Way};

/// When each lane is free.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    /// Threads of the CPU, ascending.
    cpu_ms: Vec<f64>,
    gpus_ms: BTreeMap<u32, f64>,
    opened: BTreeSet<u32>,
}

impl Lanes {
    pub fn new(threads: u32) -> Self {
        Self { cpu_ms: vec![0.0; threads.max(1) as usize], gpus_ms: BTreeMap::new(), opened: BTreeSet::new() }
    }

    /// When it could begin.
    pub fn start_ms(&self, way: &Way) -> f64 {
        let cpu_ms = self.cpu_ms[self.taken(way).saturating_sub(1).min(self.cpu_ms.len() - 1)];
        match way.place {
            Place::Cpu => cpu_ms,
            Place::Gpu(index) => self.gpus_ms.get(&index).copied().unwrap_or(0.0),
            Place::Split => self.gpus_ms.values().copied().fold(cpu_ms, f64::max),
        }
    }

    /// What opening its device takes, if nobody has opened it.
    pub fn opening_ms(&self, way: &Way) -> f64 {
        match way.place {
            Place::Gpu(index) if !self.opened.contains(&index) => way.opening_ms,
            _ => 0.0,
        }
    }

    /// Occupies its lanes for so long from when they are free; gives when that ends.
    pub fn take(&mut self, way: &Way, ms: f64) -> f64 {
        let end_ms = self.start_ms(way) + ms;
        match way.place {
            Place::Cpu => self.occupy(way, end_ms),
            Place::Gpu(index) => {
                self.gpus_ms.insert(index, end_ms);
                self.opened.insert(index);
            }
            Place::Split => {
                self.occupy(way, end_ms);
                self.gpus_ms.values_mut().for_each(|free_ms| *free_ms = end_ms);
            }
        }
        end_ms
    }

    fn taken(&self, way: &Way) -> usize {
        (way.threads as usize).clamp(1, self.cpu_ms.len())
    }

    fn occupy(&mut self, way: &Way, end_ms: f64) {
        let taken = self.taken(way);
        // Those that are free first are taken, and go behind all that are free before them again.
        let behind = self.cpu_ms.partition_point(|free_ms| *free_ms < end_ms).max(taken);
        self.cpu_ms.copy_within(taken..behind, 0);
        self.cpu_ms[behind - taken..behind].fill(end_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::simulate::replay::Source;

    #[test]
    fn lanes_are_taken_as_a_naive_list_scheduler_takes_them() {
        let mut random = SplitMix64(1);
        let mut below = |n: u64| random.next_u64() % n;
        for threads in [1_u32, 2, 3, 8] {
            let (mut lanes, mut naive) = (Lanes::new(threads), vec![0.0_f64; threads as usize]);
            for _ in 0..500 {
                let way = Way {
                    place: Place::Cpu,
                    threads: 1 + below(u64::from(threads)) as u32,
                    ms: below(10) as f64,
                    opening_ms: 0.0,
                    believed_ms: 0.0,
                    source: Source::Measured,
                };
                naive.sort_by(f64::total_cmp);
                let end_ms = naive[way.threads as usize - 1] + way.ms;
                naive[..way.threads as usize].fill(end_ms);
                assert_eq!(lanes.take(&way, way.ms), end_ms);
            }
        }
    }
}
