use super::*;
use crate::job::kind;
use crate::service::intake::{Prepared, Ready};

/// What jobs may take in these tests, together.
pub(super) const MEMORY_BYTES: usize = 64 << 20;

pub(super) const NOW: Duration = Duration::from_secs(100);

pub(super) fn ready(priority: i32, retries: u32) -> Ready {
    let params = (kind("factor").unwrap().parse)("{\"n\":12}").unwrap();
    let terms = crate::job::Terms { priority, retries: Some(retries), ..Default::default() };
    Ready { kind: "factor", device: None, terms, params, is_command: false }
}

fn prepared(priority: i32, retries: u32) -> Prepared {
    Prepared {
        leases: Vec::new(),
        unnamed_file: None,
        label: None,
        kind: "factor",
        priority,
        retries,
        deadline: None,
        datasets: Default::default(),
        after: Vec::new(),
        lasting: None,
        taken_bytes: 0,
        ready: Some(ready(priority, retries)),
    }
}

pub(super) fn job(priority: i32, retries: u32) -> Job {
    Job::new(prepared(priority, retries), "{}".into(), None, 5)
}

fn fast(seq: u64) -> Unprepared {
    Unprepared { seq, is_slow: false }
}

pub(super) fn slow(seq: u64) -> Unprepared {
    Unprepared { seq, is_slow: true }
}

pub(super) fn queued(live: &mut Live, seq: u64, job: Job) {
    live.admit(Size::of(2)).unwrap();
    assert!(matches!(live.insert(seq, job, false), Inserted::Queued));
}

pub(super) fn turns(live: &mut Live, now: Duration) -> Vec<u64> {
    live.take_turns(now, 7).given.iter().map(|given| given.seq).collect()
}

/// A job that takes results of others.
pub(super) fn unready() -> Job {
    Job { ready: None, takes_results: true, ..job(0, 0) }
}

#[test]
fn jobs_of_higher_priority_come_first_and_of_one_priority_those_that_came_first() {
    let mut live = Live::new(10, MEMORY_BYTES);
    for (seq, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
        queued(&mut live, seq, job(priority, 0));
    }
    assert_eq!(turns(&mut live, NOW), [2, 4, 1, 3]);
    assert_eq!((live.given(), live.get(1).unwrap().attempts), (4, 1));
    assert_eq!(live.get(1).unwrap().shown_state(), State::Queued, "the engine has not begun it");
}

#[test]
fn short_jobs_wait_parsed_and_count_for_more_than_was_sent() {
    let mut live = Live::new(10_000, 1 << 20);
    let taken = |live: &mut Live, bytes: usize| (0..).take_while(|_| live.admit(Size::of(bytes)).is_ok()).count();
    assert_eq!(taken(&mut live, UNPARSED), (1 << 20) / (JOB_BYTES + UNPARSED * WAITING_TIMES));
    let mut live = Live::new(10_000, 1 << 20);
    assert_eq!(taken(&mut live, UNPARSED + 1), (1 << 20) / (JOB_BYTES + UNPARSED + 1));
    (0..live.admitted.jobs).for_each(|_| live.dismiss(Size::of(UNPARSED + 1)));
    assert_eq!(live.memory_bytes, 0);
    assert!(live.admit(Size::of(1 << 30)).is_ok(), "one is taken in any case");
}

#[test]
fn what_a_job_comes_after_and_its_files_count_too() {
    let mut live = Live::new(10_000, 1 << 20);
    let many = || Job { after: (0..1000).collect(), files: Some("x".repeat(50_000).into()), ..job(0, 0) };
    for seq in 1.. {
        let size = many().size();
        if live.admit(size).is_err() {
            assert_eq!(
                seq - 1,
                (1 << 20) / (JOB_BYTES + 2 * WAITING_TIMES as u64 as usize + 1000 * AFTER_BYTES + 50_000) as u64
            );
            break;
        }
        live.insert(seq, many(), false);
    }
    (1..=live.len() as u64).for_each(|seq| _ = live.remove(seq));
    assert_eq!(live.memory_bytes, 0);
}

#[test]
fn no_more_are_taken_in_than_may_wait() {
    let mut live = Live::new(2, MEMORY_BYTES);
    assert_eq!(live.admit(Size::of(1)), Ok(true));
    assert_eq!(live.admit(Size::of(1)), Ok(true));
    assert_eq!(live.admit(Size::of(1)), Err(Full::Jobs));
    live.dismiss(Size::of(1));
    assert_eq!(live.admit(Size::of(MEMORY_BYTES)), Err(Full::Bytes));
    assert_eq!(live.admit(Size::of(1)), Ok(true));
    assert!(matches!(live.insert(1, job(0, 0), true), Inserted::Given(_)));
    live.succeeded(1);
    assert_eq!(live.admit(Size::of(1)), Err(Full::Jobs), "it is not written down yet");
    live.remove(1);
    assert!(live.admit(Size::of(1)).is_ok());
}

#[test]
fn what_can_pass_is_tried_again_after_ever_longer_waits_and_then_fails() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 2));
    let mut now = NOW;
    for wait_s in [1, 2] {
        assert_eq!(turns(&mut live, now), [1]);
        assert_eq!(live.failed(1, Cause::Timeout, now), AfterFailure::Retried);
        assert_eq!(live.get(1).unwrap().shown_state(), State::RetryWait);
        let due = now + Duration::from_secs(wait_s);
        assert_eq!(live.due(), Some(due));
        assert_eq!(live.retry_due(due - Duration::from_millis(1)), [0_u64; 0]);
        assert_eq!(turns(&mut live, now), [0_u64; 0]);
        assert_eq!(live.retry_due(due), [1], "it is told of as queued");
        now = due;
        assert_eq!(live.take_turns(now, 7).unprepared, [fast(1)], "what it was run with is used up");
        live.put_ready(1, Some(ready(0, 2)), 0);
    }
    assert_eq!(turns(&mut live, now), [1]);
    assert_eq!(live.failed(1, Cause::Timeout, now), AfterFailure::Ends(State::Failed));
    queued(&mut live, 2, job(0, 2));
    turns(&mut live, now);
    assert_eq!(live.failed(2, Cause::BadInput, now), AfterFailure::Ends(State::Failed), "that does not pass");
}

#[test]
fn what_fails_while_the_service_ends_is_tried_again_by_the_next_one() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 1));
    turns(&mut live, NOW);
    live.is_draining = true;
    assert_eq!(live.failed(1, Cause::DeviceLost, NOW), AfterFailure::Retried);
    assert_eq!(live.retry_due(NOW + Duration::from_secs(1)), [1]);
    assert_eq!(turns(&mut live, NOW + Duration::from_secs(1)), [0_u64; 0]);
    assert!(live.is_settled() && live.waiting() == [1]);
}

#[test]
fn a_job_ends_early_by_the_first_wish_and_only_once() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 0));
    assert!(matches!(live.end_early(1, State::Expired), Some(Early::Over)));
    assert!(live.end_early(1, State::Cancelled).is_none());
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
    queued(&mut live, 2, job(0, 3));
    turns(&mut live, NOW);
    assert!(matches!(live.end_early(2, State::Cancelled), Some(Early::Asked(_))));
    assert!(live.end_early(2, State::Expired).is_none());
    assert_eq!(live.failed(2, Cause::Cancelled, NOW), AfterFailure::Ends(State::Cancelled));
    assert!(live.end_early(2, State::Cancelled).is_none() && live.end_early(9, State::Cancelled).is_none());
    queued(&mut live, 3, job(0, 3));
    turns(&mut live, NOW);
    assert!(live.end_early(3, State::Cancelled).is_some());
    assert_eq!(live.failed(3, Cause::Timeout, NOW), AfterFailure::Ends(State::Cancelled), "it is not tried again");
    queued(&mut live, 4, job(0, 3));
    turns(&mut live, NOW);
    assert!(live.end_early(4, State::Cancelled).is_some());
    assert_eq!(live.failed(4, Cause::BadInput, NOW), AfterFailure::Ends(State::Failed), "it had failed by itself");
}

#[test]
fn deadlines_come_in_their_order_and_go_with_their_jobs() {
    let mut live = Live::new(10, MEMORY_BYTES);
    for (seq, after_s) in [(1, 9), (2, 3), (3, 5)] {
        let mut job = job(0, 0);
        job.deadline = Some(NOW + Duration::from_secs(after_s));
        queued(&mut live, seq, job);
    }
    live.remove(3);
    assert_eq!(live.due(), Some(NOW + Duration::from_secs(3)));
    assert_eq!(live.expire_due(NOW + Duration::from_secs(8)), [2]);
    assert_eq!(live.due(), Some(NOW + Duration::from_secs(9)));
}

#[test]
fn what_is_interrupted_by_the_end_of_the_service_goes_back_to_the_queue() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 3));
    queued(&mut live, 2, job(0, 3));
    turns(&mut live, NOW);
    live.is_draining = true;
    assert_eq!(live.failed(1, Cause::NotStarted, NOW), AfterFailure::Unbegun);
    live.is_releasing = true;
    assert_eq!(live.failed(2, Cause::Cancelled, NOW), AfterFailure::Interrupted);
    assert_eq!((live.given(), turns(&mut live, NOW).len()), (0, 0));
    assert_eq!(live.counts()[0], (State::Queued, 2));
    assert_eq!(live.admit(Size::of(2)), Ok(false));
    assert!(!live.is_settled(), "one is being written down");
    assert!(
        matches!(live.insert(3, job(0, 0), true), Inserted::Released),
        "it was to begin before the end was asked for"
    );
    assert!(live.is_settled());
}

#[test]
fn suspects_go_first_and_those_who_came_since_wait_for_one_that_is_alone() {
    let mut live = Live::new(10, MEMORY_BYTES);
    for seq in 1..=3 {
        live.restore(seq, job(0, 0), seq < 3);
    }
    live.set_suspects([(1, 1), (2, 2)]);
    assert_eq!(turns(&mut live, NOW), [2]);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
    assert_eq!(live.admit(Size::of(1)), Ok(false), "not at once");
    live.succeeded(2);
    assert_eq!(turns(&mut live, NOW), [1, 3]);
}

#[test]
fn where_attempts_cannot_be_written_down_nothing_runs_and_everybody_keeps_his_place() {
    let mut live = Live::new(10, MEMORY_BYTES);
    live.restore(1, job(0, 0), true);
    live.restore(2, job(0, 0), false);
    live.restore(3, job(9, 0), false);
    live.set_suspects([(1, 2)]);
    let alone = live.take_turns(NOW, 7).given;
    let until = NOW + Duration::from_secs(1);
    assert!(live.put_back(alone, until).is_empty());
    assert_eq!((live.given(), live.get(1).unwrap().attempts, live.due()), (0, 0, Some(until)));
    assert_eq!((turns(&mut live, NOW), live.admit(Size::of(2))), (vec![], Ok(false)));
    live.dismiss(Size::of(2));
    assert_eq!(turns(&mut live, until), [1], "it is still suspected, and alone");
    live.succeeded(1);
    let others = live.take_turns(until, 7).given;
    assert!(matches!(live.end_early(2, State::Cancelled), Some(Early::Asked(_))));
    let cancelled = live.put_back(others, until + Duration::from_secs(1));
    assert_eq!(cancelled.iter().map(|given| given.seq).collect::<Vec<_>>(), [2], "the engine has it end");
    assert_eq!(live.failed(2, Cause::Cancelled, NOW), AfterFailure::Ends(State::Cancelled));
    assert_eq!(turns(&mut live, until + Duration::from_secs(1)), [3]);
}

#[test]
fn long_jobs_wait_unparsed_and_only_so_many_are_parsed_at_once() {
    let mut live = Live::new(10, MEMORY_BYTES);
    let long: Arc<str> = "x".repeat(MEMORY_BYTES / WAITING_TIMES / 2 + 1).into();
    for seq in 1..=3 {
        let mut job = job(0, 0);
        (job.request, job.weight) = (long.clone(), long.len());
        live.admit(Size::of(long.len())).unwrap();
        live.insert(seq, job, false);
        assert!(live.get(seq).unwrap().ready.is_none());
    }
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(1)]);
    assert!(live.take_turns(NOW, 7).unprepared.is_empty(), "there is no room for another one");
    assert!(live.admit(Size::of(long.len())).is_ok_and(|at_once| !at_once));
    live.dismiss(Size::of(long.len()));
    live.put_ready(1, Some(ready(0, 0)), 0);
    assert_eq!((turns(&mut live, NOW), live.given()), (vec![1], 1));
    live.succeeded(1);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(2)]);
    live.put_ready(2, None, 0);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(3)], "one that cannot be parsed holds no room");
}

#[test]
fn counts_follow_the_jobs() {
    let mut live = Live::new(10, MEMORY_BYTES);
    (1..=4).for_each(|seq| queued(&mut live, seq, job(0, 1)));
    turns(&mut live, NOW);
    [1, 2, 2, 3].into_iter().for_each(|seq| live.began(seq, 9));
    let counts = |live: &Live| live.counts().map(|(_, count)| count);
    assert_eq!(counts(&live), [1, 3, 0]);
    live.succeeded(1);
    live.failed(2, Cause::Timeout, NOW);
    live.failed(3, Cause::NotStarted, NOW);
    assert_eq!(counts(&live), [2, 1, 1], "the end of the first is not written down yet");
    live.remove(1);
    assert_eq!(counts(&live), [2, 0, 1]);
    assert!(live.end_early(2, State::Cancelled).is_some());
    assert_eq!(live.before(4).map(|(seq, _)| seq).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn a_job_waits_for_others_and_is_told_of_their_ends_whenever_these_come() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 0));
    let mut waits = job(9, 0);
    waits.awaits = [1, 8].into();
    live.admit(Size::of(2)).unwrap();
    assert!(matches!(live.insert(2, waits, false), Inserted::Awaits));
    assert_eq!((live.awaited_by(2), live.tell_of_end(2, 1), live.tell_of_end(2, 8)), (vec![1, 8], true, false));
    assert_eq!((turns(&mut live, NOW), live.counts()[0].1), (vec![1], 2));
    live.has_come(2, 8);
    live.succeeded(1);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0], "the end of the first is not written down");
    let (_, told) = live.remove(1).unwrap();
    assert_eq!((told, live.tell_of_end(2, 1)), ([2].into(), false));
    live.has_come(2, 1);
    live.has_come(2, 1);
    assert_eq!((turns(&mut live, NOW), turns(&mut live, NOW)), (vec![2], vec![]));
    let mut cancelled = job(0, 0);
    cancelled.awaits = [2].into();
    live.admit(Size::of(2)).unwrap();
    live.insert(3, cancelled, false);
    assert!(matches!(live.end_early(3, State::Cancelled), Some(Early::Over)));
    live.has_come(3, 2);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
}

#[test]
fn a_suspect_that_finds_no_room_goes_before_what_comes_meanwhile() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 0));
    assert_eq!(turns(&mut live, NOW), [1]);
    live.restore(2, Job { weight: MEMORY_BYTES, ..job(0, 0) }, true);
    live.set_suspects([(2, 1)]);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
    assert_eq!(live.admit(Size::of(2)), Ok(false));
    assert!(matches!(live.insert(3, job(0, 0), false), Inserted::Queued));
    live.succeeded(1);
    assert_eq!(turns(&mut live, NOW), [2], "there is room for nothing beside it");
    live.succeeded(2);
    assert_eq!(turns(&mut live, NOW), [3]);
}

#[test]
fn one_that_is_longer_than_all_that_the_engine_takes_waits_for_no_end_of_those_that_come() {
    let mut live = Live::new(10, MEMORY_BYTES);
    queued(&mut live, 1, job(0, 0));
    let mut long = job(0, 0);
    long.weight = MEMORY_BYTES;
    queued(&mut live, 2, long);
    assert_eq!(turns(&mut live, NOW), [1]);
    live.admit(Size::of(2)).unwrap();
    live.restore(3, unready(), false);
    assert_eq!(live.take_turns(NOW, 7).unprepared, [slow(3)]);
    live.succeeded(1);
    assert_eq!(turns(&mut live, NOW), [2], "one is being written down, and one weighed, as always under load");
}

#[test]
fn what_others_come_after_is_named_until_the_last_of_them_has_ended() {
    let mut live = Live::new(10, MEMORY_BYTES);
    for seq in [5, 6] {
        let (after, awaits) = (vec![1, 2], [1].into());
        live.restore(seq, Job { after, awaits, ..job(0, 0) }, false);
    }
    assert_eq!(live.named(), [1, 2].into());
    queued(&mut live, 7, job(0, 0));
    assert!(live.tell_of_end(5, 7) && !live.tell_of_end(5, 1));
    live.remove(5);
    assert_eq!(live.named(), [1, 2].into());
    live.remove(6);
    assert!(live.named().is_empty());
}
