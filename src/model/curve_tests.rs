use proptest::prelude::*;

use super::*;

fn taught(runs: &[(u64, f64)]) -> Curve {
    let mut curve = Curve::default();
    for &(units, ms) in runs {
        curve.learn(units, ms, false);
    }
    curve
}

fn ms(curve: &Curve, units: u64) -> f64 {
    curve.predict(units, at_most(0.0)).unwrap().ms
}

/// That at most so much of a time is latency, and the rest next to nothing.
fn at_most(fixed_ms_max: f64) -> Belief {
    Belief::growing(fixed_ms_max, 0.0)
}

#[track_caller]
fn close(actual: f64, expected: f64, within: f64) {
    assert!((actual / expected - 1.0).abs() <= within, "{actual} is not within {within} of {expected}");
}

#[test]
fn nothing_learned_predicts_nothing() {
    assert_eq!(Curve::default().predict(10, at_most(0.0)), None);
}

#[test]
fn one_outlier_changes_little() {
    for outlier in [0.001, 1000.0] {
        for place in 0..9 {
            let mut curve = Curve::default();
            for i in 0..9 {
                curve.learn(1000, if i == place { 10.0 * outlier } else { 10.0 }, false);
            }
            close(ms(&curve, 1000), 10.0, 0.05);
        }
    }
}

#[test]
fn an_outlier_at_a_size_of_its_own_is_outvoted_by_its_neighbours() {
    let mut curve = taught(&[(1000, 10.0), (1200, 12.0), (1700, 17.0), (2000, 20.0)]);
    curve.learn(1440, 1440.0, false);
    close(ms(&curve, 1440), 14.4, 0.25);
}

#[test]
fn between_sizes_it_interpolates_and_beyond_them_it_extends_the_line() {
    // 1 ms and 1 ns a unit.
    let time = |units: u64| 1.0 + units as f64 / 1e6;
    let mut curve = Curve::default();
    for shift in (8..26).step_by(3) {
        curve.learn(1 << shift, time(1 << shift), false);
    }
    for units in [1, 300, 3_000, 100_000, 3_000_000, 20_000_000, 1 << 30] {
        close(ms(&curve, units), time(units), 0.12);
    }
}

#[test]
fn one_size_alone_is_extended_by_the_latency_that_is_believed() {
    let curve = taught(&[(1000, 1.2)]);
    close(curve.predict(100_000, at_most(0.2)).unwrap().ms, 0.2 + 100.0, 0.01);
    close(curve.predict(1, at_most(0.2)).unwrap().ms, 0.2, 0.01);
}

#[test]
fn contended_runs_weigh_less_than_others() {
    let mut curve = taught(&[(1000, 10.0), (1000, 10.0), (1000, 10.0)]);
    for _ in 0..4 {
        curve.learn(1000, 100.0, true);
    }
    close(ms(&curve, 1000), 10.0, 0.01);
    // Where there is nothing else they have to do.
    let mut curve = Curve::default();
    curve.learn(1000, 100.0, true);
    close(ms(&curve, 1000), 100.0, 0.01);
}

#[test]
fn a_device_that_became_slower_or_faster_is_known_to_be_after_three_runs() {
    for after in [1.0, 1000.0] {
        let mut curve = taught(&[(1000, 30.0); 9]);
        for _ in 0..3 {
            curve.learn(1000, after, false);
        }
        close(ms(&curve, 1000), after, 0.01);
    }
}

#[test]
fn two_quick_small_runs_make_a_poisoned_large_size_doubted() {
    let mut curve = taught(&[(1_000_000, 300.0); 12]);
    curve.learn(10_000, 0.01, false);
    assert!(ms(&curve, 1_000_000) > 100.0, "one run is not enough");
    curve.learn(10_000, 0.01, false);
    close(ms(&curve, 1_000_000), 1.0, 0.3);
}

#[test]
fn a_doubted_size_that_was_right_is_never_doubted_again() {
    // Small sizes fit a cache that makes them a hundred times faster.
    let mut curve = taught(&[(1_000_000, 100.0); 3]);
    for _ in 0..2 {
        curve.learn(10_000, 0.01, false);
    }
    curve.learn(1_000_000, 100.0, false);
    for _ in 0..20 {
        curve.learn(10_000, 0.01, false);
    }
    close(ms(&curve, 1_000_000), 100.0, 0.01);
}

#[test]
fn moderate_cache_effects_are_no_contradiction() {
    let mut curve = taught(&[(1_000_000, 10.0); 3]);
    for _ in 0..20 {
        curve.learn(50_000, 0.1, false);
    }
    close(ms(&curve, 1_000_000), 10.0, 0.01);
}

#[test]
fn what_is_stored_predicts_the_same_and_hostile_files_are_cleaned() {
    let curve = taught(&[(100, 1.0), (100, 1.1), (5000, 3.0), (5100, 3.1)]);
    let mut again: Curve = serde_json::from_str(&serde_json::to_string(&curve).unwrap()).unwrap();
    again.restore();
    for units in [1, 100, 1000, 5000, 1_000_000] {
        assert_eq!(curve.predict(units, at_most(0.1)), again.predict(units, at_most(0.1)));
    }
    let hostile = r#"[{"runs":[[0,1.0],[5,-1.0]]},{"runs":[]},{"runs":[[7,2.0],[900,1.0]]},{"runs":[[900,1.5]]}]"#;
    let mut cleaned: Curve = serde_json::from_str(hostile).unwrap();
    cleaned.restore();
    assert_eq!(cleaned.samples(), 1);
    close(ms(&cleaned, 900), 1.0, 1.0);
}

proptest! {
    #[test]
    fn after_ten_runs_the_prediction_lies_within_a_quarter_of_the_median(
        units in 1_u64..1 << 40,
        ns in 0.01_f64..1e4,
        noise in prop::collection::vec(0.85_f64..1.2, 10),
        others in prop::collection::vec((1_u64..1 << 40, 0.85_f64..1.2), 0..20),
    ) {
        let time = |units: u64| 0.05 + units as f64 * ns / 1e6;
        let mut curve = Curve::default();
        for (units, noise) in others {
            curve.learn(units, time(units) * noise, false);
        }
        let mut runs: Vec<f64> = noise.iter().map(|noise| time(units) * noise).collect();
        for &run in &runs {
            curve.learn(units, run, false);
        }
        runs.sort_by(f64::total_cmp);
        let median = f64::midpoint(runs[4], runs[5]);
        let predicted = ms(&curve, units);
        prop_assert!((predicted / median - 1.0).abs() < 0.25, "{predicted} against {median}");
    }

    #[test]
    fn whatever_is_learned_predictions_are_finite_and_ordered(
        runs in prop::collection::vec((1_u64..=u64::MAX, 1e-9_f64..1e9, any::<bool>()), 1..60),
        wanted in any::<u64>(),
        fixed in -1.0_f64..1e9,
    ) {
        let mut curve = Curve::default();
        for (units, ms, contended) in runs {
            curve.learn(units, ms, contended);
        }
        let forecast = curve.predict(wanted, at_most(fixed)).expect("something is known");
        prop_assert!(forecast.ms.is_finite() && forecast.ms >= 0.0, "{forecast:?}");
        prop_assert!(forecast.low_ms <= forecast.ms && forecast.ms <= forecast.high_ms, "{forecast:?}");
    }
}

#[test]
fn a_few_units_that_took_long_say_little_about_many() {
    let curve = taught(&[(3, 9.0)]);
    let belief = Belief::growing(20.0, 1e-6);
    let many = curve.predict(1_000_000, belief).unwrap().ms;
    assert!(many > 9.0 && many < 100_000.0, "{many}");
    // Taken as proportional, the same run would mean some fifty minutes.
    assert!(curve.predict(1_000_000, Belief::PROPORTIONAL).unwrap().ms > 2e6);
}

/// That half a millisecond of a time may be overhead, and that a unit takes `ns` by the kernel's own account.
fn by_account(ns: f64) -> Belief {
    Belief { overhead_ms_max: 0.5, prior_ms_per_unit: ns / 1e6, ..Belief::growing(0.001, 0.0) }
}

#[test]
fn what_took_microseconds_leaves_far_larger_sizes_to_the_kernels_own_account() {
    // As lists of four and of six numbers took; between one and six lies more than an octave.
    for runs in [&[(6, 0.0416)][..], &[(4, 0.0294), (6, 0.0416)], &[(1, 0.005), (6, 0.0416)], &[(1, 0.3)]] {
        let many = taught(runs).predict(1_000_000, by_account(64.0)).unwrap();
        assert!((60.0..70.0).contains(&many.ms), "{runs:?}: {many:?}");
        // That it was no overhead is possible still.
        let (units, ms) = runs[runs.len() - 1];
        let as_measured = taught(runs).predict(1_000_000, at_most(0.001)).unwrap().ms;
        assert!(many.low_ms < 42.0 && many.high_ms >= as_measured, "{units} took {ms}: {many:?}");
        assert!(as_measured > 4000.0, "{runs:?}: {as_measured}");
    }
    // What lies below is not told by an account, and is as it was.
    let curve = taught(&[(1000, 0.2)]);
    assert_eq!(curve.predict(10, by_account(64.0)), curve.predict(10, at_most(0.001)));
}

#[test]
fn a_run_that_was_interrupted_tells_no_more_of_large_sizes_and_three_alike_do() {
    // As a list of ten numbers took while the machine was busy: a million like them would take 23 minutes.
    let once = taught(&[(1, 1.397)]).predict(1_000_000, by_account(64.0)).unwrap();
    assert!((60.0..70.0).contains(&once.ms) && once.high_ms > 1e6, "{once:?}");
    let thrice = taught(&[(1, 1.397), (1, 1.4), (1, 1.41)]).predict(1_000_000, by_account(64.0)).unwrap();
    assert!(thrice.ms > 800_000.0, "{thrice:?}");
}

#[test]
fn a_kernel_that_is_far_slower_than_its_own_account_is_believed_once_it_took_milliseconds() {
    // A microsecond a unit where the account says a nanosecond.
    for runs in [&[(10_000, 10.0)][..], &[(1000, 1.0), (10_000, 10.0)], &[(10, 0.04), (20_000, 20.0)]] {
        close(taught(runs).predict(1_000_000, by_account(1.0)).unwrap().ms, 1000.0, 0.07);
    }
    // One that is faster is believed at any size.
    close(taught(&[(1000, 0.01)]).predict(1_000_000, by_account(1000.0)).unwrap().ms, 10.0, 0.15);
}
