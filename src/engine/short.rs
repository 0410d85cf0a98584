//! Short work, as dispatch sees it: batches of small jobs, and closures. One lane, one chunk, and no prediction of its own
//! but what its like has taken so far, or what a stage of an irregular job says of itself.

use std::time::Duration;

use crate::device::DeviceId;
use crate::engine::batch::Bound;
use crate::engine::dispatch::Admission;
use crate::engine::message::Item;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::{Choice, Plan, Power};

/// What short work takes until some has been seen.
const UNSEEN_MS: f64 = 1.0;
/// The weight of the newest in the mean.
const NEWEST: f64 = 0.125;

/// A running mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean(Option<f64>);

impl Mean {
    fn learn(&mut self, ms: f64) {
        self.0 = Some(self.0.map_or(ms, |mean| mean + (ms - mean) * NEWEST));
    }

    fn ms(self) -> f64 {
        self.0.unwrap_or(UNSEEN_MS)
    }
}

/// How short work is admitted, and what it has taken.
pub(crate) struct Short {
    work: Work,
    plan: Plan,
    closures: Mean,
    batches: Mean,
}

impl Short {
    pub fn new() -> Self {
        let work = Work {
            kernel: "short",
            variant: String::new(),
            units: 1,
            granularity: 1,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: UNSEEN_MS * 1e6,
            passes: 1,
            gpu: false,
        };
        let mut plan = Plan::given(Choice::Cpu { threads: 1 }, "a batch of small jobs, or a closure");
        let units_per_ms = 1.0 / UNSEEN_MS;
        let (device, lanes) = (DeviceId::Cpu, 1);
        plan.powers.push(Power { device, lanes, units_per_ms, setup_ms: 0.0, chunk_ms: 0.0, measured: true });
        Self { work, plan, closures: Mean::default(), batches: Mean::default() }
    }

    /// The admission of this item, which takes what its like took: the planner is to know how long lanes are spoken for.
    pub fn admission(&mut self, job: u64, order: u64, item: &Item) -> Admission {
        let ms = match item {
            Item::Closure(_) => self.closures.ms(),
            Item::Shift { expected_ms } => *expected_ms,
            Item::Bound(bound) => bound.iter().map(Bound::small_ms).sum(),
            _ => self.batches.ms(),
        };
        self.admission_of(job, order, ms)
    }

    /// The admission of short work that is expected to take so long.
    pub fn admission_of(&mut self, job: u64, order: u64, ms: f64) -> Admission {
        for power in &mut self.plan.powers {
            power.units_per_ms = 1.0 / ms.clamp(1e-3, 1e9);
        }
        Admission::new(job, order, &self.work, &self.plan, DeviceChoice::Cpu)
    }

    pub fn closure_took(&mut self, elapsed: Duration) {
        self.closures.learn(elapsed.as_secs_f64() * 1e3);
    }

    pub fn batch_took(&mut self, elapsed: Duration) {
        self.batches.learn(elapsed.as_secs_f64() * 1e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::engine::dispatch::{Dispatch, Event, Lanes};

    /// How long the one lane of a machine is spoken for once this item has been admitted.
    fn spoken_for_ms(short: &mut Short, item: &Item) -> f64 {
        let mut dispatch = Dispatch::new();
        let lanes = Lanes { device: DeviceId::Cpu, lanes: 1, max_chunk_bytes: u64::MAX, shares_cpu: false };
        dispatch.on(Event::DeviceAdded(lanes), Duration::ZERO, &mut Vec::new());
        dispatch.on(Event::Admitted(short.admission(1, 0, item)), Duration::ZERO, &mut Vec::new());
        dispatch.busy_for_ms(DeviceId::Cpu, Duration::ZERO, |_| u64::MAX).iter().sum()
    }

    #[test]
    fn a_closure_is_expected_to_take_what_closures_took_and_a_batch_what_batches_took() {
        let mut short = Short::new();
        let (closure, batch) = (Item::Closure(Box::new(|| {})), Item::Batch(Vec::new()));
        assert!((spoken_for_ms(&mut short, &closure) - UNSEEN_MS).abs() < 1e-6);
        short.closure_took(Duration::from_secs(10));
        short.batch_took(Duration::from_millis(5));
        assert!((spoken_for_ms(&mut short, &closure) - 10_000.0).abs() < 1e-3);
        assert!((spoken_for_ms(&mut short, &batch) - 5.0).abs() < 1e-3);
        for _ in 0..40 {
            short.closure_took(Duration::from_millis(1));
        }
        assert!(spoken_for_ms(&mut short, &closure) < 100.0, "old ones are forgotten");
    }
}
