//! Which job may begin, when: told with literals, and against the obvious.

use proptest::prelude::*;

use super::*;

fn after(parents: &[u64]) -> Terms {
    Terms { after: parents.iter().map(|parent| *parent..parent + 1).collect(), ..Terms::default() }
}

#[test]
fn a_job_begins_when_the_last_of_those_it_waits_for_has_succeeded() {
    let mut flow = Flow::new(FlowOptions::default());
    for job in 0..3 {
        assert_eq!(flow.add(job, &after(&[])), Verdict::Begin);
    }
    assert_eq!(flow.end(1, true), []);
    assert_eq!(flow.add(3, &Terms { after: vec![0..3, 0..1], ..Terms::default() }), Verdict::Wait);
    assert_eq!(flow.end(2, true), []);
    assert_eq!(flow.end(0, true), [Next::Begin(3)]);
    assert_eq!(flow.add(4, &after(&[0, 1])), Verdict::Begin);
}

#[test]
fn what_waits_for_a_failed_job_is_skipped_and_so_is_what_waits_for_that() {
    let mut flow = Flow::new(FlowOptions::default());
    flow.add(0, &after(&[]));
    flow.add(1, &after(&[]));
    flow.add(2, &after(&[0]));
    flow.add(3, &after(&[1, 2]));
    assert_eq!(flow.end(0, false), [Next::Skip { job: 2, parent: 0 }, Next::Skip { job: 3, parent: 2 }]);
    assert_eq!(flow.add(4, &after(&[3])), Verdict::Skip(3));
    assert_eq!(flow.end(1, true), []);
    assert_eq!((flow.waiting(), flow.failed, flow.ended), (0, 1, 5), "what is skipped has not failed");
}

#[test]
fn a_group_is_watched_once_however_many_wait_for_it() {
    let mut flow = Flow::new(FlowOptions::default());
    (0..1000).for_each(|job| _ = flow.add(job, &after(&[])));
    let group = |group: Range<u64>| Terms { after: vec![group], ..Terms::default() };
    assert!((1000..2000).all(|job| flow.add(job, &group(0..1000)) == Verdict::Wait));
    let watched: usize = flow.children.values().map(Vec::len).sum();
    assert_eq!((watched, flow.waiting()), (2000, 1000));
    assert!((1..1000).all(|job| flow.end(job, true).is_empty()));
    assert_eq!(flow.end(0, true), (1000..2000).map(Next::Begin).collect::<Vec<_>>());
    assert_eq!(flow.add(2000, &group(0..1000)), Verdict::Begin);
    assert_eq!(flow.add(2001, &group(1000..2000)), Verdict::Wait);
    assert_eq!(flow.end(1007, false), [Next::Skip { job: 2001, parent: 1007 }]);
    assert_eq!(flow.add(2002, &group(1000..2000)), Verdict::Skip(1007));
    assert_eq!(flow.end(1008, false), []);
}

#[test]
fn what_can_pass_is_tried_again_after_ever_longer_pauses() {
    let second = Duration::from_secs(1);
    let options = FlowOptions { retries: 2, retry_delay: second, retry_exit_codes: vec![75], ..FlowOptions::default() };
    let mut flow = Flow::new(options);
    flow.add(0, &after(&[]));
    flow.add(1, &Terms { retries: Some(0), ..Terms::default() });
    assert!(!flow.retry(1, Cause::Timeout, None, second), "it says that it is not to be");
    assert!(!flow.retry(0, Cause::BadInput, None, second) && !flow.retry(0, Cause::ExitCode, Some(1), second));
    assert!(flow.retry(0, Cause::ExitCode, Some(75), second));
    assert_eq!((flow.due(second), flow.due_at(), flow.due(2 * second)), (None, Some(2 * second), Some(0)));
    assert!(flow.retry(0, Cause::DeviceLost, None, 2 * second));
    assert_eq!(flow.due_at(), Some(4 * second));
    assert_eq!(flow.due(4 * second), Some(0));
    assert!(!flow.retry(0, Cause::DeviceLost, None, 5 * second), "twice is enough");
    assert_eq!(flow.end(0, false), []);
}

#[test]
fn a_run_halts_at_a_count_or_at_a_share_of_failures() {
    let halt = |text: &str| text.parse::<Halt>().unwrap();
    let mut flow = Flow::new(FlowOptions { halt: halt("now,fail=2"), ..FlowOptions::default() });
    (0..9).for_each(|job| _ = flow.add(job, &after(&[])));
    flow.end(0, false);
    flow.end(1, true);
    assert!(!flow.is_halted());
    flow.end(2, false);
    assert!(flow.is_halted() && flow.halts_now());
    let mut flow = Flow::new(FlowOptions { halt: halt("soon,fail=50%"), ..FlowOptions::default() });
    (0..9).for_each(|job| _ = flow.add(job, &after(&[])));
    (0..2).for_each(|job| _ = flow.end(job, false));
    assert!(!flow.is_halted(), "two are too few to tell");
    (2..5).for_each(|job| _ = flow.end(job, true));
    assert!(!flow.is_halted());
    flow.end(5, false);
    assert!(flow.is_halted() && !flow.halts_now());
    assert_eq!(halt("never"), Halt::default());
    for wrong in ["", "later,fail=1", "now", "now,fail=0", "now,fail=0%", "now,fail=101%", "now,fail=x", "soon,fail=-1"]
    {
        assert!(wrong.parse::<Halt>().unwrap_err().contains("is no way to halt"), "{wrong}");
    }
}

#[test]
fn giving_up_ends_all_that_waits() {
    let mut flow = Flow::new(FlowOptions { retries: 1, ..FlowOptions::default() });
    flow.add(0, &after(&[]));
    flow.add(1, &after(&[]));
    flow.add(2, &after(&[0]));
    assert!(flow.retry(1, Cause::Timeout, None, Duration::ZERO));
    assert_eq!(flow.give_up(), [1, 2]);
    assert_eq!((flow.waiting(), flow.due(Duration::MAX)), (0, None));
    assert_eq!(flow.end(0, true), [], "nobody waits for it any more");
}

proptest! {
    /// Against the obvious: a job begins once all before it that it names have succeeded, and is skipped once one has not.
    #[test]
    fn each_job_begins_or_is_skipped_exactly_once(
        parents in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), 1..6_u64), 0..3), 1..40),
        fates in prop::collection::vec(any::<bool>(), 40),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let groups = (0..).zip(&parents).map(|(job, picks)| {
            let group = |(pick, len): &(prop::sample::Index, u64)| {
                let start = pick.index(job as usize) as u64;
                start..job.min(start + len)
            };
            if job == 0 { vec![] } else { picks.iter().map(group).collect() }
        });
        let terms: Vec<Terms> = groups.map(|after| Terms { after, ..Terms::default() }).collect();
        let parents: Vec<Vec<u64>> = terms.iter().map(|terms| terms.after.iter().cloned().flatten().collect()).collect();
        let mut flow = Flow::new(FlowOptions::default());
        let (mut running, mut outcome) = (Vec::new(), vec![None; parents.len()]);
        let mut picks = picks.into_iter();
        let note = |next: Vec<Next>, running: &mut Vec<u64>, outcome: &mut Vec<Option<bool>>| {
            for next in next {
                match next {
                    Next::Begin(job) => running.push(job),
                    Next::Skip { job, .. } => assert_eq!(outcome[job as usize].replace(false), None, "ended twice"),
                }
            }
        };
        let mut unread = 0..parents.len() as u64;
        loop {
            let pick = picks.next();
            // Now a job is read, now one ends.
            let read = running.is_empty() || pick.is_some_and(|pick| pick.index(2) == 0);
            if read && let Some(job) = unread.next() {
                match flow.add(job, &terms[job as usize]) {
                    Verdict::Begin => running.push(job),
                    Verdict::Wait => {}
                    Verdict::Skip(parent) => {
                        prop_assert_eq!(outcome[parent as usize], Some(false));
                        outcome[job as usize] = Some(false);
                    }
                }
                continue;
            }
            if running.is_empty() {
                break;
            }
            let job = running.swap_remove(pick.map_or(0, |pick| pick.index(running.len())));
            for parent in &parents[job as usize] {
                prop_assert_eq!(outcome[*parent as usize], Some(true), "{} began before {} had succeeded", job, parent);
            }
            let fate = fates[job as usize];
            prop_assert_eq!(outcome[job as usize].replace(fate), None);
            note(flow.end(job, fate), &mut running, &mut outcome);
        }
        prop_assert!(outcome.iter().all(Option::is_some) && flow.waiting() == 0);
    }
}
