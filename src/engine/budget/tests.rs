//! The memory budget, told with literals, and under whatever comes.

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// All that may begin at this moment.
fn begun(budget: &mut Budget, now: Duration) -> Vec<u64> {
    std::iter::from_fn(|| budget.begin(now, Some(u64::MAX), |_| true, |_| true)).collect()
}

#[test]
fn of_sixteen_jobs_of_a_quarter_of_the_budget_four_run_at_once_and_all_in_their_turn() {
    let mut budget = Budget::new(8 * GIB);
    for key in 0..16 {
        budget.ask(key, key, Need::Certain(2 * GIB), ms(0)).unwrap();
    }
    assert_eq!(begun(&mut budget, ms(0)), [0, 1, 2, 3]);
    for key in 0..16 {
        assert_eq!(budget.reserved_bytes(), 8 * GIB.min(2 * GIB * (16 - key)));
        budget.end(key, None, true);
        let next = begun(&mut budget, ms(key));
        assert_eq!(next, if key < 12 { vec![key + 4] } else { vec![] });
        if key >= 12 {
            break;
        }
    }
    (13..16).for_each(|key| _ = budget.end(key, None, true));
    assert!(budget.is_idle() && budget.reserved_bytes() == 0);
}

#[test]
fn what_can_never_fit_is_refused_and_what_is_only_estimated_runs_alone() {
    let mut budget = Budget::new(100);
    assert_eq!(budget.ask(0, 0, Need::Certain(101), ms(0)), Err(NeverFits { bytes: 101, limit_bytes: 100 }));
    budget.ask(1, 1, Need::Certain(1), ms(0)).unwrap();
    budget.ask(2, 2, Need::Estimated(1000), ms(0)).unwrap();
    assert_eq!(begun(&mut budget, ms(0)), [1]);
    budget.end(1, None, true);
    assert_eq!(begun(&mut budget, ms(0)), [2]);
    assert_eq!(budget.reserved_bytes(), 100);
}

#[test]
fn small_jobs_pass_a_large_one_for_a_while_and_not_for_ever() {
    let mut budget = Budget::new(100);
    budget.ask(0, 0, Need::Certain(60), ms(0)).unwrap();
    budget.ask(1, 1, Need::Certain(80), ms(0)).unwrap();
    (2..5).for_each(|key| budget.ask(key, key, Need::Certain(30), ms(0)).unwrap());
    assert_eq!(begun(&mut budget, ms(0)), [0, 2], "the small one passes");
    budget.end(2, None, true);
    assert_eq!(begun(&mut budget, PASSED_MAX - ms(1)), [3]);
    budget.end(3, None, true);
    assert_eq!(begun(&mut budget, PASSED_MAX), [] as [u64; 0], "enough");
    budget.end(0, None, true);
    assert_eq!(begun(&mut budget, PASSED_MAX), [1]);
    budget.end(1, None, true);
    assert_eq!(begun(&mut budget, PASSED_MAX), [4]);
}

/// Sixteen programs of a name ask, in their order.
fn sixteen(budget: &mut Budget, name: &Arc<str>) {
    (0..16).for_each(|key| budget.ask(key, key, Need::Learned(name.clone()), ms(0)).unwrap());
}

#[test]
fn unknown_programs_begin_one_at_a_time_while_the_first_grows_and_by_their_need_once_some_have_ended() {
    let name: Arc<str> = "predict".into();
    let mut budget = Budget::new(4 * GIB);
    sixteen(&mut budget, &name);
    assert_eq!(begun(&mut budget, ms(0)), [0], "nothing is known");
    assert!(budget.wants_looks());
    for tick in 1..20 {
        budget.observe(0, (tick * 40) << 20, ms(tick * 100));
        assert_eq!(begun(&mut budget, ms(tick * 100)), [] as [u64; 0], "it grows");
    }
    budget.end(0, Some(GIB), true);
    assert_eq!(begun(&mut budget, ms(2000)), [1, 2], "one is no proof");
    budget.end(1, Some(GIB), true);
    budget.end(2, Some(GIB), true);
    assert_eq!(begun(&mut budget, ms(2100)), [3, 4, 5], "4 GiB hold three of a little over 1 GiB");
    // One that turns out larger than those before makes room for fewer, and doubt.
    budget.observe(3, 2 * GIB, ms(2200));
    budget.end(4, Some(GIB), true);
    assert_eq!(begun(&mut budget, ms(2200)), [] as [u64; 0]);
    budget.end(3, Some(2 * GIB), true);
    budget.end(5, Some(GIB), true);
    assert_eq!(begun(&mut budget, ms(2300)), [6], "4 GiB hold one of a little over 2 GiB");
}

#[test]
fn what_few_earlier_runs_have_needed_is_a_hint_and_what_many_have_is_known() {
    for (runs, first) in [(1, 1), (3, 3), (8, 16)] {
        let name: Arc<str> = "predict".into();
        let mut budget = Budget::new(4 * GIB);
        budget.hear(&name, 100 << 20, runs);
        sixteen(&mut budget, &name);
        assert_eq!(begun(&mut budget, ms(0)).len(), first, "{runs} runs");
    }
}

#[test]
fn more_of_a_name_of_which_little_is_known_begin_only_when_it_was_looked_at_what_is_free() {
    let name: Arc<str> = "predict".into();
    let mut budget = Budget::new(4 * GIB);
    budget.hear(&name, 100 << 20, 3);
    sixteen(&mut budget, &name);
    assert_eq!(budget.begin(ms(0), None, |_| true, |_| true), Some(0));
    assert_eq!(budget.begin(ms(0), None, |_| true, |_| true), None);
    assert_eq!(budget.begin(ms(0), Some(100 << 20), |_| true, |_| true), None, "no two runs are quite the same");
    assert_eq!(budget.begin(ms(0), Some(200 << 20), |_| true, |_| true), Some(1));
}

#[test]
fn programs_that_are_over_before_anybody_looks_or_that_fail_are_not_begun_one_at_a_time_for_ever() {
    for (succeeded, at_most) in [(true, 4), (false, 12)] {
        let name: Arc<str> = "grep".into();
        let mut budget = Budget::new(4 * GIB);
        (0..100).for_each(|key| budget.ask(key, key, Need::Learned(name.clone()), ms(0)).unwrap());
        let mut ended = 0;
        while begun(&mut budget, ms(0)).len() < 8 {
            budget.end(ended, None, succeeded);
            ended += 1;
            assert!(ended <= at_most);
        }
    }
}

#[test]
fn of_a_name_that_may_not_begin_yet_however_many_wait_the_others_behind_them_do() {
    let name: Arc<str> = "long".into();
    let mut budget = Budget::new(4 * GIB);
    (0..5000).for_each(|key| budget.ask(key, key, Need::Learned(name.clone()), ms(0)).unwrap());
    budget.ask(5000, 5000, Need::Certain(GIB), ms(0)).unwrap();
    budget.ask(5001, 5001, Need::Learned("other".into()), ms(0)).unwrap();
    assert_eq!(begun(&mut budget, ms(0)), [0, 5000, 5001]);
    budget.forget(1, 1, ms(1));
    budget.end(0, Some(1), true);
    assert_eq!(begun(&mut budget, ms(1)), [2, 3]);
}

#[test]
fn unknown_programs_that_keep_still_are_joined_by_ever_more_as_far_as_memory_is_free() {
    let name: Arc<str> = "serve".into();
    let mut budget = Budget::new(64 * GIB);
    (0..100).for_each(|key| budget.ask(key, key, Need::Learned(name.clone()), ms(0)).unwrap());
    assert_eq!(begun(&mut budget, ms(0)), [0]);
    budget.observe(0, GIB, ms(100));
    let at = |budget: &mut Budget, now| begun(budget, now).len();
    assert_eq!(at(&mut budget, ms(400)), 0);
    assert_eq!(at(&mut budget, ms(700)), 1);
    assert_eq!(at(&mut budget, ms(1200)), 2);
    assert_eq!(at(&mut budget, ms(2000)), 4);
    assert_eq!(at(&mut budget, ms(4000)), 8);
    assert_eq!(
        budget.begin(ms(8000), Some(GIB), |_| true, |_| true),
        None,
        "another of its kind would not fit what is free"
    );
    assert_eq!(budget.begin(ms(8000), Some(2 * GIB), |_| true, |_| true), Some(16));
}

#[test]
fn what_would_find_no_place_waits_without_memory_and_keeps_nobody_back() {
    let mut budget = Budget::new(100);
    (0..4).for_each(|key| budget.ask(key, key, Need::Certain(40), ms(0)).unwrap());
    assert_eq!(budget.begin(PASSED_MAX, None, |key| key >= 2, |_| true), Some(2));
    assert_eq!(budget.begin(PASSED_MAX, None, |_| false, |_| true), None);
    assert_eq!(budget.reserved_bytes(), 40);
    assert_eq!(budget.begin(PASSED_MAX, None, |_| true, |_| true), Some(0));
}

#[test]
fn who_gets_no_seat_takes_no_memory_and_is_asked_only_once_it_fits() {
    let mut budget = Budget::new(100);
    for (key, bytes) in [(0, 100), (1, 60), (2, 60), (3, 50)] {
        budget.ask(key, key, Need::Certain(bytes), ms(0)).unwrap();
    }
    assert_eq!(budget.begin(ms(0), None, |_| true, |key| key == 2), Some(2));
    assert_eq!(budget.reserved_bytes(), 60);
    assert_eq!(budget.begin(ms(0), None, |_| true, |_| panic!("none fits")), None);
    budget.end(2, None, true);
    assert_eq!(budget.begin(ms(0), None, |_| true, |_| true), Some(0));
}

#[test]
fn what_waits_no_more_leaves_no_trace() {
    let name: Arc<str> = "odd".into();
    let mut budget = Budget::new(GIB);
    (0..4).for_each(|key| budget.ask(key, key, Need::Learned(name.clone()), ms(0)).unwrap());
    assert_eq!(begun(&mut budget, ms(0)), [0]);
    (1..4).for_each(|key| budget.forget(key, key, ms(10)));
    assert_eq!(budget.end(7, None, true), None, "it never held any");
    budget.end(0, None, true);
    assert!(budget.is_idle() && !budget.wants_looks());
    assert_eq!(budget.begin(ms(20), Some(u64::MAX), |_| true, |_| true), None);
}

proptest! {
    /// Whatever comes, is granted, ends or is given up: no more is reserved than there is, nobody is forgotten, and in the
    /// end nothing is reserved.
    #[test]
    fn nothing_is_lost_and_nothing_is_given_twice(
        limit in 1_u64..1000,
        needs in prop::collection::vec((0_u64..1200, 0_u64..4, 0..3_u8), 1..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut budget = Budget::new(limit);
        let (mut waits, mut runs) = (std::collections::BTreeSet::new(), Vec::new());
        let mut picks = picks.into_iter();
        let mut now = ms(0);
        let mut all = (0_u64..).zip(needs).collect::<Vec<_>>().into_iter();
        loop {
            now += ms(7000);
            if let Some((key, (bytes, order, kind))) = all.next() {
                let need = match kind {
                    0 => Need::Certain(bytes),
                    1 => Need::Estimated(bytes),
                    _ => Need::Learned(["a", "b"][bytes as usize % 2].into()),
                };
                let never = kind == 0 && bytes > limit;
                match budget.ask(key, order, need, now) {
                    Ok(()) => prop_assert!(!never && waits.insert((order, key))),
                    Err(_) => prop_assert!(never),
                }
            }
            for key in begun(&mut budget, now) {
                let before = waits.len();
                waits.retain(|(_, waiting)| *waiting != key);
                prop_assert_eq!(waits.len() + 1, before, "{} was not waiting", key);
                runs.push(key);
            }
            prop_assert!(budget.reserved_bytes() <= limit);
            if runs.is_empty() {
                // Nothing runs, so that nothing may wait.
                prop_assert!(waits.is_empty());
                if all.len() == 0 {
                    break;
                }
                continue;
            }
            let pick = picks.next().map_or(0, |pick| pick.index(runs.len()));
            let key = runs.swap_remove(pick);
            budget.end(key, (key % 2 == 0).then_some(key), key % 3 > 0);
            if pick % 3 == 2 && let Some((order, key)) = waits.pop_last() {
                budget.forget(key, order, now);
            }
        }
        prop_assert!(budget.is_idle());
        prop_assert_eq!(budget.reserved_bytes(), 0);
    }
}
