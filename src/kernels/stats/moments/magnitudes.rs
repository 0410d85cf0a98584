//! The magnitudes of a span of floats, which say what holds them.

use crate::kernels::stats::moments::window::{LANES_MOST as LANES, Windowed};

/// The magnitudes of some finite numbers, and their extremes.
pub(super) struct Magnitudes {
    pub(super) largest: f64,
    /// The least one that is not zero; an infinity where there is none.
    pub(super) least: f64,
    /// The least number, though either zero may stand for the other; an infinity where there is none.
    pub(super) min: f64,
    /// The greatest number, likewise.
    pub(super) max: f64,
    /// How many numbers there are, zeros included.
    pub(super) kept: u64,
    /// How many elements are infinite, and so not among the numbers.
    pub(super) infinite: u64,
}

impl Magnitudes {
    /// Those of the finite values among so many elements that do not equal `missing`.
    #[inline(always)]
    pub(super) fn of<T: Windowed>(span: &[T], missing: Option<T>) -> Self {
        let missing = missing.map_or(f64::NAN, T::to_f64);
        let mut lanes = Lanes::NONE;
        let (steps, rest) = span.as_chunks::<LANES>();
        for step in steps {
            lanes.take_in(step, missing);
        }
        // A NaN is passed over.
        let mut last = [T::from_f64(f64::NAN); LANES];
        last[..rest.len()].copy_from_slice(rest);
        lanes.take_in(&last, missing);
        Self {
            largest: lanes.largest.into_iter().fold(0.0, f64::max),
            least: lanes.least.into_iter().fold(f64::INFINITY, f64::min),
            min: lanes.min.into_iter().fold(f64::INFINITY, f64::min),
            max: lanes.max.into_iter().fold(f64::NEG_INFINITY, f64::max),
            kept: lanes.kept.into_iter().sum(),
            infinite: lanes.infinite.into_iter().sum(),
        }
    }
}

/// The same, lane by lane.
struct Lanes {
    largest: [f64; LANES],
    least: [f64; LANES],
    min: [f64; LANES],
    max: [f64; LANES],
    kept: [u64; LANES],
    infinite: [u64; LANES],
}

impl Lanes {
    const NONE: Self = Self {
        largest: [0.0; LANES],
        least: [f64::INFINITY; LANES],
        min: [f64::INFINITY; LANES],
        max: [f64::NEG_INFINITY; LANES],
        kept: [0; LANES],
        infinite: [0; LANES],
    };

    #[inline(always)]
    fn take_in<T: Windowed>(&mut self, step: &[T; LANES], missing: f64) {
        for (lane, value) in step.iter().enumerate() {
            let value = value.to_f64();
            let magnitude = value.abs();
            let keep = (magnitude < f64::INFINITY) & (value != missing);
            self.kept[lane] += u64::from(keep);
            self.infinite[lane] += u64::from(magnitude == f64::INFINITY);
            let or = |otherwise: f64, number: f64| if keep { number } else { otherwise };
            let (largest, least) = (or(0.0, magnitude), or(f64::INFINITY, magnitude));
            let least = if least > 0.0 { least } else { f64::INFINITY };
            let (min, max) = (or(f64::INFINITY, value), or(f64::NEG_INFINITY, value));
            self.largest[lane] = if largest > self.largest[lane] { largest } else { self.largest[lane] };
            self.least[lane] = if least < self.least[lane] { least } else { self.least[lane] };
            self.min[lane] = if min < self.min[lane] { min } else { self.min[lane] };
            self.max[lane] = if max > self.max[lane] { max } else { self.max[lane] };
        }
    }
}
