//! Time against size, learned robustly from few runs.
//!
//! Sizes fall into classes, four an octave. Each class keeps a window of its most recent runs and is represented by their
//! medians. Between classes the curve is interpolated on logarithmic axes; beyond them it is a fixed latency and the
//! nearest rate. What contradicts newer evidence is doubted: see [`Curve::learn`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::table::LONGEST_RUN_MS;
use crate::model::{Forecast, LONGEST_MS};

/// How many runs a class remembers.
const WINDOW: usize = 9;
/// So many fresh runs in a row that contradict the older ones of their class replace them.
const SURPRISES: usize = 3;
/// A ratio beyond which two times contradict each other.
const CONTRADICTION: f64 = 2.0;
/// So many contradictions by runs of other sizes make a class doubted.
const STRIKES: u8 = 2;
/// Classes an octave.
const CLASSES_PER_OCTAVE: f64 = 4.0;
/// What a contended run counts beside one that had the device to itself.
const CONTENDED_WEIGHT: f64 = 0.25;

/// One or two runs may both have been interrupted on a busy machine: up to so many times the overhead of others, their time tells nothing of
/// larger sizes.
const FEW_RUNS_OVERHEAD: f64 = 8.0;

/// What is believed of a time before it has been seen at two sizes.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    /// How much of it may be latency, independent of size, in milliseconds.
    pub fixed_ms_max: f64,
    /// How long a unit is likely to take beyond that, in milliseconds; infinite where nothing is believed.
    pub ms_per_unit: f64,
    /// How much of a time may be overhead that says nothing of larger sizes, in milliseconds: being dispatched, caches that were
    /// cold, being interrupted. Beyond all sizes that were seen, so much of the time counts for no unit.
    pub overhead_ms_max: f64,
    /// How long a unit takes at least, in milliseconds, where all of a time may be overhead: by the kernel's own account.
    pub prior_ms_per_unit: f64,
}

impl Belief {
    /// That time is proportional to size.
    pub const PROPORTIONAL: Self = Self::growing(0.0, f64::INFINITY);

    /// That so much of a time may be latency, that a unit is likely to take so long beyond that, and that short times tell as much
    /// as long ones.
    pub const fn growing(fixed_ms_max: f64, ms_per_unit: f64) -> Self {
        Self { fixed_ms_max, ms_per_unit, overhead_ms_max: 0.0, prior_ms_per_unit: f64::INFINITY }
    }

    /// What is believed of the milliseconds a unit where times that differ by `units` tell of `rate`, in so many runs.
    fn beyond(self, rate: f64, units: f64, samples: u32) -> f64 {
        if self.overhead_ms_max > 0.0 && rate > self.prior_ms_per_unit {
            let is_few = samples < SURPRISES as u32 && rate * units <= self.overhead_ms_max * FEW_RUNS_OVERHEAD;
            let overhead_ms = if is_few { rate * units } else { self.overhead_ms_max };
            (rate - overhead_ms / units).max(self.prior_ms_per_unit).max(0.0)
        } else {
            rate
        }
    }
}

/// One run: units, milliseconds, and whether other jobs shared the device meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run(u64, f64, #[serde(default)] bool);

/// The runs of one size class.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Class {
    runs: VecDeque<Run>,
    /// Contradictions by fresh runs of other sizes since its last own run.
    #[serde(default, skip_serializing_if = "is_zero")]
    strikes: u8,
    /// Contradicted too often: not used, unless its next own run confirms it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    doubted: bool,
    /// Was doubted and found right (a cache makes small sizes faster than large ones): never doubted again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    trusted: bool,
    #[serde(skip)]
    centre: Centre,
}

/// What stands for a class.
#[derive(Clone, Copy, Debug, Default)]
struct Centre {
    class: u16,
    units: f64,
    ms: f64,
    /// The factor by which a run typically differs from the median.
    spread: f64,
    samples: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(strikes: &u8) -> bool {
    *strikes == 0
}

/// The size class of so many units.
fn class_of(units: u64) -> u16 {
    ((units.max(1) as f64).log2() * CLASSES_PER_OCTAVE) as u16
}

/// The weighted median of (value, weight) pairs; the values must be numbers. 0 where there are none.
fn weighted_median(pairs: &mut [(f64, f64)]) -> f64 {
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = pairs.iter().map(|pair| pair.1).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for &(value, weight) in pairs.iter() {
        below += weight;
        if below >= half {
            return value;
        }
    }
    pairs.last().map_or(0.0, |pair| pair.0)
}

impl Class {
    fn refresh(&mut self) {
        let weight = |run: &Run| if run.2 { CONTENDED_WEIGHT } else { 1.0 };
        let mut pairs = [(0.0, 0.0); WINDOW];
        let count = self.runs.len().min(WINDOW);
        let mut median = |value: &dyn Fn(&Run) -> f64| {
            for (pair, run) in pairs.iter_mut().zip(&self.runs) {
                *pair = (value(run), weight(run));
            }
            weighted_median(&mut pairs[..count])
        };
        let units = median(&|run| run.0 as f64).max(1.0);
        // Rates rather than times, since the runs of a class differ in size by up to a fifth.
        let rate = median(&|run| run.1 / run.0.max(1) as f64);
        let ms = rate * units;
        let deviation = median(&|run| (run.1 / run.0.max(1) as f64 / rate).ln().abs());
        let class = self.runs.back().map_or(0, |run| class_of(run.0));
        self.centre = Centre { class, units, ms, spread: (1.5 * deviation).exp(), samples: count as u32 };
    }

    fn learn(&mut self, run: Run) {
        self.strikes = 0;
        if self.doubted {
            self.doubted = false;
            let expected = self.centre.ms / self.centre.units * run.0 as f64;
            if contradicts(run.1, expected) {
                self.runs.clear();
            } else {
                self.trusted = true;
            }
        }
        let clean = self.runs.iter().filter(|run| !run.2).count();
        if run.2 && clean > WINDOW / 2 {
            return;
        }
        if self.runs.len() >= WINDOW {
            self.runs.pop_front();
        }
        self.runs.push_back(run);
        self.forget_what_is_contradicted();
        self.refresh();
    }

    /// Drops the older runs where the latest few all contradict their median in the same direction.
    fn forget_what_is_contradicted(&mut self) {
        let old = self.runs.len().saturating_sub(SURPRISES);
        if old < SURPRISES - 1 {
            return;
        }
        let mut pairs: Vec<(f64, f64)> =
            self.runs.iter().take(old).map(|run| (run.1 / run.0.max(1) as f64, 1.0)).collect();
        let before = weighted_median(&mut pairs);
        let fresh = self.runs.iter().skip(old).map(|run| (run.1 / run.0.max(1) as f64, run.2));
        let all = |test: &dyn Fn(f64) -> bool| fresh.clone().all(|(rate, contended)| !contended && test(rate));
        if all(&|rate| rate > before * CONTRADICTION) || all(&|rate| rate * CONTRADICTION < before) {
            self.runs.drain(..old);
        }
    }
}

fn contradicts(a: f64, b: f64) -> bool {
    a > b * CONTRADICTION || b > a * CONTRADICTION
}

/// A line beyond the sizes that were seen.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Milliseconds of no units.
    latency: f64,
    /// Milliseconds a unit.
    rate: f64,
    /// How many units make the difference between the times that tell the rate.
    over: f64,
}

/// Time against size.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Curve {
    /// Ascending by size; none is empty.
    classes: Vec<Class>,
}

impl Curve {
    /// Recomputes what is not stored; drops what no run of ours could have written.
    pub(super) fn restore(&mut self) {
        for class in &mut self.classes {
            class.runs.retain(|run| run.0 > 0 && run.1 > 0.0 && run.1 < LONGEST_RUN_MS);
            while class.runs.len() > WINDOW {
                class.runs.pop_front();
            }
            let own = class.runs.back().map(|run| class_of(run.0));
            class.runs.retain(|run| Some(class_of(run.0)) == own);
        }
        self.classes.retain(|class| !class.runs.is_empty());
        for class in &mut self.classes {
            class.refresh();
        }
        self.classes.sort_by_key(|class| class.centre.class);
        self.classes.dedup_by_key(|class| class.centre.class);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// How many runs it remembers.
    pub(super) fn samples(&self) -> u32 {
        self.classes.iter().map(|class| class.centre.samples).sum()
    }

    /// The medians: units, milliseconds, runs; what is doubted is left out.
    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64, u32)> + '_ {
        self.centres().map(|centre| (centre.units, centre.ms, centre.samples))
    }

    fn centres(&self) -> impl Iterator<Item = &Centre> + Clone {
        self.classes.iter().filter(|class| !class.doubted).map(|class| &class.centre)
    }

    /// Learns that `units` took `ms`; both must be positive and finite.
    ///
    /// Time grows with size, and the time for a unit rarely grows much with size (caches: by a factor that depends on
    /// how far apart the sizes are). A class that fresh runs of other sizes contradict in one of these twice, without a
    /// run of its own in between, is doubted: it predicts nothing until a run of its own confirms or replaces it. So a
    /// cheap probe at a small size is enough to heal a poisoned large one.
    pub(super) fn learn(&mut self, units: u64, ms: f64, contended: bool) {
        let own = class_of(units);
        if !contended {
            for class in self.classes.iter_mut().filter(|class| class.centre.class != own && !class.trusted) {
                let centre = class.centre;
                let size_ratio = centre.units / units as f64;
                let wrong = if size_ratio > 1.0 {
                    let allowed = (CONTRADICTION * size_ratio.sqrt()).min(32.0);
                    centre.ms > ms * size_ratio * allowed || centre.ms * CONTRADICTION < ms
                } else {
                    centre.ms > ms * CONTRADICTION
                };
                class.strikes = if wrong { class.strikes.saturating_add(1) } else { 0 };
                class.doubted |= class.strikes >= STRIKES;
            }
        }
        let run = Run(units, ms, contended);
        match self.classes.binary_search_by_key(&own, |class| class.centre.class) {
            Ok(at) => self.classes[at].learn(run),
            Err(at) => {
                self.classes.insert(at, Class::default());
                self.classes[at].learn(run);
            }
        }
    }

    /// How long `units` take; `None` where nothing is known. `belief` is used where the curve itself does not tell how
    /// much of a time depends on size.
    pub(super) fn predict(&self, units: u64, belief: Belief) -> Option<Forecast> {
        let wanted = units.max(1) as f64;
        let (mut below, mut above) = (None, None);
        for (at, class) in self.classes.iter().enumerate().filter(|(_, class)| !class.doubted) {
            if class.centre.units <= wanted {
                below = Some(at);
            } else {
                above = Some(at);
                break;
            }
        }
        let [below, above] = [below, above].map(|at| at.map(|at| self.smoothed(at)));
        let near = |centre: &Centre, ms: f64| {
            let octaves = (wanted / centre.units).log2().abs();
            let few = 1.0 + 0.5 / f64::from(centre.samples.max(1));
            Forecast::around(
                ms,
                centre.spread.max(1.03) * few * (1.0 + 0.25 * (octaves - 0.25).max(0.0)),
                centre.samples,
            )
        };
        match (below, above) {
            (None, None) => None,
            (Some(low), Some(high)) => {
                let span = (high.units / low.units).ln();
                let along = (wanted / low.units).ln() / span;
                let ms = (low.ms.ln() + along * (high.ms / low.ms).ln()).exp();
                let nearest = if along < 0.5 { &low } else { &high };
                Some(near(nearest, ms))
            }
            (Some(low), None) => {
                let Line { latency, rate, over } = self.line(&low, belief, true);
                let as_measured = (latency + rate * wanted).max(f64::MIN_POSITIVE);
                let believed = belief.beyond(rate, over, low.samples);
                let ms = as_measured - (rate - believed) * (wanted - low.units);
                let forecast = near(&low, ms.max(f64::MIN_POSITIVE));
                // What was measured may be no overhead after all.
                Some(Forecast { high_ms: forecast.high_ms.max(as_measured.min(LONGEST_MS)), ..forecast })
            }
            (None, Some(high)) => {
                let Line { latency, rate, .. } = self.line(&high, belief, false);
                Some(near(&high, latency + rate * wanted))
            }
        }
    }

    /// A class's medians; a class of one or two runs between near neighbours gives the median of itself and what both
    /// neighbours' rates make of its size, so that one odd run is outvoted.
    fn smoothed(&self, at: usize) -> Centre {
        let mut centre = self.classes[at].centre;
        let neighbour = |class: &Class| {
            let distance = class.centre.class.abs_diff(centre.class);
            (!class.doubted && f64::from(distance) <= 2.0 * CLASSES_PER_OCTAVE)
                .then(|| class.centre.ms * centre.units / class.centre.units)
        };
        if centre.samples < 3
            && let (Some(left), Some(right)) = (at.checked_sub(1).map(|at| &self.classes[at]), self.classes.get(at + 1))
            && let (Some(left), Some(right)) = (neighbour(left), neighbour(right))
        {
            let mut three = [centre.ms, left, right];
            three.sort_unstable_by(f64::total_cmp);
            centre.ms = three[1];
        }
        centre
    }

    /// The line through the outermost class `end` and the nearest one at least an
    /// octave inside. Where there is none, as much of the time as `belief` allows is latency, down to the rate that it
    /// holds likely: a few units that took long say little about many.
    fn line(&self, end: &Centre, belief: Belief, upper: bool) -> Line {
        let apart = |centre: &&Centre| {
            let ratio = centre.units / end.units;
            if upper { ratio <= 0.5 } else { ratio >= 2.0 }
        };
        let inner = if upper { self.centres().filter(apart).last() } else { self.centres().find(apart) };
        let proportional = end.ms / end.units;
        match inner {
            Some(inner) => {
                let slope = (end.ms - inner.ms) / (end.units - inner.units);
                let rate = slope.clamp(0.02 * proportional, proportional);
                Line { latency: end.ms - rate * end.units, rate, over: (end.units - inner.units).abs() }
            }
            None => {
                let likely = belief.ms_per_unit.clamp(0.02 * proportional, proportional);
                let latency = (end.ms - likely * end.units).min(belief.fixed_ms_max).max(0.0);
                Line { latency, rate: (end.ms - latency) / end.units, over: end.units }
            }
        }
    }
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
