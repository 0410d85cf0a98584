//! Rates out of the rows of a model: what grows with size told from what does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Row;
use crate::plan::priors::CPU_OVERHEAD_MS;
use crate::simulate::machine_file::SPEED;

/// Values, each with its weight.
type Weighted = Vec<(f64, f64)>;

/// A row counts for the rate where what does not grow with size is a smaller part of it than this.
const FIXED_PART_MAX: f64 = 0.25;
/// What ran on one lane goes before what ran on several, unless it was less than this part of it.
const TELLING_PART: f64 = 0.5;
/// Of one size alone nobody knows how much of its time does not grow with size; on a GPU, where code is made ready for it, it may be
/// so much.
const GPU_FIRST_MS: f64 = 20.0;
/// Sizes this many times apart tell what does not grow with size.
const APART: f64 = 4.0;

/// How a time grows with size: `fixed_ms + units * ms_per_unit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// `None` where one size is known, or sizes too near each other.
    pub fixed_ms: Option<f64>,
    pub ms_per_unit: f64,
}

impl Line {
    /// The line through rows of `(units, ms)`: its beginning from the smallest and the largest, its slope the median over those
    /// that are not mostly beginning.
    pub fn through(mut points: Vec<(f64, f64)>) -> Option<Self> {
        points.retain(|(units, ms)| *units > 0.0 && *ms > 0.0);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (&(few, short_ms), &(many, long_ms)) = (points.first()?, points.last()?);
        if many < few * APART || long_ms <= short_ms {
            return Some(Self { fixed_ms: None, ms_per_unit: long_ms / many });
        }
        let fixed_ms = (short_ms - (long_ms - short_ms) / (many - few) * few).max(0.0);
        let large = points.iter().filter(|(_, ms)| fixed_ms <= FIXED_PART_MAX * ms);
        let slopes: Vec<f64> = large.map(|(units, ms)| (ms - fixed_ms) / units).collect();
        let ms_per_unit = median(slopes).unwrap_or((long_ms - fixed_ms) / many);
        Some(Self { fixed_ms: Some(fixed_ms), ms_per_unit })
    }

    /// What all of these `(units, ms)` come to together, for places where no part of a time is kept apart: what does not grow with
    /// size is in it, as is what takes unusually long, since both are in what a run takes.
    fn of_all(points: &[(f64, f64)]) -> Option<Self> {
        let told = points.iter().filter(|(units, ms)| *units > 0.0 && *ms > 0.0);
        let (units, ms) = told.fold((0.0, 0.0), |(units, ms), point| (units + point.0, ms + point.1));
        (units > 0.0).then_some(Self { fixed_ms: None, ms_per_unit: ms / units })
    }
}

/// As `speeds` name a kernel and the first word of its variant.
fn named(kernel: &str, variant: &str) -> String {
    let base = variant.split(' ').next().unwrap_or_default();
    if base.is_empty() { kernel.to_owned() } else { format!("{kernel} {base}") }
}

/// The middle one, or the mean of both in the middle.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The middle one by weight: half of all weight lies on either side.
fn weighted_median(mut values: Weighted) -> Option<f64> {
    values.retain(|(value, weight)| value.is_finite() && *weight > 0.0);
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    values
        .into_iter()
        .find(|(_, weight)| {
            sum += weight;
            sum >= half
        })
        .map(|(value, _)| value)
}

/// The number with four digits that count: more would pretend to more than a measurement tells.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Where the rows of a device come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Cpu,
    Gpu,
}

impl Place {
    /// Whether a time that goes up to `longest_ms` and grows with size like this tells a speed: what may be overhead is a small
    /// part of it.
    fn is_told(self, line: &Line, longest_ms: f64) -> bool {
        let overhead_ms = match (self, line.fixed_ms) {
            (Self::Cpu, _) => CPU_OVERHEAD_MS,
            (Self::Gpu, None) => GPU_FIRST_MS,
            // What does not grow with size is known and left out; what is left need be no longer than chance makes it.
            (Self::Gpu, Some(_)) => FIXED_PART_MAX * CPU_OVERHEAD_MS,
        };
        overhead_ms <= FIXED_PART_MAX * (longest_ms - line.fixed_ms.unwrap_or(0.0))
    }
}

/// What a model knows of one device.
#[derive(Debug)]
pub(super) struct Known<'a> {
    rows: Vec<&'a Row>,
    /// What ran, but for so short a time that it tells no speed: kernel and first word of the variant.
    short: BTreeSet<String>,
    /// How computing grows with size, by kernel, variant, class of cost (its bits) and lanes; and the longest time that went into
    /// it, in milliseconds: what took longer tells more.
    curves: BTreeMap<(&'a str, &'a str, u64, u32), (Line, f64)>,
}

impl<'a> Known<'a> {
    /// What these rows say of the device with this fingerprint.
    pub fn of(rows: &'a [Row], fingerprint: &str, place: Place) -> Self {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.device == fingerprint).collect();
        let mut points: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.phase == "compute" && !row.kernel.is_empty()) {
            // Work that tells nothing of its cost has no speed.
            let Some(prior_ns) = row.prior_ns.filter(|ns| *ns > 0.0) else { continue };
            let key = (row.kernel.as_str(), row.variant.as_str(), prior_ns.to_bits(), row.lanes.max(1));
            points.entry(key).or_default().push((row.units, row.ms));
        }
        let curve = |points: Vec<(f64, f64)>| {
            let longest_ms = points.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
            let line = match place {
                Place::Cpu => Line::of_all(&points),
                Place::Gpu => Line::through(points),
            };
            Some((line?, longest_ms))
        };
        let all = points.into_iter().filter_map(|(key, points)| Some((key, curve(points)?)));
        let (curves, short): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|(_, (line, longest_ms))| place.is_told(line, *longest_ms));
        let short = short.into_keys().map(|(kernel, variant, ..)| named(kernel, variant)).collect();
        Self { rows, curves, short }
    }

    /// What ran, but never for so long that it tells a speed, as `primes numbers`.
    pub fn too_short(&self) -> Vec<&str> {
        let told: BTreeSet<String> = self.curves.keys().map(|(kernel, variant, ..)| named(kernel, variant)).collect();
        self.short.iter().filter(|name| !told.contains(*name)).map(String::as_str).collect()
    }

    /// How many times as fast as the kernels' own account its lanes are together, for one of the curves.
    fn multiple(prior_ns_bits: u64, line: &Line) -> f64 {
        f64::from_bits(prior_ns_bits) / 1e6 / line.ms_per_unit
    }

    /// What a thread more is worth beside one that works alone: the median over what has run on one and on several.
    pub fn thread_efficiency(&self) -> Option<f64> {
        let several = self.curves.iter().filter(|((.., lanes), _)| *lanes > 1);
        let each = several.filter_map(|(&(kernel, variant, cost, lanes), (line, ms))| {
            let (one, one_ms) = self.curves.get(&(kernel, variant, cost, 1))?;
            Some(((one.ms_per_unit / line.ms_per_unit - 1.0) / f64::from(lanes - 1), ms.min(*one_ms)))
        });
        // Threads that are in each other's way are worth next to nothing, and none is worth more than the first.
        weighted_median(each.collect()).map(|efficiency| efficiency.clamp(0.01, 1.0))
    }

    /// The speed of a lane by kernel, and by kernel and first word of the variant where a kernel has several: the median over what
    /// ran on one lane, or, where that was little beside it, over what ran on several, shared out by their efficiency.
    pub fn speeds(&self, efficiency: f64) -> BTreeMap<String, f64> {
        let mut by_base: BTreeMap<(&str, &str), [Weighted; 2]> = BTreeMap::new();
        for (&(kernel, variant, cost, lanes), (line, ms)) in &self.curves {
            let base = variant.split(' ').next().unwrap_or_default();
            let useful = 1.0 + f64::from(lanes - 1) * efficiency;
            let speed = Self::multiple(cost, line) / useful;
            by_base.entry((kernel, base)).or_default()[usize::from(lanes > 1)].push((speed, ms * f64::from(lanes)));
        }
        let mut by_kernel: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        for ((kernel, base), [one, several]) in by_base {
            let weight = |speeds: &[(f64, f64)]| speeds.iter().map(|(_, ms)| ms).sum::<f64>();
            let is_telling = weight(&one) >= TELLING_PART * weight(&several);
            let (first, second) = if is_telling { (one, several) } else { (several, one) };
            if let Some(speed) = weighted_median(first).or_else(|| weighted_median(second)) {
                by_kernel.entry(kernel).or_default().push((base, speed));
            }
        }
        let mut speeds = BTreeMap::new();
        for (kernel, of_bases) in by_kernel {
            for &(base, speed) in of_bases.iter().filter(|(base, _)| !base.is_empty()) {
                speeds.insert(format!("{kernel} {base}"), speed);
            }
            if let Some(speed) = median(of_bases.iter().map(|(_, speed)| *speed).collect()) {
                speeds.insert(kernel.to_owned(), speed);
            }
        }
        speeds.retain(|_, speed| speed.is_finite() && *speed > 0.0);
        let (low, high) = (*SPEED.start(), *SPEED.end());
        speeds.values_mut().for_each(|speed| *speed = rounded(*speed).clamp(low, high));
        speeds
    }

    /// What each chunk costs besides: the median over kernels of what does not grow with size.
    pub fn latency_ms(&self) -> Option<f64> {
        median(self.curves.values().filter_map(|(line, _)| line.fixed_ms).collect())
    }

    /// Input moved to it, in bytes a second.
    pub fn upload_bytes_per_s(&self) -> Option<f64> {
        let line = Line::through(self.facts("upload").map(|row| (row.units, row.ms)).collect())?;
        Some(1e3 / line.ms_per_unit).filter(|rate| rate.is_finite() && *rate > 0.0)
    }

    /// Opening it.
    pub fn cold_start_ms(&self) -> Option<f64> {
        median(self.facts("setup").map(|row| row.ms).collect())
    }

    /// Rows of the device that hold for every kernel.
    fn facts(&self, phase: &'static str) -> impl Iterator<Item = &&'a Row> {
        self.rows.iter().filter(move |row| row.kernel.is_empty() && row.phase == phase)
    }
}
