use super::*;
use crate::job::kind;

const NOW: Duration = Duration::from_secs(100);

fn prepared(priority: i32, retries: u32) -> Prepared {
    let params = (kind("factor").unwrap().parse)("{\"n\":12}").unwrap();
    let terms = crate::job::Terms { priority, retries: Some(retries), ..Default::default() };
    Prepared {
        label: None,
        kind: "factor",
        device: None,
        terms,
        params,
        deadline: None,
        is_command: false,
        datasets: Default::default(),
    }
}

fn job(priority: i32, retries: u32) -> Job {
    Job::new(prepared(priority, retries), "{}".into(), None, 5)
}

fn queued(live: &mut Live, seq: u64, job: Job) {
    live.admit(2).unwrap();
    assert!(matches!(live.insert(seq, job, false), Inserted::Queued));
}

fn turns(live: &mut Live, now: Duration) -> Vec<u64> {
    live.take_turns(now, 7).given.iter().map(|given| given.seq).collect()
}

#[test]
fn jobs_of_higher_priority_come_first_and_of_one_priority_those_that_came_first() {
    let mut live = Live::new(10, 1);
    for (seq, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
        queued(&mut live, seq, job(priority, 0));
    }
    assert_eq!(turns(&mut live, NOW), [2, 4, 1, 3]);
    assert_eq!((live.given(), live.get(1).unwrap().attempts), (4, 1));
    assert_eq!(live.get(1).unwrap().shown_state(), State::Queued, "the engine has not begun it");
}

#[test]
fn no_more_are_taken_in_than_may_wait() {
    let mut live = Live::new(2, 1);
    assert_eq!(live.admit(1), Ok(true));
    assert_eq!(live.admit(1), Ok(true));
    assert_eq!(live.admit(1), Err(Full::Jobs));
    live.dismiss(1);
    assert_eq!(live.admit(BYTES_MAX), Err(Full::Bytes));
    assert_eq!(live.admit(1), Ok(true));
    assert!(matches!(live.insert(1, job(0, 0), true), Inserted::Given(_)));
    live.succeeded(1);
    assert_eq!(live.admit(1), Err(Full::Jobs), "it is not written down yet");
    live.remove(1);
    assert!(live.admit(1).is_ok());
}

#[test]
fn what_can_pass_is_tried_again_after_ever_longer_waits_and_then_fails() {
    let mut live = Live::new(10, 1);
    queued(&mut live, 1, job(0, 2));
    let mut now = NOW;
    for wait_s in [1, 2] {
        assert_eq!(turns(&mut live, now), [1]);
        assert_eq!(live.failed(1, Cause::Timeout, now), AfterFailure::Retried);
        assert_eq!(live.get(1).unwrap().shown_state(), State::RetryWait);
        let due = now + Duration::from_secs(wait_s);
        assert_eq!(live.due(), Some(due));
        live.retry_due(due - Duration::from_millis(1));
        assert_eq!(turns(&mut live, now), [0_u64; 0]);
        live.retry_due(due);
        now = due;
        assert_eq!(live.take_turns(now, 7).unprepared, [1], "what it was run with is used up");
        live.put_prepared(1, prepared(0, 2));
    }
    assert_eq!(turns(&mut live, now), [1]);
    assert_eq!(live.failed(1, Cause::Timeout, now), AfterFailure::Ends(State::Failed));
    queued(&mut live, 2, job(0, 2));
    turns(&mut live, now);
    assert_eq!(live.failed(2, Cause::BadInput, now), AfterFailure::Ends(State::Failed), "that does not pass");
}

#[test]
fn a_job_ends_early_by_the_first_wish_and_only_once() {
    let mut live = Live::new(10, 1);
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
    let mut live = Live::new(10, 1);
    for (seq, after_s) in [(1, 9), (2, 3), (3, 5)] {
        let mut job = job(0, 0);
        job.deadline = Some(NOW + Duration::from_secs(after_s));
        queued(&mut live, seq, job);
    }
    assert_eq!(live.first(), 1);
    live.remove(3);
    assert_eq!(live.due(), Some(NOW + Duration::from_secs(3)));
    assert_eq!(live.expire_due(NOW + Duration::from_secs(8)), [2]);
    assert_eq!(live.due(), Some(NOW + Duration::from_secs(9)));
}

#[test]
fn what_is_interrupted_by_the_end_of_the_service_goes_back_to_the_queue() {
    let mut live = Live::new(10, 1);
    queued(&mut live, 1, job(0, 3));
    queued(&mut live, 2, job(0, 3));
    turns(&mut live, NOW);
    live.is_draining = true;
    assert_eq!(live.failed(1, Cause::NotStarted, NOW), AfterFailure::Released);
    live.is_releasing = true;
    assert_eq!(live.failed(2, Cause::Cancelled, NOW), AfterFailure::Released);
    assert_eq!((live.given(), turns(&mut live, NOW).len()), (0, 0));
    assert_eq!(live.counts()[0], (State::Queued, 2));
    assert_eq!(live.admit(2), Ok(false));
    assert!(!live.is_settled(), "one is being written down");
    assert!(
        matches!(live.insert(3, job(0, 0), true), Inserted::Released),
        "it was to begin before the end was asked for"
    );
    assert!(live.is_settled());
}

#[test]
fn suspects_go_first_and_those_who_came_since_wait_for_one_that_is_alone() {
    let mut live = Live::new(10, 1);
    for seq in 1..=3 {
        live.restore(seq, job(0, 0), seq < 3);
    }
    live.set_suspects([(1, 1), (2, 2)]);
    assert_eq!(turns(&mut live, NOW), [2]);
    assert_eq!(turns(&mut live, NOW), [0_u64; 0]);
    assert_eq!(live.admit(1), Ok(false), "not at once");
    live.succeeded(2);
    assert_eq!(turns(&mut live, NOW), [1, 3]);
}
