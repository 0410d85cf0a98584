//! Every kind, variant, device and size, within a stated time.

use std::time::{Duration, Instant};

use crate::bench::Measurer;
use crate::device::DeviceId;
use crate::job::Kind;
use crate::runner::Runner;

/// Sizes grow by this factor.
const STEP: u64 = 8;
const SMALLEST_UNITS: u64 = 1 << 9;
/// No made-up job is larger than this, in bytes of input.
const MAX_BYTES: f64 = (512_u64 << 20) as f64;
/// A single run that would take longer ends the sizes of a variant.
const MAX_RUN_MS: f64 = 4_000.0;

/// How long one size took on one device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// Where.
    pub device: DeviceId,
    /// Threads that were allowed; 1 for a GPU.
    pub lanes: u32,
    /// The median, in milliseconds.
    pub ms: f64,
}

/// One size of one variant, on every device.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which kind.
    pub kind: &'static str,
    /// Which variant.
    pub variant: &'static str,
    /// How many units.
    pub units: u64,
    /// How many bytes of input.
    pub bytes: f64,
    /// One thread, all threads, each GPU.
    pub times: Vec<Time>,
}

impl Row {
    fn best_ms(&self, wanted: impl Fn(&Time) -> bool) -> Option<f64> {
        self.times.iter().filter(|time| wanted(time)).map(|time| time.ms).min_by(f64::total_cmp)
    }

    /// How many times faster this is than the fastest of the CPU's times.
    pub fn ratio_to_cpu(&self, ms: f64) -> Option<f64> {
        self.best_ms(|time| time.device == DeviceId::Cpu).map(|cpu_ms| cpu_ms / ms)
    }
}

/// From which size on a GPU beats the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakEven {
    /// From about this many units on, between two sizes that were measured.
    From(u64),
    /// At every size that was measured.
    Always,
    /// At none.
    Never,
    /// There is no GPU to compare with.
    NoGpu,
}

impl BreakEven {
    /// Of the rows of one variant, ascending in size. Between two sizes the times are taken to follow a power of the size.
    pub fn of(rows: &[Row]) -> Self {
        let pairs: Vec<(f64, f64)> = rows
            .iter()
            .filter_map(|row| {
                let cpu_ms = row.best_ms(|time| time.device == DeviceId::Cpu)?;
                let gpu_ms = row.best_ms(|time| time.device != DeviceId::Cpu)?;
                Some(((row.units as f64).ln(), (gpu_ms / cpu_ms).ln()))
            })
            .collect();
        let Some(&(_, last)) = pairs.last() else { return Self::NoGpu };
        if last >= 0.0 {
            return Self::Never;
        }
        match pairs.iter().rposition(|&(_, slower)| slower >= 0.0) {
            None => Self::Always,
            Some(at) => {
                let ((x0, y0), (x1, y1)) = (pairs[at], pairs[at + 1]);
                Self::From((x0 + (x1 - x0) * y0 / (y0 - y1)).exp().round() as u64)
            }
        }
    }
}

/// What a sweep tells as it goes.
pub type OnRow<'a> = &'a mut dyn FnMut(&Row) -> anyhow::Result<()>;

/// Times the variants of `kind` on one thread (`one`), on all threads and on every usable GPU (`all`), over sizes, until
/// `until` or until a size takes seconds. Gives the rows of each variant, each row as soon as it is there.
///
/// # Errors
/// Where a job fails, an answer differs, or `on_row` fails.
pub fn sweep(
    kind: &'static Kind,
    variant: &'static str,
    one: &Runner,
    all: &Runner,
    until: Instant,
    on_row: OnRow<'_>,
) -> anyhow::Result<Vec<Row>> {
    let places = places(one, all);
    let budget = until.saturating_duration_since(Instant::now());
    let mut rows: Vec<Row> = Vec::new();
    let mut units = SMALLEST_UNITS;
    loop {
        let mut measurer = Measurer::new(kind, variant, units)?;
        let bytes = measurer.work().bytes_per_unit * measurer.work().units as f64;
        let mut row = Row { kind: kind.name, variant, units: measurer.work().units, bytes, times: Vec::new() };
        for &(runner, device, lanes) in &places {
            if device != DeviceId::Cpu && !measurer.work().gpu {
                continue;
            }
            // No device of any size takes more than a small part of the time.
            let ms = measurer.time_ms(runner, device, (budget / 50).max(Duration::from_millis(5)))?;
            row.times.push(Time { device, lanes, ms });
        }
        on_row(&row)?;
        let slowest_ms = row.times.iter().map(|time| time.ms).fold(0.0, f64::max);
        let next = measurer.work().units.saturating_mul(STEP);
        rows.push(row);
        // The next size takes some STEP times as long, on each device, at least twice.
        let next_ms = slowest_ms * STEP as f64 * 2.0 * places.len() as f64;
        let left = until.saturating_duration_since(Instant::now());
        let stuck = next <= units;
        if stuck
            || bytes * STEP as f64 > MAX_BYTES
            || slowest_ms * STEP as f64 > MAX_RUN_MS
            || next_ms > left.as_secs_f64() * 1e3
        {
            return Ok(rows);
        }
        units = next;
    }
}

/// Where jobs are timed: who runs them, the device, the threads.
fn places<'a>(one: &'a Runner, all: &'a Runner) -> Vec<(&'a Runner, DeviceId, u32)> {
    let threads = all.engine().settings().threads;
    let mut places = vec![(one, DeviceId::Cpu, 1)];
    if threads > 1 {
        places.push((all, DeviceId::Cpu, threads));
    }
    let gpus = all.engine().devices().usable();
    places.extend(gpus.iter().map(|gpu| gpu.info().id).filter(|&id| id != DeviceId::Cpu).map(|id| (all, id, 1)));
    places
}

/// Runs made-up jobs of every kind and variant on one thread (`one`), all threads and every usable GPU (`all`) until the
/// time is up, smallest sizes first, so that both runners learn. Gives each row as soon as it is there.
///
/// # Errors
/// As [`sweep`].
pub fn calibrate(
    kinds: &[&'static Kind],
    one: &Runner,
    all: &Runner,
    budget: Duration,
    on_row: OnRow<'_>,
) -> anyhow::Result<()> {
    let end = Instant::now() + budget;
    let variants: Vec<_> =
        kinds.iter().flat_map(|kind| kind.variants.iter().map(move |variant| (*kind, *variant))).collect();
    for (i, &(kind, variant)) in variants.iter().enumerate() {
        // What one variant leaves is shared by those after it.
        let now = Instant::now();
        let share = end.saturating_duration_since(now) / (variants.len() - i) as u32;
        sweep(kind, variant, one, all, now + share, on_row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kind;
    use crate::model::Location;

    fn row(units: u64, cpu_ms: f64, gpu_ms: Option<f64>) -> Row {
        let mut times = vec![
            Time { device: DeviceId::Cpu, lanes: 1, ms: cpu_ms * 2.0 },
            Time { device: DeviceId::Cpu, lanes: 4, ms: cpu_ms },
        ];
        times.extend(gpu_ms.map(|ms| Time { device: DeviceId::Gpu(0), lanes: 1, ms }));
        Row { kind: "k", variant: "v", units, bytes: 0.0, times }
    }

    #[test]
    fn the_break_even_size_lies_where_the_times_cross() {
        let rows = [row(100, 1.0, Some(4.0)), row(10_000, 100.0, Some(25.0))];
        // The ratio goes from 4 to 1/4 over two decades: it is 1 in their middle.
        assert_eq!(BreakEven::of(&rows), BreakEven::From(1000));
        assert_eq!(BreakEven::of(&rows[..1]), BreakEven::Never);
        assert_eq!(BreakEven::of(&rows[1..]), BreakEven::Always);
        assert_eq!(BreakEven::of(&[row(1, 1.0, None)]), BreakEven::NoGpu);
        assert_eq!(BreakEven::of(&[]), BreakEven::NoGpu);
        // Once more slower at the end: it never pays for good.
        assert_eq!(BreakEven::of(&[row(1, 2.0, Some(1.0)), row(2, 1.0, Some(2.0))]), BreakEven::Never);
    }

    #[test]
    fn ratios_are_against_the_fastest_of_the_cpu() {
        assert_eq!(row(1, 10.0, Some(5.0)).ratio_to_cpu(5.0), Some(2.0));
    }

    #[test]
    fn a_sweep_keeps_to_its_time_and_its_sizes_grow() {
        let runner = |threads| Runner::builder().threads(threads).model(Location::Nowhere).build().unwrap();
        let begun = Instant::now();
        let mut seen = Vec::new();
        let rows = sweep(
            kind("primes").unwrap(),
            "numbers",
            &runner(1),
            &runner(2),
            begun + Duration::from_millis(300),
            &mut |row| {
                seen.push(row.units);
                Ok(())
            },
        )
        .unwrap();
        assert!(seen.is_sorted() && seen.len() == rows.len() && !rows.is_empty());
        assert!(rows.iter().all(|row| row.times.len() == 2));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
