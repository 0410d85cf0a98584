//! Which place to use at which size: every place is held against every other. Pure.

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::standing::BreakEven;
use super::{is_software, is_surely_faster, places};
use crate::bench::{Cell, DeviceDescription, Place, Row};
use crate::kernels::KERNELS;

/// Who is faster by less than this, however surely, is not worth a choice.
const WORTH: f64 = 1.05;

/// Which place to use at which size.
///
/// One place beats another at a size where the intervals of their medians do not meet and it is faster by 5 % or more, and by more than
/// waking a thread takes. Of the places that none beats, the one that was surely to be used at a size before is to be used on, so that
/// chance does not turn back and forth what makes no difference; else the simplest: one thread before all threads, these before a GPU, and that before a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Whether a size is so many jobs at once, and not the size of one.
    pub is_of_jobs: bool,
    /// What to use at each size that was measured, ascending; empty where there was only one place.
    pub sizes: Vec<AtSize>,
    /// The same over all sizes, ascending.
    pub segments: Vec<Segment>,
    /// Places that are not to be used at any size.
    pub unused: Vec<Unused>,
    /// Why, in the order of sizes.
    pub because: Vec<Because>,
}

/// What to use at a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtSize {
    /// How many units.
    pub units: u64,
    /// What to use.
    pub place: Place,
    /// With how many threads of the CPU; 1 for a GPU.
    pub lanes: u32,
    /// Others that are as fast: none beats them either.
    pub ties: Vec<Place>,
}

/// Neighbouring sizes at which one place is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// What to use.
    pub place: Place,
    /// With how many threads of the CPU; 1 for a GPU.
    pub lanes: u32,
    /// From about which size on, between two that were measured: where the times of this place and of the one before it cross. `None` for
    /// the first.
    pub from_units: Option<u64>,
    /// The least and the largest size that was measured among them.
    pub measured: (u64, u64),
}

/// A place that is not to be used at any size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unused {
    /// Which one.
    pub place: Place,
    /// With how many threads of the CPU; 1 for a GPU.
    pub lanes: u32,
    /// Whether another beats it at every size; else it is as fast at some, and not as simple.
    pub is_slower: bool,
}

/// Why one place is to be used at a size and not another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Because {
    /// At how many units.
    pub units: u64,
    /// What to use there, and with how many threads of the CPU.
    pub best: (Place, u32),
    /// How long it takes.
    pub best_ms: f64,
    /// The place that it beats there, and with how many threads of the CPU.
    pub other: (Place, u32),
    /// How long that one takes.
    pub other_ms: f64,
    /// What the other loses its time with; `None` where it has but fewer threads, or a reason of one's own is not known.
    pub reason: Option<Reason>,
}

fn beats(cell: &Cell, other: &Cell) -> bool {
    is_surely_faster(cell, other) && cell.median_ms * WORTH <= other.median_ms
}

impl AtSize {
    /// Of a row, where `before` was surely to be used at a size before and nothing since spoke against it.
    fn of(row: &Row, before: Option<Place>) -> Option<Self> {
        let is_beaten = |cell: &&Cell| row.cells.iter().any(|other| beats(other, cell));
        let unbeaten: Vec<&Cell> = row.cells.iter().filter(|cell| !is_beaten(cell)).collect();
        let simplest = unbeaten.iter().min_by_key(|cell| (Some(cell.place) != before, cell.place))?;
        let ties = unbeaten.iter().map(|cell| cell.place).filter(|place| *place != simplest.place).collect();
        Some(Self { units: row.units, place: simplest.place, lanes: simplest.lanes, ties })
    }
}

impl Choice {
    /// Of the rows of one variant, ascending in size.
    pub fn of(rows: &[Row], devices: &[DeviceDescription]) -> Self {
        let places = places(rows);
        let is_of_jobs = rows.first().is_some_and(|row| !KERNELS.iter().any(|kernel| kernel.name == row.kind));
        if places.len() < 2 {
            return Self { is_of_jobs, ..Self::default() };
        }
        let mut before = None;
        let at_size = |row| {
            let size = AtSize::of(row, before)?;
            // What only ties with others here is no reason to use it further on.
            before = Some(size.place).filter(|place| size.ties.is_empty() || before == Some(*place));
            Some((row, size))
        };
        let (rows, sizes): (Vec<&Row>, Vec<AtSize>) = rows.iter().filter_map(at_size).unzip();
        let used = |place: Place| sizes.iter().any(|size| size.place == place);
        let unused = places.iter().filter(|place| !used(**place)).filter_map(|&place| {
            let lanes = lanes(&rows, place)?;
            let is_slower = !sizes.iter().any(|size| size.ties.contains(&place));
            Some(Unused { place, lanes, is_slower })
        });
        let unused: Vec<Unused> = unused.collect();
        let segments = segments(&rows, &sizes);
        let because = because(&rows, &sizes, &unused, devices);
        Self { is_of_jobs, sizes, segments, unused, because }
    }
}

fn lanes(rows: &[&Row], place: Place) -> Option<u32> {
    rows.iter().find_map(|row| row.cell(place)).map(|cell| cell.lanes)
}

fn segments(rows: &[&Row], sizes: &[AtSize]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (at, size) in sizes.iter().enumerate() {
        match segments.last_mut() {
            Some(last) if last.place == size.place => last.measured.1 = size.units,
            before => {
                let from_units = before.map(|before| boundary(rows[at - 1], rows[at], before.place, size.place));
                let measured = (size.units, size.units);
                segments.push(Segment { place: size.place, lanes: size.lanes, from_units, measured });
            }
        }
    }
    segments
}

/// Where `to` overtakes `from` between two sizes; their middle where the medians do not cross.
fn boundary(small: &Row, large: &Row, from: Place, to: Place) -> u64 {
    let times = [small, large].map(|row| {
        let ms = |place| row.cell(place).map_or(0.0, |cell| cell.median_ms);
        (row.units, ms(to), ms(from))
    });
    match BreakEven::of(times) {
        Some(BreakEven::From(units)) => units,
        _ => (small.units as f64 * large.units as f64).sqrt().round() as u64,
    }
}

/// Why `best` is to be used in a row and not `other`; `None` where it does not beat it.
fn compare(rows: &[&Row], row: &Row, best: Place, other: Place, devices: &[DeviceDescription]) -> Option<Because> {
    let (best, other) = (row.cell(best)?, row.cell(other)?);
    if !beats(best, other) {
        return None;
    }
    let least = rows.iter().filter_map(|row| row.cell(other.place)).map(|cell| cell.median_ms);
    let least_ms = least.fold(f64::INFINITY, f64::min);
    let reason = match other.place {
        Place::Thread => None,
        Place::Cpu | Place::Split if least_ms > best.median_ms => Some(Reason::FixedCost { least_ms }),
        Place::Cpu => None,
        // Against another GPU, or a part of the same work, no phase is a reason of its own.
        Place::Gpu(_) if !best.place.is_cpu() => None,
        Place::Gpu(_) | Place::Split => {
            Some(Reason::of(other, best.median_ms, least_ms, is_software(other.place, devices)))
        }
    };
    Some(Because {
        units: row.units,
        best: (best.place, best.lanes),
        best_ms: best.median_ms,
        other: (other.place, other.lanes),
        other_ms: other.median_ms,
        reason,
    })
}

/// Why another place takes over between two sizes: what it loses by before, and what it gains at the end; and why others never do.
fn because(rows: &[&Row], sizes: &[AtSize], unused: &[Unused], devices: &[DeviceDescription]) -> Vec<Because> {
    let mut found = Vec::new();
    let compare = |at: usize, other: Place| compare(rows, rows[at], sizes[at].place, other, devices);
    for at in (1..sizes.len()).filter(|&at| sizes[at - 1].place != sizes[at].place) {
        found.extend(compare(at - 1, sizes[at].place));
        // At the largest size of its part where it is sure.
        let part = (at..sizes.len()).take_while(|&on| sizes[on].place == sizes[at].place);
        let gain = part.filter_map(|on| compare(on, sizes[at - 1].place)).last();
        found.extend(gain);
    }
    for unused in unused {
        // At the largest size where there is something to be said.
        found.extend((0..sizes.len()).rev().find_map(|at| compare(at, unused.place)));
    }
    let mut said: Vec<Because> = Vec::new();
    found.sort_by_key(|because| because.units);
    for because in found {
        let is_same = |other: &Because| (other.units, other.other) == (because.units, because.other);
        if !said.iter().any(is_same) {
            said.push(because);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    const GPU: Place = Place::Gpu(0);
    const PLACES: [Place; 4] = [Place::Thread, Place::Cpu, GPU, Place::Split];

    /// Rows of stats by size, with the medians of one thread, all threads, a GPU and a split; intervals reach to about 0.7 %.
    fn choice(times: &[(u64, [f64; 4])]) -> Choice {
        let row = |&(units, medians): &(u64, [f64; 4])| {
            let times: Vec<_> = PLACES.into_iter().zip(medians).collect();
            examples::row("stats", "f32", units, &times)
        };
        Choice::of(&times.iter().map(row).collect::<Vec<_>>(), &[])
    }

    fn used(choice: &Choice) -> Vec<(Place, Option<u64>)> {
        choice.segments.iter().map(|segment| (segment.place, segment.from_units)).collect()
    }

    #[test]
    fn each_size_has_the_place_that_none_beats_and_ties_go_to_the_simpler_one() {
        let found = choice(&[
            (100, [1.0, 4.0, 16.0, 20.0]),
            (10_000, [100.0, 25.0, 30.0, 33.0]),
            (1_000_000, [10_000.0, 2_500.0, 500.0, 499.0]),
        ]);
        // From 4 to 1/4 over two decades: 1 in their middle.
        assert_eq!(used(&found), [(Place::Thread, None), (Place::Cpu, Some(1000)), (GPU, Some(15_978))]);
        assert_eq!(found.sizes[2].ties, [Place::Split]);
        assert_eq!(found.unused, [Unused { place: Place::Split, lanes: 1, is_slower: false }]);
        let said: Vec<_> = found.because.iter().map(|why| (why.units, why.best.0, why.other.0, why.reason)).collect();
        assert_eq!(
            said[0],
            (100, Place::Thread, Place::Cpu, Some(Reason::FixedCost { least_ms: 4.0 })),
            "{:?}",
            found.because
        );
        assert!(said.contains(&(10_000, Place::Cpu, GPU, Some(Reason::Sum { compute_ms: 22.5, upload_ms: 7.5 }))));
        assert!(said.contains(&(1_000_000, GPU, Place::Cpu, None)), "what it gains: {said:?}");
    }

    #[test]
    fn who_is_faster_by_less_than_a_twentieth_is_not_worth_it() {
        let found = choice(&[(10, [1.04, 1.0, 2.0, 2.0])]);
        assert_eq!((used(&found), &*found.sizes[0].ties), (vec![(Place::Thread, None)], &[Place::Cpu][..]));
        let found = choice(&[(10, [1.06, 1.0, 2.0, 2.0])]);
        assert_eq!(used(&found), [(Place::Cpu, None)]);
    }

    #[test]
    fn where_intervals_meet_nobody_wins_however_far_apart_the_medians_are() {
        let mut rows = vec![examples::row("stats", "f32", 10, &[(Place::Thread, 4.0), (GPU, 1.0)])];
        rows[0].cells[1].high_ms = 4.1;
        assert_eq!(Choice::of(&rows, &[]).sizes[0].place, Place::Thread);
        rows[0].cells[1].high_ms = 3.5;
        assert_eq!(Choice::of(&rows, &[]).sizes[0].place, GPU);
        // Few runs have no interval of 95 %, and are not taken for sure where they are less than half as much again apart.
        rows[0].cells = [(Place::Thread, 4.0), (GPU, 3.0)]
            .map(|(place, ms)| {
                let cell = examples::cell(place, ms);
                Cell::new(place, 1, cell.cold, cell.runs[..2].to_vec())
            })
            .to_vec();
        assert_eq!(Choice::of(&rows, &[]).sizes[0].place, Place::Thread, "two runs of each");
        // Nor is a single run.
        for (ms, expected) in [(1.0, GPU), (3.0, Place::Thread)] {
            let single = |place, ms| {
                let cell = examples::cell(place, ms);
                Cell::new(place, 1, cell.cold, cell.runs[..1].to_vec())
            };
            rows[0].cells = vec![single(Place::Thread, 4.0), single(GPU, ms)];
            assert_eq!(Choice::of(&rows, &[]).sizes[0].place, expected, "{ms}");
        }
    }

    #[test]
    fn what_waking_a_thread_takes_is_no_reason_and_what_only_ties_is_not_used_on() {
        // 6 us of 36: surely, and yet nothing. Then 60 of 360.
        let found = choice(&[(10, [0.036, 0.030, 9.0, 9.0]), (100, [0.36, 0.30, 9.0, 9.0])]);
        let places: Vec<Place> = found.sizes.iter().map(|size| size.place).collect();
        assert_eq!(places, [Place::Thread, Place::Cpu]);
        assert_eq!(found.sizes[0].ties, [Place::Cpu]);
        // All threads beat one, and tie with a GPU; further on all three tie.
        let found = choice(&[(10, [8.0, 4.0, 4.0, 9.0]), (100, [8.0, 8.0, 8.0, 90.0])]);
        let places: Vec<Place> = found.sizes.iter().map(|size| size.place).collect();
        assert_eq!(places, [Place::Cpu, Place::Thread]);
    }

    #[test]
    fn a_place_that_is_worth_it_in_between_alone_has_its_own_part() {
        let found =
            choice(&[(10, [1.0, 2.0, 9.0, 9.0]), (100, [9.0, 4.0, 9.0, 9.0]), (1000, [20.0, 40.0, 90.0, 90.0])]);
        let places: Vec<Place> = found.segments.iter().map(|segment| segment.place).collect();
        assert_eq!(places, [Place::Thread, Place::Cpu, Place::Thread]);
        assert!(found.unused.iter().all(|unused| unused.is_slower) && found.unused.len() == 2, "{found:?}");
    }

    #[test]
    fn where_places_tie_the_one_of_the_size_before_is_used_on_and_nothing_is_said_twice() {
        let found = choice(&[
            (10, [1.0, 2.0, 9.0, 9.0]),
            (100, [9.0, 4.0, 9.0, 9.0]),
            (1000, [40.0, 40.0, 90.0, 90.0]),
            (10_000, [100.0, 200.0, 900.0, 900.0]),
        ]);
        let places: Vec<Place> = found.sizes.iter().map(|size| size.place).collect();
        assert_eq!(places, [Place::Thread, Place::Cpu, Place::Cpu, Place::Thread]);
        assert_eq!(found.sizes[2].ties, [Place::Thread]);
        let said: Vec<_> = found.because.iter().map(|why| (why.units, why.other)).collect();
        assert!(said.iter().enumerate().all(|(at, why)| !said[..at].contains(why)), "{said:?}");
        assert!(said.contains(&(100, (Place::Thread, 1))), "what it gains where it is sure: {said:?}");
    }

    #[test]
    fn where_medians_cross_before_it_is_sure_the_choice_changes_in_the_middle() {
        // All threads are faster by 3 % at the smaller size already, which is not worth it.
        let found = choice(&[(100, [1.03, 1.0, 9.0, 9.0]), (10_000, [40.0, 10.0, 90.0, 90.0])]);
        assert_eq!(used(&found), [(Place::Thread, None), (Place::Cpu, Some(1000))]);
    }

    #[test]
    fn a_single_place_leaves_nothing_to_choose() {
        let rows = [examples::row("stats", "f32", 10, &[(Place::Thread, 1.0)])];
        assert_eq!(Choice::of(&rows, &[]), Choice::default());
        assert!(Choice::of(&[examples::row("factor", "u64", 10, &[(Place::Thread, 1.0)])], &[]).is_of_jobs);
    }
}
