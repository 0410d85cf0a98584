//! Jobs that take results of others: how long they are is known late.

use super::tests::{MEMORY_BYTES, NOW, job, queued, ready, slow, turns, unready};
use super::*;

#[test]
fn a_suspect_that_takes_results_is_begun_apart_all_the_same_and_waits_for_nobody() {
    let mut live = Live::new(10, MEMORY_BYTES);
    let mut suspect = job(0, 0);
    (suspect.awaits, suspect.takes_results, suspect.ready) = ([7].into(), true, None);
    live.restore(1, suspect, true);
    live.restore(2, job(0, 0), false);
    live.set_suspects([(1, 2)]);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(1)]);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
    live.put_ready(1, Some(ready(0, 0)), 0);
    assert_eq!((turns(&mut live, NOW), turns(&mut live, NOW)), (vec![1], vec![]));
}

#[test]
fn suspects_that_take_results_run_side_by_side_though_they_are_made_ready_one_by_one() {
    let mut live = Live::new(10, MEMORY_BYTES);
    (1..=3).for_each(|seq| live.restore(seq, unready(), true));
    live.set_suspects([(1, 1), (2, 1), (3, 1)]);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(1)]);
    assert!(live.take_turns(NOW, 7).unprepared.is_empty());
    for (seq, next) in [(1, vec![slow(2)]), (2, vec![slow(3)]), (3, vec![])] {
        live.put_ready(seq, Some(ready(0, 0)), 0);
        let Turns { given, unprepared } = live.take_turns(NOW, 7);
        assert_eq!(given.iter().map(|given| given.seq).collect::<Vec<_>>(), [seq], "nobody has ended yet");
        assert_eq!(unprepared, next);
    }
    assert_eq!(live.given(), 3);
}

#[test]
fn long_results_that_jobs_take_are_held_for_no_more_of_them_than_the_engine_takes() {
    let mut live = Live::new(1000, MEMORY_BYTES);
    let long = MEMORY_BYTES / WAITING_TIMES / 2;
    (1..=100).for_each(|seq| live.restore(seq, unready(), false));
    let mut running = Vec::new();
    for _ in 0..1000 {
        let Turns { given, unprepared } = live.take_turns(NOW, 7);
        running.extend(given.iter().map(|given| given.seq));
        assert!(unprepared.len() <= 2, "{unprepared:?}");
        unprepared.iter().for_each(|job| live.put_ready(job.seq, Some(ready(0, 0)), long));
        let held = live.jobs.values().filter(|job| job.ready.is_some()).count();
        assert!(held + live.given.bytes / long <= 2, "{held} wait, {} bytes run", live.given.bytes);
        if unprepared.is_empty()
            && let Some(seq) = running.pop()
        {
            live.succeeded(seq);
            live.remove(seq);
        }
    }
    assert_eq!(live.len(), 0, "all have had their turn");
}

#[test]
fn of_jobs_that_take_long_results_none_is_held_behind_one_that_has_no_room() {
    let mut live = Live::new(1000, MEMORY_BYTES);
    let share = MEMORY_BYTES / WAITING_TIMES;
    queued(&mut live, 1, job(0, 0));
    queued(&mut live, 2, Job { weight: share, ..job(0, 0) });
    (3..=50).for_each(|seq| live.restore(seq, unready(), false));
    let Turns { given, mut unprepared } = live.take_turns(NOW, 7);
    assert_eq!(given.iter().map(|given| given.seq).collect::<Vec<_>>(), [1]);
    while let Some(job) = unprepared.pop() {
        live.put_ready(job.seq, Some(ready(0, 0)), share / 2 - 10);
        unprepared.extend(live.take_turns(NOW, 7).unprepared);
    }
    let held = live.jobs.iter().filter(|(seq, job)| **seq > 2 && job.ready.is_some()).count();
    assert_eq!((held, live.given()), (0, 1), "the second one is the first to go");
    live.succeeded(1);
    assert_eq!(turns(&mut live, NOW), [2]);
    live.succeeded(2);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(3), slow(4)], "as many as the engine takes, made anew");
}

#[test]
fn one_that_is_weighed_takes_no_room_of_others_and_needs_none() {
    let mut live = Live::new(10_000, MEMORY_BYTES);
    for seq in 1..=GIVEN_MAX as u64 {
        queued(&mut live, seq, job(0, 0));
    }
    assert_eq!(turns(&mut live, NOW).len(), GIVEN_MAX);
    live.restore(9001, unready(), false);
    live.restore(9002, unready(), false);
    queued(&mut live, 9003, job(0, 0));
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(9001)], "the engine has no room");
    live.succeeded(1);
    assert_eq!(turns(&mut live, NOW), [9003]);
    live.put_ready(9001, Some(ready(0, 0)), 0);
    live.succeeded(2);
    assert_eq!(
        live.take_turns(NOW, 7).unprepared,
        [slow(9002), slow(9001)],
        "there was no room for it as it was ready"
    );
    live.put_ready(9001, Some(ready(0, 0)), 0);
    assert_eq!(turns(&mut live, NOW), [9001]);
}

#[test]
fn a_result_that_cannot_be_read_keeps_no_other_job_back() {
    let mut live = Live::new(10, MEMORY_BYTES);
    (1..=2).for_each(|seq| live.restore(seq, unready(), false));
    live.restore(3, job(0, 0), false);
    let Turns { given, unprepared } = live.take_turns(NOW, 7);
    assert_eq!((given[0].seq, unprepared), (3, vec![slow(1)]), "nobody waits for one that is made ready");
    assert_eq!(live.admit(Size::of(2)), Ok(true));
    live.dismiss(Size::of(2));
    assert!(live.take_turns(NOW, 7).unprepared.is_empty());
    live.is_unreadable(1);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(2)]);
    live.put_ready(2, Some(ready(0, 0)), 0);
    assert_eq!(turns(&mut live, NOW), [2]);
    live.is_draining = true;
    assert!(!live.is_settled());
    (2..=3).for_each(|seq| {
        live.succeeded(seq);
        live.remove(seq);
    });
    assert!(live.is_settled(), "the first may never be readable");
}

#[test]
fn a_job_that_was_cancelled_while_it_was_parsed_and_is_tried_again_runs_once() {
    let mut live = Live::new(10, MEMORY_BYTES);
    live.restore(1, unready(), false);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(1)]);
    assert!(matches!(live.end_early(1, State::Cancelled), Some(Early::Over)));
    assert!(live.unprepared(1).is_none());
    live.remove(1);
    live.restore(1, unready(), false);
    live.put_ready(1, Some(ready(0, 0)), 0);
    assert_eq!(
        live.take_turns(NOW, 7).unprepared,
        [slow(1)],
        "what was made for the first one is not the second one's"
    );
    live.put_ready(1, Some(ready(0, 0)), 5);
    live.put_ready(1, Some(ready(0, 0)), 5);
    assert_eq!((turns(&mut live, NOW), turns(&mut live, NOW), live.given()), (vec![1], vec![], 1));
    live.succeeded(1);
    assert!(live.remove(1).is_some() && live.given() == 0);
}
