//! Runs that go on (`--resume`) after their job file, or what it reads, was edited in between.
#![cfg(unix)]

use crate::resume::{Night, named};

#[test]
fn where_the_first_job_of_a_run_that_goes_on_fails_the_outcomes_of_the_rest_stay() {
    let rest: String = (1..10).map(|n| named(&format!("j{n}"), "", "")).collect();
    let night = Night::new(&[&named("j0", "", ""), &*rest].concat());
    night.run(&[]).expect(0);
    night.ran();
    let before = night.read("r.jsonl");
    night.jobs(&[&named("j0", "exit 3", ""), &*rest].concat());
    let ended = night.run(&["--resume", "--first", "1"]).expect(1);
    assert!(ended.err.contains("the first job did not succeed: the rest of "), "{ended:?}");
    assert!(ended.err.contains("r.jsonl is as it was, and "), "{ended:?}");
    assert_eq!((&*night.ran(), night.read("r.jsonl")), ("j0", before));
    night.jobs(&[&named("j0", "true", ""), &*rest].concat());
    let ended = night.run(&["--resume", "--first", "1"]).expect(0);
    assert_eq!((&*night.ran(), night.outcomes().len()), ("j0", 10));
    assert!(ended.err.ends_with("10 jobs, 0 failed, 9 kept from an earlier run\n"), "{ended:?}");
    // Where the first are all that there are, nothing is left to go on with.
    night.jobs(&named("j0", "exit 3", ""));
    night.run(&["--resume", "--first", "1"]).expect(1);
    assert_eq!((night.outcomes().len(), night.files()), (1, vec!["jobs.jsonl".into(), "log".into(), "r.jsonl".into()]));
}
