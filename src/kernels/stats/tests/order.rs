//! Cells of bins and selections, on every instruction set, against searches by key and sorted values.

use super::*;
use crate::kernels::stats::number::Number;
use crate::random::SplitMix64;

fn next_pass(kernel: &StatsKernel, pass: &StatsPass) -> Option<StatsPass> {
    let mut scratch = Scratch::default();
    let mut context = FoldContext { isa: Isa::Portable, scratch: &mut scratch };
    let partial = kernel.fold(pass, 0..kernel.work().units, &mut context).unwrap();
    match kernel.next(pass, partial).unwrap() {
        Next::Pass(pass) => Some(pass),
        Next::Done(_) => None,
    }
}

/// Checks the cell of each value, and of its neighbours, by a search among the starts. Values on edges are added.
#[track_caller]
fn check_cells<T: Number>(values: &[T], histogram: &str, missing: Option<&str>) {
    let asked = request("", Some(histogram), missing, 1);
    let edges = |values: &[T]| -> Option<StatsPass> {
        let kernel = StatsKernel::of_values(values.to_vec(), asked.clone()).unwrap();
        let pass = kernel.first_pass().unwrap();
        if pass.columns[0].bins.is_some() { Some(pass) } else { next_pass(&kernel, &pass) }
    };
    let mut values = values.to_vec();
    let bins = edges(&values).and_then(|pass| pass.columns[0].bins.clone()).expect("a pass that bins");
    let automatic = asked.histogram.unwrap().range().is_none();
    for start in bins.starts.iter().filter(|start| !automatic || **start > 0) {
        values.extend(
            [start.saturating_sub(1), *start, start.saturating_add(1).min(T::LAYOUT.max_key())].map(T::from_key),
        );
    }
    // Often enough for several tables, and so that tables do not begin with the same value each time.
    let times = 1 + 5 * (bins.starts.len() + 2) / values.len();
    let mut values = values.repeat(times);
    values.truncate(values.len() - values.len() % 7 + 3);
    let pass = edges(&values).unwrap();
    let kernel = StatsKernel::of_values(values.clone(), asked.clone()).unwrap();
    let bins = pass.columns[0].bins.as_ref().unwrap();
    let mut expected = vec![0u64; bins.table_len()];
    let (least, greatest) = T::LAYOUT.valid_keys;
    for key in values.iter().map(|value| value.key()).filter(|key| (least..=greatest).contains(key)) {
        if !kernel.missing_keys().is_some_and(|(lo, hi)| (lo..=hi).contains(&key)) {
            expected[bins.starts.partition_point(|start| *start <= key)] += 1;
        }
    }
    for isa in every_isa() {
        let mut scratch = Scratch::default();
        let mut context = FoldContext { isa, scratch: &mut scratch };
        let partial = kernel.fold(&pass, 0..values.len() as u64, &mut context).unwrap();
        assert!(partial.columns[0].bins == expected, "{histogram} of {} on {}", T::DTYPE, isa.name());
    }
}

#[test]
fn every_float_is_in_the_cell_that_its_key_says() {
    let special = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 5e-324, f64::MAX, f64::MIN];
    for range in [
        "1000:0..1",
        "1000:-1..1",
        "7:-0.3..0.1",
        "1:0..1",
        "1000:1e300..1.1e300",
        "1000:-1e308..1e308",
        "10:-1.7e308..1.7e308",
        "1000:0..1e-310",
        "1000:0..1e-300",
        "3:1e8..100000001",
        "1000:1e15..1000000000001000",
        "1000:1000000..1000000.0001",
        "5000:0..1",
        "100:-9.3e18..9.3e18",
    ] {
        let asked: Histogram = range.parse().unwrap();
        let (lo, hi) = asked.range().unwrap();
        let within =
            (0..4000).map(|i| lo + (hi / 2.0 - lo / 2.0) * ((SplitMix64::at(i) >> 11) as f64 / (1u64 << 52) as f64));
        let values: Vec<f64> = within.chain(special).collect();
        check_cells(&values, range, None);
        check_cells(&values, range, Some("0"));
        check_cells(&values.iter().map(|value| *value as f32).collect::<Vec<_>>(), range, None);
        check_cells(&values.iter().map(|value| *value as f32).collect::<Vec<_>>(), range, Some("0"));
        check_cells(&values.iter().map(|value| *value as i64).collect::<Vec<_>>(), range, Some("1"));
        check_cells(&values.iter().map(|value| *value as u64).collect::<Vec<_>>(), range, None);
        check_cells(&values.iter().map(|value| *value as i32).collect::<Vec<_>>(), range, Some("0"));
        check_cells(&values.iter().map(|value| *value as u32).collect::<Vec<_>>(), range, None);
    }
}

#[test]
fn automatic_ranges_hold_their_ends_in_the_outer_cells() {
    let bits = |i: u64| SplitMix64::at(i);
    check_cells(&(0..5000).map(|i| bits(i) as i64).collect::<Vec<_>>(), "1000", None);
    check_cells(&(0..5000).map(bits).collect::<Vec<_>>(), "999", Some("3"));
    check_cells(&(0..5000).map(|i| bits(i) as i32).collect::<Vec<_>>(), "10", None);
    check_cells(&(0..5000).map(|i| (bits(i) % 50) as u32).collect::<Vec<_>>(), "1000", Some("0"));
    check_cells(&(0..5000).map(|i| (bits(i) % 1001) as f64).collect::<Vec<_>>(), "1000", None);
    check_cells(&(0..5000).map(|i| (bits(i) >> 11) as f64 * 1e-320).collect::<Vec<_>>(), "100", None);
    check_cells(&(0..5000).map(|i| (bits(i) >> 40) as f32).collect::<Vec<_>>(), "1000", None);
    check_cells(&[i64::MIN, i64::MAX, 0, -1], "1000", None);
    check_cells(&[u64::MAX, 0], "3", None);
}

/// Checks quantiles against sorted values on every instruction set, and gives how many passes they took.
#[track_caller]
fn check_selection<T: Tested>(name: &str, values: &[T], missing: Option<&str>) -> usize {
    let asked = request("0 0.01 0.25 0.5 0.75 0.99 1 1e-6", None, missing, 1);
    let kernel = StatsKernel::of_values(values.to_vec(), asked.clone()).unwrap();
    let (least, greatest) = T::LAYOUT.valid_keys;
    let mut keys: Vec<u64> = values.iter().map(|value| value.key()).collect();
    keys.retain(|key| {
        (least..=greatest).contains(key) && !kernel.missing_keys().is_some_and(|(lo, hi)| (lo..=hi).contains(key))
    });
    keys.sort_unstable();
    let sorted: Vec<Scalar> = keys.into_iter().map(|key| T::from_key(key).scalar()).collect();
    let len = values.len() as u64;
    for isa in every_isa() {
        let answer = run_cut(&kernel, isa, &[len / 3, len / 2], 5).unwrap();
        for (asked, answered) in asked.quantiles.iter().zip(&answer.columns[0].quantiles) {
            check_quantile(&sorted, asked, answered);
        }
        assert_eq!(answer.columns[0].quantiles.len(), 8, "{name}");
    }
    let mut pass = kernel.first_pass().unwrap();
    let mut passes = 1;
    while let Some(next) = next_pass(&kernel, &pass) {
        (pass, passes) = (next, passes + 1);
    }
    passes
}

#[test]
fn quantiles_of_long_columns_take_two_passes_and_are_those_of_the_sorted_values() {
    const LEN: u64 = (1 << 17) + 4321;
    let uniform = |i: u64| (SplitMix64::at(i) >> 11) as f64 / (1u64 << 53) as f64;
    let passes = |name: &str, value: &dyn Fn(u64) -> f64| {
        let values: Vec<f64> = (0..LEN).map(value).collect();
        let narrow: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        check_selection(name, &narrow, Some("0"));
        check_selection(name, &values, None)
    };
    assert!(passes("uniform", &uniform) <= 2);
    assert!(passes("in order", &|i| i as f64) <= 2);
    assert!(passes("about zero", &|i| (uniform(i) - 0.5) * (uniform(i + LEN) * 600.0).exp()) <= 2);
    assert_eq!(passes("few", &|i| (i % 3) as f64), 1);
    passes("some are none", &|i| if i % 3 == 0 { f64::NAN } else { uniform(i) });
    passes("infinities", &|i| [f64::INFINITY, f64::NEG_INFINITY, uniform(i), -0.0][i as usize % 4]);
    check_selection("zeros", &(0..LEN).map(|i| (i % 2) as u32).collect::<Vec<_>>(), None);
    check_selection("zeros missing", &(0..LEN).map(|i| SplitMix64::at(i) % 5).collect::<Vec<_>>(), Some("0"));
    check_selection("least", &(0..LEN).map(|i| i64::MIN + (i % 4) as i64).collect::<Vec<_>>(), None);
    check_selection("any", &(0..LEN).map(|i| SplitMix64::at(i) as i32).collect::<Vec<_>>(), Some("7"));
}

#[test]
fn a_sample_that_misleads_costs_passes_and_nothing_else() {
    const LEN: u64 = 1 << 17;
    // Of its 64 runs of 32 elements, each in the middle of its share of the rows, nothing is like the rest.
    let value = |i: u64| {
        let sampled = (i + LEN / 128) % (LEN / 64) < 32;
        if sampled { 1e9 + (i % 100) as f64 } else { (SplitMix64::at(i) >> 11) as f64 }
    };
    assert!(check_selection("misleading", &(0..LEN).map(value).collect::<Vec<f64>>(), None) > 2);
}

#[test]
fn more_quantiles_than_are_bracketed_are_those_of_the_sorted_values() {
    let values: Vec<f64> = (0..150_000).map(|i| (SplitMix64::at(i) >> 11) as f64).collect();
    let many: Vec<String> = (1..40).map(|i| format!("0.{i:03}7")).collect();
    let asked = request(&many.join(" "), None, None, 1);
    let kernel = StatsKernel::of_values(values.clone(), asked.clone()).unwrap();
    let mut sorted: Vec<Scalar> = values.into_iter().map(Scalar::F64).collect();
    sorted.sort_by(|a, b| order(*a, *b));
    let answer = run_cut(&kernel, Isa::detect(), &[70_000], 1).unwrap();
    for (asked, answered) in asked.quantiles.iter().zip(&answer.columns[0].quantiles) {
        check_quantile(&sorted, asked, answered);
    }
}

#[test]
fn listed_keys_and_counted_ones_merge_to_the_same_counts() {
    let values: Vec<f64> = (0..3000).map(|i| (SplitMix64::at(i) % 500) as f64).collect();
    let kernel = StatsKernel::of_values(values, request("0.3 0.5", None, None, 1)).unwrap();
    let pass = kernel.first_pass().unwrap();
    let mut scratch = Scratch::default();
    let mut fold = |units| {
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut scratch };
        kernel.fold(&pass, units, &mut context).unwrap()
    };
    let counted = |mut partial: StatsPartial| {
        let digits = std::mem::replace(&mut partial.columns[0].digits, DigitCounts::Counted(Vec::new()));
        assert!(matches!(digits, DigitCounts::Listed(..)));
        partial.columns[0].digits = DigitCounts::Counted(digits.into_table());
        partial
    };
    let whole = counted(fold(0..3000));
    let (first, second) = (fold(0..1000), fold(1000..3000));
    for (a, b) in [(counted(first.clone()), second.clone()), (first, counted(second))] {
        let mut merged = a;
        kernel.merge(&mut merged, b);
        assert_eq!(merged, whole);
    }
    assert_ne!(counted(fold(0..2999)), whole);
}
