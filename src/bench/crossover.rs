//! From which size on one place beats another, and why it does not before. Pure.

use serde::{Deserialize, Serialize};

use crate::bench::{Cell, DeviceDescription, Place, Row};

/// From which size on a place beats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakEven {
    /// From about this many units on, between two sizes that were measured.
    From(u64),
    /// At every size that was measured.
    Always,
    /// At none, or not at the largest.
    Never,
}

impl BreakEven {
    /// Of sizes in units, ascending, each with the times of the challenger and of the other. Between two sizes the times are
    /// taken to follow a power of the size. `None` where nothing was measured.
    pub fn of(times: impl IntoIterator<Item = (u64, f64, f64)>) -> Option<Self> {
        let slower: Vec<(f64, f64)> = times
            .into_iter()
            .filter(|(_, challenger, other)| *challenger > 0.0 && *other > 0.0)
            .map(|(units, challenger, other)| ((units.max(1) as f64).ln(), (challenger / other).ln()))
            .collect();
        let &(_, last) = slower.last()?;
        if last >= 0.0 {
            return Some(Self::Never);
        }
        Some(match slower.iter().rposition(|&(_, slower)| slower >= 0.0) {
            None => Self::Always,
            Some(at) => {
                let ((x0, y0), (x1, y1)) = (slower[at], slower[at + 1]);
                Self::From((x0 + (x1 - x0) * y0 / (y0 - y1)).exp().round() as u64)
            }
        })
    }
}

/// Why a GPU does not win at a size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is none: its shaders run on the cores that the CPU's threads run on.
    Software,
    /// It is a split: handing out parts takes longer than it saves.
    Shared,
    /// Moving the input to it takes longer than the CPU needs for all.
    Upload {
        /// How long that takes.
        upload_ms: f64,
    },
    /// What it takes for any job, however small, is most of its time: handing it over, waiting, reading back.
    FixedCost {
        /// How long its smallest job took.
        least_ms: f64,
    },
    /// Setting it up takes longer than the CPU needs for all.
    Setup {
        /// How long that takes.
        setup_ms: f64,
    },
    /// Reading back takes longer than the CPU needs for all.
    Readback {
        /// How long that takes.
        readback_ms: f64,
    },
    /// It computes more slowly than the CPU.
    Compute {
        /// How long it computes.
        compute_ms: f64,
    },
    /// No part alone takes as long as the CPU; together they do.
    Sum {
        /// How long it computes.
        compute_ms: f64,
        /// How long moving the input to it takes.
        upload_ms: f64,
    },
}

/// Where it loses, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// The largest size that was measured at which it loses, in units.
    pub units: u64,
    /// How long it took there.
    pub gpu_ms: f64,
    /// How long the CPU took there, at its best.
    pub cpu_ms: f64,
    /// Why.
    pub reason: Reason,
}

/// A GPU, or a split, against the best of the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Who challenges.
    pub place: Place,
    /// From which size on it wins, its input uploaded anew for each job.
    pub fresh: BreakEven,
    /// Between which sizes the two cannot be told apart: from where it may win by the intervals of the medians to where it
    /// surely does. `None` where there is no such size.
    pub band_units: Option<(u64, u64)>,
    /// From which size on it wins where its input lies on it already.
    pub resident: BreakEven,
    /// From which size on it wins where it is set up first: the only job of a program.
    pub cold: BreakEven,
    /// How long opening it took, in milliseconds.
    pub opening_ms: f64,
    /// How many times as fast as the CPU it is at its best, and at how many units.
    pub best: (f64, u64),
    /// Where it loses, and why; `None` where it never does.
    pub lost: Option<Lost>,
}

/// What the rows of a variant come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which kind.
    pub kind: String,
    /// Which variant.
    pub variant: String,
    /// All threads against one: from which size on, how many times as fast at best, at how many units, and how many
    /// threads. `None` where only one was measured.
    pub parallel: Option<Parallel>,
    /// Every GPU that took part, and the split.
    pub challenges: Vec<Challenge>,
}

/// All threads against one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parallel {
    /// How many threads.
    pub threads: u32,
    /// From which size on they win.
    pub break_even: BreakEven,
    /// How many times as fast they are at best, and at how many units.
    pub best: (f64, u64),
}

impl Verdict {
    /// Of the rows of one variant, ascending in size; `None` where there are none.
    pub fn of(rows: &[Row], devices: &[DeviceDescription]) -> Option<Self> {
        let first = rows.first()?;
        let mut places: Vec<Place> = rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.place)).collect();
        places.sort_unstable();
        places.dedup();
        let challengers = places.iter().filter(|place| !place.is_cpu());
        Some(Self {
            kind: first.kind.clone(),
            variant: first.variant.clone(),
            parallel: parallel(rows),
            challenges: challengers.filter_map(|&place| challenge(rows, place, devices)).collect(),
        })
    }
}

fn parallel(rows: &[Row]) -> Option<Parallel> {
    let pairs: Vec<(&Row, &Cell, &Cell)> =
        rows.iter().filter_map(|row| Some((row, row.cell(Place::Cpu)?, row.cell(Place::Thread)?))).collect();
    let break_even = BreakEven::of(pairs.iter().map(|(row, all, one)| (row.units, all.median_ms, one.median_ms)))?;
    let ratios = pairs.iter().map(|(row, all, one)| (one.median_ms / all.median_ms, row.units));
    Some(Parallel {
        threads: pairs.iter().map(|(_, all, _)| all.lanes).max()?,
        break_even,
        best: ratios.max_by(|a, b| a.0.total_cmp(&b.0))?,
    })
}

fn challenge(rows: &[Row], place: Place, devices: &[DeviceDescription]) -> Option<Challenge> {
    let pairs: Vec<(&Row, &Cell, &Cell)> =
        rows.iter().filter_map(|row| Some((row, row.cell(place)?, row.best_of_cpu()?))).collect();
    let of = |gpu_ms: &dyn Fn(&Cell) -> f64, cpu_ms: &dyn Fn(&Cell) -> f64| {
        BreakEven::of(pairs.iter().map(|(row, gpu, cpu)| (row.units, gpu_ms(gpu), cpu_ms(cpu))))
    };
    let median = |cell: &Cell| cell.median_ms;
    let opened = pairs.iter().map(|(_, gpu, _)| gpu.cold.opening_ms);
    // The device is opened once, and shaders are compiled with the first job of a variant.
    let setup_ms = pairs.iter().map(|(_, gpu, _)| gpu.cold.setup_ms - gpu.cold.opening_ms).fold(0.0, f64::max);
    let devices: Vec<&DeviceDescription> =
        devices.iter().filter(|device| device.device == place.device().to_string()).collect();
    let opening_ms = devices.iter().filter_map(|device| device.opening_ms).chain(opened).fold(0.0, f64::max);
    let software = place.is_gpu() && devices.iter().any(|device| device.software);
    let early = of(&|gpu| gpu.low_ms, &|cpu| cpu.high_ms)?;
    let late = of(&|gpu| gpu.high_ms, &|cpu| cpu.low_ms)?;
    let (least, most) = (pairs.first()?.0.units, pairs.last()?.0.units);
    let band_units = match (early, late) {
        (BreakEven::Never, _) | (_, BreakEven::Always) => None,
        (early, late) => {
            let edge = |found, otherwise| if let BreakEven::From(units) = found { units } else { otherwise };
            Some((edge(early, least), edge(late, most)))
        }
    };
    let ratios = pairs.iter().map(|(row, gpu, cpu)| (cpu.median_ms / gpu.median_ms, row.units));
    Some(Challenge {
        place,
        fresh: of(&median, &median)?,
        band_units,
        resident: of(&|gpu| (gpu.median_ms - gpu.phase_ms(|run| run.upload_ms)).max(f64::MIN_POSITIVE), &median)?,
        cold: of(&|gpu| gpu.median_ms + opening_ms + setup_ms, &median)?,
        opening_ms,
        best: ratios.max_by(|a, b| a.0.total_cmp(&b.0))?,
        lost: lost(&pairs, place, software),
    })
}

/// The largest size at which the CPU wins, and why.
fn lost(pairs: &[(&Row, &Cell, &Cell)], place: Place, software: bool) -> Option<Lost> {
    let (row, gpu, cpu) = pairs.iter().rfind(|(_, gpu, cpu)| gpu.median_ms >= cpu.median_ms)?;
    let cpu_ms = cpu.median_ms;
    let [upload_ms, compute_ms, readback_ms, setup_ms] = [
        gpu.phase_ms(|run| run.upload_ms),
        gpu.phase_ms(|run| run.compute_ms),
        gpu.phase_ms(|run| run.readback_ms),
        gpu.phase_ms(|run| run.setup_ms),
    ];
    let least_ms = pairs.iter().map(|(_, gpu, _)| gpu.median_ms).fold(f64::INFINITY, f64::min);
    let reason = if software {
        Reason::Software
    } else if place == Place::Split {
        Reason::Shared
    } else if least_ms > cpu_ms {
        Reason::FixedCost { least_ms }
    } else if upload_ms >= cpu_ms {
        Reason::Upload { upload_ms }
    } else if setup_ms >= cpu_ms {
        Reason::Setup { setup_ms }
    } else if readback_ms >= cpu_ms {
        Reason::Readback { readback_ms }
    } else if compute_ms >= cpu_ms {
        Reason::Compute { compute_ms }
    } else {
        Reason::Sum { compute_ms, upload_ms }
    };
    Some(Lost { units: row.units, gpu_ms: gpu.median_ms, cpu_ms, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    const GPU: Place = Place::Gpu(0);

    fn verdict(times: &[(u64, f64, f64)], devices: &[DeviceDescription]) -> Verdict {
        let row = |&(units, cpu, gpu)| examples::row("k", "v", units, &[(Place::Thread, cpu), (GPU, gpu)]);
        Verdict::of(&times.iter().map(row).collect::<Vec<_>>(), devices).unwrap()
    }

    #[test]
    fn the_break_even_size_lies_where_the_times_cross() {
        // The ratio goes from 4 to 1/4 over two decades: it is 1 in their middle.
        assert_eq!(BreakEven::of([(100, 4.0, 1.0), (10_000, 25.0, 100.0)]), Some(BreakEven::From(1000)));
        assert_eq!(BreakEven::of([(100, 4.0, 1.0)]), Some(BreakEven::Never));
        assert_eq!(BreakEven::of([(100, 1.0, 4.0)]), Some(BreakEven::Always));
        assert_eq!(BreakEven::of([]), None);
        // Once more slower at the end: it never pays for good.
        assert_eq!(BreakEven::of([(1, 1.0, 2.0), (2, 2.0, 1.0)]), Some(BreakEven::Never));
    }

    #[test]
    fn a_gpu_that_wins_does_so_earlier_with_its_input_there_and_later_when_it_is_cold() {
        let found = verdict(&[(100, 1.0, 4.0), (10_000, 100.0, 25.0)], &[]);
        let challenge = &found.challenges[0];
        assert_eq!(challenge.fresh, BreakEven::From(1000));
        let (low, high) = challenge.band_units.unwrap();
        assert!(low < 1000 && high > 1000 && low > 900 && high < 1100, "{challenge:?}");
        assert!(matches!(challenge.resident, BreakEven::From(units) if units < 1000), "{challenge:?}");
        assert_eq!(challenge.cold, BreakEven::Never, "setting it up takes 200 ms");
        assert_eq!(challenge.best, (4.0, 10_000));
        assert_eq!(found.parallel, None);
    }

    #[test]
    fn why_a_gpu_loses_is_what_takes_longer_than_the_cpu() {
        let reason = |times: &[(u64, f64, f64)]| verdict(times, &[]).challenges[0].lost.map(|lost| lost.reason);
        // A quarter of the example's GPU time is upload.
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 6.0)]), Some(Reason::Upload { .. })));
        assert!(matches!(reason(&[(10, 0.01, 0.5), (100, 0.1, 0.6)]), Some(Reason::FixedCost { .. })));
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 2.0)]), Some(Reason::Compute { .. })));
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 1.2)]), Some(Reason::Sum { .. })));
        assert_eq!(reason(&[(10, 1.0, 0.5)]), None);
        let mut devices = examples::report().machine.devices;
        devices[1].software = true;
        let found = verdict(&[(10, 0.1, 0.5)], &devices);
        assert_eq!(found.challenges[0].lost.unwrap().reason, Reason::Software);
    }

    #[test]
    fn all_threads_are_held_against_one() {
        let row = |units, one, all| examples::row("k", "v", units, &[(Place::Thread, one), (Place::Cpu, all)]);
        let found = Verdict::of(&[row(100, 1.0, 4.0), row(10_000, 100.0, 25.0)], &[]).unwrap().parallel.unwrap();
        assert_eq!((found.threads, found.break_even, found.best), (8, BreakEven::From(1000), (4.0, 10_000)));
    }
}
