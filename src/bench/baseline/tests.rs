use super::*;
use crate::bench::Sizes;
use crate::bench::testing::Random;
use crate::bench::{Cell, Run, examples};

/// A report of 40 times with noise of a few per cent, lopsided, and now and then a run far off.
fn noisy(random: &mut Random, runs: usize, factor: &dyn Fn(usize) -> f64) -> Report {
    let mut report = examples::report();
    report.files.clear();
    report.rows = (0..40)
        .map(|at| {
            let mut row = examples::row("k", &format!("v{at}"), 1000, &[]);
            let mut run = || {
                let stray = if random.unit() < 0.02 { 2.0 } else { 1.0 };
                Run { ms: 10.0 * factor(at) * (0.98 + 0.02 * random.timing(0.0)) * stray, ..Run::default() }
            };
            let cold = run();
            let runs = (0..runs).map(|_| run()).collect();
            row.cells = vec![Cell::new(Place::Thread, 1, cold, runs)];
            row
        })
        .collect();
    report
}

#[test]
fn the_same_program_is_hardly_ever_accused() {
    let seed = 11;
    let mut random = Random::new(seed);
    let (mut significant, mut regressed) = (0, 0);
    for _ in 0..200 {
        let (old, new) = (noisy(&mut random, 10, &|_| 1.0), noisy(&mut random, 10, &|_| 1.0));
        // Even where no slowdown is allowed, so that the test alone has to hold.
        let found = Comparison::of(&old, &new, 0.0).unwrap();
        significant += usize::from(found.regressions() > 0);
        regressed += Comparison::of(&old, &new, 0.1).unwrap().regressions();
    }
    assert!(significant <= 16, "{significant} of 200 comparisons of 40 times (seed {seed})");
    assert_eq!(regressed, 0, "seed {seed}");
}

#[test]
fn what_is_a_fifth_slower_is_found_and_nothing_else() {
    let seed = 12;
    let mut random = Random::new(seed);
    let old = noisy(&mut random, 10, &|_| 1.0);
    let new = noisy(&mut random, 10, &|at| if at % 10 == 3 { 1.2 } else { 1.0 });
    let found = Comparison::of(&old, &new, 0.1).unwrap();
    let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
    let variants: Vec<&str> = regressed.map(|row| row.key.variant.as_str()).collect();
    assert_eq!(variants, ["v3", "v13", "v23", "v33"], "seed {seed}");
    let allowed = Comparison::of(&old, &new, 0.3).unwrap();
    assert_eq!(allowed.regressions(), 0, "as much as that is allowed");
    assert_eq!(allowed.compared.iter().filter(|row| row.change == Change::SlowerWithin).count(), 4);
    let back = Comparison::of(&new, &old, 0.1).unwrap();
    assert_eq!(back.compared.iter().filter(|row| row.change == Change::Faster).count(), 4);
}

/// `report` with probes of one thread, whose times arithmetic bounds: so many times as fast as they were, before and after.
fn with_ceilings(mut report: Report, memory: f64, operations: f64) -> Report {
    report.ceilings = vec![crate::bench::Ceiling {
        place: Place::Thread,
        read_bytes_per_s: Some(1e10 * memory),
        upload_bytes_per_s: None,
        operations_per_s: Some(1e9 * operations),
    }];
    report.ceilings_after = report.ceilings.clone();
    for cell in report.rows.iter_mut().flat_map(|row| &mut row.cells) {
        cell.limit = Some(crate::bench::Limit {
            bound: Bound::Operations,
            share: 0.4,
            operations_per_byte: None,
            used: Default::default(),
        });
    }
    report
}

#[test]
fn a_machine_that_is_slower_on_one_of_the_days_accuses_nobody_and_hides_nobody() {
    let seed = 14;
    let mut random = Random::new(seed);
    let old = with_ceilings(noisy(&mut random, 10, &|_| 1.0), 1.0, 1.0);
    let factor = |at: usize| if at % 10 == 3 { 1.2 * 1.2 } else { 1.2 };
    let timed = noisy(&mut random, 10, &factor);
    let of = |found: &Comparison, change| found.compared.iter().filter(|row| row.change == change).count();
    // The probe is slower by as much.
    let found = Comparison::of(&old, &with_ceilings(timed.clone(), 1.0, 1.0 / 1.2), 0.1).unwrap();
    let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
    let variants: Vec<&str> = regressed.map(|row| row.key.variant.as_str()).collect();
    assert_eq!(variants, ["v3", "v13", "v23", "v33"], "seed {seed}");
    assert!(of(&found, Change::AsMachine) > 30, "seed {seed}: {found:?}");
    let shift = found.shifts[0];
    assert!(shift.is_worth_telling() && (shift.machine_ratio() - 1.2).abs() < 0.02, "{shift:?}");
    // The probe is as fast as it was: then all of them are slower, and that is the program. So it is where memory alone is slower.
    for memory in [1.0, 1.0 / 1.5] {
        let found = Comparison::of(&old, &with_ceilings(timed.clone(), memory, 1.0), 0.1).unwrap();
        assert_eq!(of(&found, Change::Regressed), 40, "seed {seed}");
    }
    // What takes a hundredth of the time does not bound it.
    let mut unbound = with_ceilings(timed, 1.0, 1.0 / 1.2);
    for limit in unbound.rows.iter_mut().flat_map(|row| &mut row.cells).filter_map(|cell| cell.limit.as_mut()) {
        limit.share = 0.01;
    }
    assert_eq!(of(&Comparison::of(&old, &unbound, 0.1).unwrap(), Change::Regressed), 40, "seed {seed}");
    // Then the baseline is the slow one: nothing is faster but by what it gains beyond that.
    let fast = with_ceilings(noisy(&mut random, 10, &|_| 1.0), 1.0, 1.0);
    let slow = with_ceilings(noisy(&mut random, 10, &factor), 1.0, 1.0 / 1.2);
    assert_eq!(of(&Comparison::of(&slow, &fast, 0.1).unwrap(), Change::Faster), 4, "seed {seed}");
}

#[test]
fn what_waking_a_thread_takes_is_no_regression() {
    let mut random = Random::new(15);
    let short = |report: Report| {
        let mut report = report;
        let runs = report.rows.iter_mut().flat_map(|row| &mut row.cells).flat_map(|cell| &mut cell.runs);
        runs.for_each(|run| run.ms /= 200.0);
        report
    };
    let (old, new) = (noisy(&mut random, 10, &|_| 1.0), noisy(&mut random, 10, &|_| 1.3));
    assert_eq!(Comparison::of(&old, &new, 0.1).unwrap().regressions(), 40, "10 ms and 13 ms");
    let found = Comparison::of(&short(old.clone()), &short(new), 0.1).unwrap();
    assert_eq!(found.regressions(), 0, "50 us and 65 us");
    assert!(found.compared.iter().all(|row| row.change == Change::SlowerWithin), "{found:?}");
    let twice = short(noisy(&mut random, 10, &|_| 2.0));
    assert_eq!(Comparison::of(&short(old.clone()), &twice, 0.1).unwrap().regressions(), 40, "50 us and 100 us");
    // Several threads may have shared one CPU in all runs of one session, and in none of the other.
    let on_two = |mut report: Report| {
        report
            .rows
            .iter_mut()
            .flat_map(|row| &mut row.cells)
            .for_each(|cell| (cell.place, cell.lanes) = (Place::Cpu, 2));
        report
    };
    let found = Comparison::of(&on_two(short(old.clone())), &on_two(twice), 0.1).unwrap();
    assert!(found.compared.iter().all(|row| row.change == Change::SlowerWithin), "50 us and 100 us on two: {found:?}");
    let long = on_two(noisy(&mut random, 10, &|_| 1.3));
    assert_eq!(Comparison::of(&on_two(old), &long, 0.1).unwrap().regressions(), 40, "10 ms and 13 ms on two threads");
}

#[test]
fn what_has_nothing_in_common_is_known_before_anything_is_measured() {
    let report = examples::report();
    let places = &[(Place::Cpu, 8)];
    let scope = Scope { kinds: &["stats"], sizes: &Sizes::Growing, places, in_places_only: false, files: &[] };
    assert!(scope.meets(&report));
    let (there, elsewhere) = (Sizes::parse("7,1e4").unwrap(), Sizes::parse("7").unwrap());
    assert!(Scope { sizes: &there, ..scope }.meets(&report));
    assert!(!Scope { sizes: &elsewhere, ..scope }.meets(&report));
    assert!(!Scope { kinds: &["primes"], ..scope }.meets(&report));
    assert!(!Scope { places: &[(Place::Cpu, 4), (Place::Gpu(1), 1)], ..scope }.meets(&report));
    assert!(Scope { places: &[], files: &[("jobs.jsonl", 5)], ..scope }.meets(&report));
    assert!(!Scope { places: &[], files: &[("jobs.jsonl", 6)], ..scope }.meets(&report), "another file of that name");
}

#[test]
fn what_was_asked_for_and_has_no_partner_is_known() {
    let reports = [examples::report()];
    let places = &[(Place::Cpu, 8)];
    let files: &[(&str, u64)] = &[("jobs.jsonl", 5), ("others.jsonl", 5)];
    let scope = Scope { kinds: &["stats", "primes"], sizes: &Sizes::Growing, places, in_places_only: false, files };
    assert_eq!(scope.without_partner(&reports), ["primes", "others.jsonl"]);
    assert!(Scope { kinds: &["stats"], files: &files[..1], ..scope }.without_partner(&reports).is_empty());
    let other_threads = &[(Place::Cpu, 4)];
    assert_eq!(Scope { places: other_threads, files: &[], ..scope }.without_partner(&reports), ["stats", "primes"]);
    // What the baseline has beyond that: a GPU that is gone was asked for where all places were.
    let key = |place, units| Key { kind: "stats".into(), variant: "f32".into(), units, at: At::Place(place, 1) };
    assert!(scope.asks_for(&key(Place::Gpu(0), 7)));
    assert!(!Scope { in_places_only: true, ..scope }.asks_for(&key(Place::Gpu(0), 7)));
    let sizes = Sizes::parse("7").unwrap();
    assert!(!Scope { sizes: &sizes, ..scope }.asks_for(&key(Place::Gpu(0), 8)));
}

/// Times of two threads on two CPUs while others want so many, each `factor` times as long as `ms`.
fn beside_others(random: &mut Random, others: f64, ms: f64, factor: &dyn Fn(usize) -> f64) -> Report {
    let mut report = noisy(random, 10, &|at| ms / 10.0 * factor(at));
    report.machine.cpus = Some(2);
    for row in &mut report.rows {
        row.others_busy_cpus = Some(others);
        row.cells.iter_mut().for_each(|cell| (cell.place, cell.lanes) = (Place::Cpu, 2));
    }
    report
}

#[test]
fn nothing_is_accused_where_others_take_turns_that_are_longer_than_the_job_or_slow_down_all_of_a_place() {
    let seed = 26;
    let mut random = Random::new(seed);
    let of = |found: &Comparison, change| found.compared.iter().filter(|row| row.change == change).count();
    // Two others on two CPUs: a job of a third of a millisecond waits for their turns.
    let old = beside_others(&mut random, 0.0, 0.3, &|_| 1.0);
    let some = |by: f64| move |at: usize| if at.is_multiple_of(2) { by } else { 1.0 };
    let found = Comparison::of(&old, &beside_others(&mut random, 2.0, 0.3, &some(8.3)), 0.1).unwrap();
    assert_eq!((of(&found, Change::Regressed), of(&found, Change::Busy)), (0, 20), "seed {seed}");
    assert!(found.is_too_busy_to_tell());
    let quiet = Comparison::of(&old, &beside_others(&mut random, 0.0, 0.3, &some(8.3)), 0.1).unwrap();
    assert_eq!((of(&quiet, Change::Regressed), quiet.is_too_busy_to_tell()), (20, false), "seed {seed}");
    // All of a place are 4.3 times as long, which no fair share explains; what is slower by more than that is found.
    let old = beside_others(&mut random, 0.0, 10.0, &|_| 1.0);
    let all = |at: usize| if at == 3 { 4.3 * 3.0 } else { 4.3 };
    let found = Comparison::of(&old, &beside_others(&mut random, 2.0, 10.0, &all), 0.1).unwrap();
    assert_eq!((of(&found, Change::Regressed), of(&found, Change::Busy)), (1, 39), "seed {seed}");
    // No others make it fifty times as long.
    let far = Comparison::of(&old, &beside_others(&mut random, 2.0, 10.0, &|_| 50.0), 0.1).unwrap();
    assert_eq!(of(&far, Change::Regressed), 40, "seed {seed}");
    let quiet = Comparison::of(&old, &beside_others(&mut random, 0.0, 10.0, &all), 0.1).unwrap();
    assert_eq!(of(&quiet, Change::Regressed), 40, "with nobody at work it is the program (seed {seed})");
}

#[test]
fn too_few_runs_are_said_to_be_too_few() {
    let mut random = Random::new(13);
    let (old, new) = (noisy(&mut random, 3, &|_| 1.0), noisy(&mut random, 3, &|_| 2.0));
    let found = Comparison::of(&old, &new, 0.1).unwrap();
    assert!(found.compared.iter().filter(|row| row.change == Change::TooFewRuns).count() > 30);
    assert!((clearest_p(3, 3) - 0.05).abs() < 1e-12);
}

#[test]
fn what_only_one_has_and_what_differs_between_machines_is_told() {
    let (old, mut new) = (examples::report(), examples::report());
    new.rows.remove(0);
    new.rows[0].cells.remove(0);
    new.rows[0].units = 7;
    new.machine.devices[0].name = "Another".to_owned();
    new.optimised = false;
    let found = Comparison::of(&old, &new, 0.1).unwrap();
    assert_eq!((found.compared.len(), found.only_old.len(), found.only_new.len()), (3, 6, 2), "{found:?}");
    assert!(found.warnings[0].contains("`A CPU` then, `Another` now") && found.warnings.len() == 2, "{found:?}");
    new.files.clear();
    assert_eq!(Comparison::of(&old, &new, 0.1), Err(Incomparable::NothingInCommon));
    let stranger = Report { schema: 99, ..examples::report() };
    assert_eq!(Comparison::of(&stranger, &new, 0.1), Err(Incomparable::Schema { found: 99 }));
}

/// A machine of two CPUs from session to session, as this module takes it to be: what moves all times of a round together, what moves those
/// of a row, and others who want CPUs.
struct World {
    /// How far rounds, and rows in a round, lie apart: the deviation of the logarithm of their factors.
    apart: [f64; 2],
    /// Others want between so many CPUs.
    others: [f64; 2],
}

const QUIET: World = World { apart: [0.015, 0.015], others: [0.0, 0.0] };
const BUSY: World = World { apart: [0.05, 0.06], others: [0.5, 6.0] };

fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

impl World {
    fn others(&self, random: &mut Random) -> f64 {
        self.others[0] + (self.others[1] - self.others[0]) * random.unit()
    }

    /// A round of two threads on two CPUs with twenty runs of each, while others want so many; how many they want is known to half a CPU.
    fn round(&self, random: &mut Random, others: f64, factor: &dyn Fn(usize) -> f64) -> Report {
        let shares = ((2.0 + others) / 2.0).max(1.0) * (self.apart[0] * normal(random)).exp();
        let rows: Vec<f64> = (0..40).map(|_| (self.apart[1] * normal(random)).exp()).collect();
        let mut report = noisy(random, 20, &|at| shares * rows[at] * factor(at));
        report.machine.cpus = Some(2);
        for row in &mut report.rows {
            let seen = others + if others > 0.0 { random.unit() - 0.5 } else { 0.0 };
            row.others_busy_cpus = Some(seen.max(0.0));
            row.cells.iter_mut().for_each(|cell| (cell.place, cell.lanes) = (Place::Cpu, 2));
        }
        report
    }

    /// A session against another: at first, and with a second round of what seems slower, in which others want nearly as much.
    fn compared(&self, random: &mut Random, factor: &dyn Fn(usize) -> f64) -> [Comparison; 2] {
        let (then, now) = (self.others(random), self.others(random));
        let old = self.round(random, then, &|_| 1.0);
        let mut new = self.round(random, now, factor);
        let first = Comparison::of(&old, &new, 0.1).unwrap();
        let again = (now + random.unit() - 0.5).clamp(self.others[0], self.others[1]);
        let again = self.round(random, again, factor);
        let is_suspect = |row: &&crate::bench::Row| first.suspects().any(|key| key.variant == row.variant);
        new.again.rows = again.rows.iter().filter(is_suspect).cloned().collect();
        let second = Comparison::of(&old, &new, 0.1).unwrap();
        [first, second]
    }
}

/// Of 100 comparisons of 40 times, those with a false alarm: by medians and runs alone, as though nobody had been there; at first;
/// and with a second round.
fn alarms(world: &World, seed: u64) -> [usize; 3] {
    let mut random = Random::new(seed);
    let mut alarms = [0; 3];
    for _ in 0..100 {
        let (then, now) = (world.others(&mut random), world.others(&mut random));
        let [old, new] = [then, now].map(|others| {
            let mut report = world.round(&mut random, others, &|_| 1.0);
            report.rows.iter_mut().for_each(|row| row.others_busy_cpus = None);
            report
        });
        alarms[0] += usize::from(Comparison::of(&old, &new, 0.1).unwrap().regressions() > 0);
        for (alarms, found) in alarms[1..].iter_mut().zip(world.compared(&mut random, &|_| 1.0)) {
            *alarms += usize::from(found.regressions() > 0);
        }
    }
    alarms
}

#[test]
fn sessions_that_differ_as_a_whole_accuse_the_program_in_one_comparison_of_twenty_at_most() {
    let seed = 21;
    let [blind, first, second] = alarms(&BUSY, seed);
    assert!(blind > 40, "the machine is as noisy as it is meant to be: {blind} of 100 (seed {seed})");
    assert!(second <= 5 && second <= first, "busy: {first}, then {second} of 100 comparisons (seed {seed})");
    let [_, first, second] = alarms(&QUIET, seed);
    assert!(second <= 1, "quiet: {first}, then {second} of 100 comparisons (seed {seed})");
}

#[test]
fn what_is_slower_by_three_tenths_on_a_quiet_machine_is_always_found_and_what_is_twice_as_slow_on_a_busy_one_mostly() {
    let seed = 22;
    let mut random = Random::new(seed);
    let slower = |by: f64| move |at: usize| if at % 10 == 3 { by } else { 1.0 };
    let mut found = [0; 2];
    for _ in 0..100 {
        found[0] += QUIET.compared(&mut random, &slower(1.3))[1].regressions();
        found[1] += BUSY.compared(&mut random, &slower(2.0))[1].regressions();
    }
    assert_eq!(found[0], 400, "seed {seed}");
    assert!(found[1] > 200, "{} of 400 (seed {seed})", found[1]);
}

#[test]
fn what_is_not_found_again_has_not_regressed() {
    let mut random = Random::new(23);
    let old = noisy(&mut random, 10, &|_| 1.0);
    let mut new = noisy(&mut random, 10, &|at| if at % 10 == 3 { 1.3 } else { 1.0 });
    let first = Comparison::of(&old, &new, 0.1).unwrap();
    assert_eq!(first.suspects().count(), 4);
    let is_suspect = |row: &&crate::bench::Row| first.suspects().any(|key| key.variant == row.variant);
    let again = noisy(&mut random, 10, &|at| if at == 3 { 1.3 } else { 1.0 });
    new.again.rows = again.rows.iter().filter(is_suspect).cloned().collect();
    let found = Comparison::of(&old, &new, 0.1).unwrap();
    let of = |change| found.compared.iter().filter(|row| row.change == change).count();
    assert_eq!((of(Change::Regressed), of(Change::NotAgain), found.suspects().count()), (1, 3, 0));
    // As many as there are threads for, and one who works beside them: a little more is theirs.
    new.again.rows.clear();
    for row in &mut new.rows {
        row.others_busy_cpus = Some(8.0);
    }
    let found = Comparison::of(&old, &new, 0.1).unwrap();
    assert_eq!(found.compared.iter().filter(|row| row.change == Change::Busy).count(), 4, "{found:?}");
}

#[test]
fn against_two_baselines_only_what_both_accuse_has_regressed() {
    let mut random = Random::new(24);
    let usual = noisy(&mut random, 10, &|_| 1.0);
    let disturbed = noisy(&mut random, 10, &|at| if at < 10 { 1.3 } else { 1.0 });
    let new = noisy(&mut random, 10, &|at| if at % 10 == 3 || at < 10 { 1.3 } else { 1.0 });
    let regressed = |found: &Comparison| {
        let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
        regressed.map(|row| row.key.variant.clone()).collect::<Vec<_>>()
    };
    let one = Comparison::of_each(std::slice::from_ref(&usual), &new, 0.1).unwrap();
    assert_eq!(regressed(&one).len(), 13);
    for olds in [[usual.clone(), disturbed.clone()], [disturbed.clone(), usual.clone()]] {
        let both = Comparison::of_each(&olds, &new, 0.1).unwrap();
        assert_eq!((regressed(&both), both.compared.len()), (["v13", "v23", "v33"].map(str::to_owned).to_vec(), 40));
    }
    // Slower than one, faster than the other.
    let slow = noisy(&mut random, 10, &|_| 2.0);
    let between = Comparison::of_each(&[usual, slow], &disturbed, 0.1).unwrap();
    assert!(between.compared.iter().all(|row| row.change != Change::Regressed && row.change != Change::Faster));
    assert_eq!(Comparison::of_each(&[], &new, 0.1), Err(Incomparable::NothingInCommon));
}

#[test]
fn where_others_were_at_work_the_least_of_the_runs_has_to_be_slower_too() {
    let mut random = Random::new(25);
    let mut old = noisy(&mut random, 20, &|_| 1.0);
    let mut new = old.clone();
    for (at, row) in new.rows.iter_mut().step_by(2).enumerate() {
        // All runs but two of half of the rows are three times as long; of half of these, those two as well.
        let all = if at.is_multiple_of(2) { 0 } else { 2 };
        row.cells[0].runs.iter_mut().skip(all).for_each(|run| run.ms *= 3.0);
    }
    let regressed = |old: &Report, new: &Report| Comparison::of(old, new, 0.1).unwrap().regressions();
    assert_eq!(regressed(&old, &new), 20, "with nobody at work");
    for report in [&mut old, &mut new] {
        report.rows.iter_mut().for_each(|row| row.others_busy_cpus = Some(12.0));
    }
    assert_eq!(regressed(&old, &new), 10);
}
