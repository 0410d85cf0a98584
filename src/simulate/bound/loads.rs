//! Work that devices share out between them in any fractions: a bound on when they are done, by weights of the devices.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// How often the weights are mended.
const ROUNDS: u32 = 200;
/// How finely loads are told apart by what devices take for them beside each other, while the weights are mended.
const CLASSES_PER_OCTAVE: f64 = 32.0;

/// Loads, and how long each device takes for each of them, in milliseconds: endless where it may not take it.
#[derive(Debug)]
pub(super) struct Loads {
    devices: usize,
    /// One load after the other, and of each its devices. There may be a load a job, so none has a list of its own.
    ms: Vec<f64>,
}

impl Loads {
    pub fn new(devices: usize) -> Self {
        Self { devices: devices.max(1), ms: Vec::new() }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.ms.chunks_exact(self.devices)
    }

    /// Adds a load of nothing, and says in which place it is.
    pub fn add_none(&mut self) -> u32 {
        self.ms.resize(self.ms.len() + self.devices, 0.0);
        (self.ms.len() / self.devices - 1) as u32
    }

    /// Adds so much to the load in this place, by device.
    pub fn add(&mut self, at: usize, ms: &[f64]) {
        let load = &mut self.ms[at * self.devices..][..self.devices];
        load.iter_mut().zip(ms).for_each(|(sum, ms)| *sum += ms);
    }

    /// Drops what is no work: what no device may take, and what takes none of them any time.
    pub fn drop_idle(&mut self) {
        let mut kept = 0;
        for from in (0..self.ms.len()).step_by(self.devices) {
            let load = from..from + self.devices;
            if self.ms[load.clone()].iter().any(|ms| ms.is_finite() && *ms > 0.0) {
                self.ms.copy_within(load, kept);
                kept += self.devices;
            }
        }
        self.ms.truncate(kept);
    }

    /// A bound that holds whichever of these sets of devices does the work: of each the fixed time, in milliseconds, or that it takes
    /// no part.
    pub fn bound_ms(&self, sets: impl Iterator<Item = Vec<Option<f64>>>) -> f64 {
        let classes = self.classes();
        sets.map(|fixed| self.bound_of(&classes, &fixed)).fold(f64::INFINITY, f64::min)
    }

    /// The greatest bound that was found for devices that each have so much fixed time, or take no part; endless where something
    /// can be taken by none of them.
    fn bound_of(&self, classes: &Self, fixed: &[Option<f64>]) -> f64 {
        let at = |load: &[f64], device: usize| if fixed[device].is_some() { load[device] } else { f64::INFINITY };
        if self.rows().any(|load| (0..fixed.len()).all(|device| at(load, device).is_infinite())) {
            return f64::INFINITY;
        }
        if self.ms.is_empty() {
            return 0.0;
        }
        let usual = |device: usize| self.rows().map(|load| at(load, device)).filter(|ms| ms.is_finite()).sum::<f64>();
        let weight = |device: usize| {
            let usual = if fixed[device].is_some() { usual(device) } else { 0.0 };
            if usual > 0.0 { 1.0 / usual.max(1e-9) } else { 0.0 }
        };
        let mut weights: Vec<f64> = (0..fixed.len()).map(weight).collect();
        let (mut best, mut best_weights) = (f64::NEG_INFINITY, weights.clone());
        for round in 1..=ROUNDS {
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
            let mut busy: Vec<f64> = fixed.iter().map(|ms| ms.unwrap_or(0.0)).collect();
            let mut bound: f64 = busy.iter().zip(&weights).map(|(ms, weight)| ms * weight).sum();
            for load in classes.rows() {
                let (cheapest, cost) = cheapest(load, &weights, fixed);
                bound += cost;
                busy[cheapest] += load[cheapest];
            }
            if bound > best {
                best = bound;
                best_weights.clone_from(&weights);
            }
            let most = busy.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let step = 1.0 / f64::from(round).sqrt();
            weights.iter_mut().zip(&busy).for_each(|(weight, ms)| *weight *= (step * (ms / most - 0.5)).exp());
        }
        // Classes are almost alike, and the bound is to hold exactly.
        let opening: f64 = fixed.iter().zip(&best_weights).map(|(ms, weight)| ms.unwrap_or(0.0) * weight).sum();
        opening + self.rows().map(|load| cheapest(load, &best_weights, fixed).1).sum::<f64>()
    }

    /// Loads that are so much alike on all devices that the best weights can be told by their sums.
    fn classes(&self) -> Self {
        let mut classes = Self::new(self.devices);
        let mut places: HashMap<Vec<i32>, usize, FixedState> = HashMap::default();
        let mut likeness = Vec::with_capacity(self.devices);
        for load in self.rows() {
            let first = load.iter().copied().find(|ms| ms.is_finite() && *ms > 0.0).unwrap_or(1.0);
            likeness.clear();
            likeness.extend(load.iter().map(|ms| ((ms / first).log2() * CLASSES_PER_OCTAVE) as i32));
            let at = places.get(&likeness).copied().unwrap_or_else(|| {
                let at = classes.add_none() as usize;
                places.insert(likeness.clone(), at);
                at
            });
            classes.add(at, load);
        }
        // In an order that is the same each time: sums of floats depend on it.
        let mut places: Vec<(Vec<i32>, usize)> = places.into_iter().collect();
        places.sort_unstable();
        let mut sorted = Self::new(self.devices);
        for (_, from) in places {
            let at = sorted.add_none() as usize;
            sorted.add(at, &classes.ms[from * self.devices..][..self.devices]);
        }
        sorted
    }
}

/// The device with the least weighted time for a load, and that time.
fn cheapest(load: &[f64], weights: &[f64], fixed: &[Option<f64>]) -> (usize, f64) {
    let cost = |device: usize| match (fixed[device], load[device].is_finite()) {
        (Some(_), true) => load[device] * weights[device],
        _ => f64::INFINITY,
    };
    let all = (0..fixed.len()).map(|device| (device, cost(device)));
    all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(rows: &[[f64; 2]]) -> Loads {
        let mut loads = Loads::new(2);
        for row in rows {
            let at = loads.add_none() as usize;
            loads.add(at, row);
        }
        loads.drop_idle();
        loads
    }

    fn bound_ms(rows: &[[f64; 2]], sets: &[[Option<f64>; 2]]) -> f64 {
        loads(rows).bound_ms(sets.iter().map(|set| set.to_vec()))
    }

    const BOTH: [Option<f64>; 2] = [Some(0.0), Some(0.0)];
    const NO: f64 = f64::INFINITY;

    #[test]
    fn work_is_shared_out_by_speed_and_each_device_has_what_only_it_can_take() {
        let near = |rows: &[[f64; 2]], sets: &[[Option<f64>; 2]], ms: f64| {
            let bound = bound_ms(rows, sets);
            assert!(bound <= ms * 1.000_001 && bound > ms * 0.98, "{rows:?} {sets:?}: {bound} for {ms}");
        };
        near(&[[100.0, 100.0]], &[BOTH], 50.0);
        near(&[[100.0, 25.0]], &[BOTH], 20.0);
        near(&[[100.0, 25.0], [60.0, NO]], &[BOTH], 60.0);
        near(&[[100.0, 100.0]], &[[Some(0.0), None]], 100.0);
        near(&[[100.0, 100.0]], &[[Some(0.0), None], [Some(0.0), Some(20.0)]], 60.0);
    }

    #[test]
    fn what_is_no_work_is_dropped_and_what_nobody_takes_is_endless() {
        let rows = [[0.0, 0.0], [100.0, 25.0], [NO, NO], [0.0, NO], [60.0, NO]];
        assert_eq!(loads(&rows).ms, [100.0, 25.0, 60.0, NO], "in their order");
        assert_eq!(bound_ms(&rows, &[BOTH]).to_bits(), bound_ms(&[rows[1], rows[4]], &[BOTH]).to_bits());
        assert_eq!(bound_ms(&[[NO, 10.0]], &[[Some(0.0), None]]), NO);
        assert_eq!(bound_ms(&[], &[BOTH]), 0.0);
    }

    #[test]
    fn many_loads_that_differ_little_are_bound_as_their_sum_is() {
        let each: Vec<[f64; 2]> = (0..1000).map(|n| [1.0 + f64::from(n) * 1e-6, 0.25]).collect();
        let sum = each.iter().fold([0.0; 2], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
        let (all, one) = (bound_ms(&each, &[BOTH]), bound_ms(&[sum], &[BOTH]));
        assert!((all / one - 1.0).abs() < 1e-3, "{all} {one}");
    }
}
