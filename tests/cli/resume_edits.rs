//! Runs that go on (`--resume`) after their job file, or what it reads, was edited in between.
#![cfg(unix)]

use crate::program::{start, write};
use crate::resume::{Night, job, named};

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

#[test]
fn the_inputs_of_a_job_that_takes_values_of_others_count() {
    let takes = ",\"inputs\":[\"in\"],\"env\":{\"A\":{\"$result\":\"a.stdout\"}}";
    let file = "{\"id\":\"f\",\"kind\":\"primes\",\"file\":{\"$result\":\"a.stdout\"}}\n";
    let retried = named("c", "cat in; echo $A", &format!("{takes},\"retries\":1"));
    let night = Night::new(&[&named("a", "printf n.txt", ""), &*retried, file].concat());
    write(night.folder.path(), "in", "1\n");
    write(night.folder.path(), "n.txt", "97\n");
    night.run(&[]).expect(0);
    assert_eq!((&*night.ran(), &night.outcomes()[1]["result"]["stdout"]), ("a c", &"1\nn.txt\n".into()));
    let ended = night.resume().expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("", "3 jobs, 0 failed, 3 kept from an earlier run\n"));
    // A file that the line names, and one whose name is a value.
    write(night.folder.path(), "in", "1\n2\n");
    night.resume().expect(0);
    assert_eq!((&*night.ran(), &night.outcomes()[1]["result"]["stdout"]), ("c", &"1\n2\nn.txt\n".into()));
    write(night.folder.path(), "n.txt", "98\n99\n");
    let ended = night.resume().expect(0);
    assert!(ended.err.starts_with("3 jobs, 0 failed, 2 kept from an earlier run\n"), "{ended:?}");
    assert_eq!(night.outcomes()[2]["result"]["is_prime"], serde_json::json!([false, false]));
}

#[test]
fn an_outcome_is_not_kept_when_its_job_has_run_otherwise_since() {
    let chain = |word: &str, then: &str| {
        let read = named("c", &format!("cat data; {then}"), ",\"after\":\"p\",\"inputs\":[\"data\"]");
        named("p", &format!("echo {word} > data"), "") + &read
    };
    let night = Night::new(&chain("one", ""));
    night.run(&[]).expect(0);
    // Edited, and killed when the first of the chain has ended.
    night.jobs(&chain("two", "sleep 600"));
    let output = night.path("r.jsonl");
    let mut child =
        start(&["run", &night.path("jobs.jsonl"), "--output", &output, "--resume"], std::process::Stdio::null());
    let begun = std::time::Instant::now();
    // What follows it has begun by then, so that it does not note its run later.
    while !night.read("r.jsonl.partial").contains("\"id\":\"p\"") || night.read("log") != "p\nc\np\nc\n" {
        assert!(begun.elapsed().as_secs() < 60, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(night.read("data"), "two\n");
    night.ran();
    // What the file now says has run, but its data are not there any more.
    night.jobs(&chain("one", ""));
    night.resume().expect(0);
    assert_eq!((&*night.ran(), &*night.read("data")), ("c p", "one\n"));
    assert_eq!(night.outcomes()[1]["result"]["stdout"], "one\n");
}

#[test]
fn jobs_of_a_matrix_without_an_id_are_kept_when_their_line_has_moved() {
    let line = job("{x}", "", ",\"matrix\":{\"x\":[1,2,3],\"seed\":[7,8]}");
    let night = Night::new(&line);
    night.run(&[]).expect(0);
    assert_eq!(night.ran(), "1 1 2 2 3 3");
    night.jobs(&[&*job("new", "", ""), "\n", &line.replace("[1,2,3]", "[3,1]")].concat());
    let ended = night.resume().expect(0);
    assert_eq!(night.ran(), "new");
    assert!(ended.err.starts_with("5 jobs, 0 failed, 4 kept from an earlier run\n2 outcomes of"), "{ended:?}");
    let ids: Vec<_> = night.outcomes().iter().map(|outcome| outcome["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["#1", "#3/x=3,seed=7", "#3/x=3,seed=8", "#3/x=1,seed=7", "#3/x=1,seed=8"]);
    night.resume().expect(0);
    assert_eq!(night.ran(), "");
}

#[test]
fn how_many_workers_there_are_and_what_the_model_calls_them_changes_no_job() {
    let script = "while read x; do echo asked >> log; echo \\\"$x\\\"; done";
    let line = |more: &str| format!("{{\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}\"]{more}}}\n");
    let night = Night::new(&line(",\"workers\":1"));
    night.run(&[]).expect(0);
    assert_eq!(night.ran(), "asked");
    night.jobs(&line(",\"workers\":2,\"name\":\"echoes\""));
    let ended = night.resume().expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("", "1 job, 0 failed, 1 kept from an earlier run\n"));
    // Without workers it is something else: a program that reads nothing, once.
    night.jobs(&line(""));
    night.resume().expect(0);
    assert_eq!(night.outcomes()[0]["result"]["stdout"], "");
}
