//! Whose turn it is, and how many may be open: what the coordinator goes by, and a simulated run as well. Pure.

use std::time::Duration;

use crate::job::PRIORITY_MAX;

/// Large jobs of one class that are open at once for every lane: enough to keep lanes busy, few enough to bound what is open.
pub(crate) const OPEN_PER_LANE: usize = 4;

/// Stages that wait outside all lanes at once, for networks and disks.
pub(crate) const WAITING_MAX: usize = 64;

/// A large job is passed by short work for as long as it is predicted to take itself, but no longer than this: short
/// work does not wait for long work, and long work does not wait for ever.
const PASSED_MS_MAX: f64 = 60_000.0;

/// When something of this priority that is predicted to take so long is to have its turn, if it comes at `now`: what is of higher
/// priority first, then by the engine's clock.
pub(crate) fn order(now: Duration, priority: i32, predicted_ms: f64) -> u64 {
    const CLOCK_BITS: u32 = 52;
    let passed = Duration::from_secs_f64(predicted_ms.clamp(0.0, PASSED_MS_MAX) / 1e3);
    let clock_us = u64::try_from(now.saturating_add(passed).as_micros()).unwrap_or(u64::MAX);
    // A ticket's is twice that of its terms, and one.
    const RANK_MAX: i32 = 2 * PRIORITY_MAX + 1;
    let rank = (RANK_MAX - priority.clamp(-RANK_MAX, RANK_MAX)) as u64;
    rank << CLOCK_BITS | clock_us.min((1 << CLOCK_BITS) - 1)
}

/// How long a large job is predicted to take, as far as its turn depends on it. A rough guess will do, and a rough one is best:
/// jobs that are alike keep their order.
pub(crate) fn rough_ms(prior_ms: f64, threads: u32) -> f64 {
    (prior_ms / f64::from(threads)).max(1e-3).log2().ceil().exp2()
}
