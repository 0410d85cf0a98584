//! `tandem map` with a file of results: written, gone on with, and begun with the first inputs alone.
#![cfg(unix)]

use crate::program::{Ended, tandem, tandem_reading};
use crate::resume::Night;

/// Maps inputs over a script, in which `$1` is the input, and which notes what has run.
fn map(night: &Night, options: &[&str], inputs: &[&str], script: &str) -> Ended {
    let (output, script) = (night.path("r.jsonl"), format!("echo \"$1\" >> {}; {script}", night.path("log")));
    tandem(&[&["map", "--output", &output], options, inputs, &["--", "sh", "-c", &script, "sh"]].concat())
}

fn ids(night: &Night) -> Vec<String> {
    night.outcomes().iter().map(|outcome| outcome["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn outcomes_of_a_map_go_to_a_file_in_the_order_of_the_inputs_and_nothing_is_printed() {
    let night = Night::new("");
    let ended = map(&night, &["--jobs", "3"], &["0.2", "0", "0.1"], "sleep $1; echo slept $1").expect(0);
    assert_eq!((&*ended.out, &*ended.err), ("", "3 jobs, 0 failed\n"));
    assert_eq!(ids(&night), ["0.2", "0", "0.1"]);
    assert_eq!(night.outcomes()[0]["result"]["stdout"], "slept 0.2\n");
    let ended = tandem(&["map", "--output", &night.path(""), "x", "--", "true"]).expect(2);
    assert!(ended.err.contains("is a folder: name a file in it for the results"), "{}", ended.err);
}

#[test]
fn a_map_goes_on_with_what_has_succeeded_though_inputs_have_come_and_gone() {
    let night = Night::new("");
    let ended = map(&night, &["--resume"], &["a", "b", "c"], "test $1 != b").expect(1);
    assert!(ended.err.ends_with("3 jobs, 1 failed\n"), "{}", ended.err);
    assert_eq!(night.ran(), "a b c");
    let first = night.read("r.jsonl");
    // The program is another one for no input but by its input, and so the same.
    let ended = map(&night, &["--resume"], &["b", "a", "d"], "test $1 != b").expect(1);
    assert_eq!(night.ran(), "b d");
    assert!(ended.err.contains("1 kept from an earlier run"), "{}", ended.err);
    assert!(
        ended.err.contains("1 outcome of an earlier run left out: its job has changed, or is gone from the inputs"),
        "{}",
        ended.err
    );
    assert_eq!(ids(&night), ["b", "a", "d"]);
    let kept = night.read("r.jsonl").lines().nth(1).unwrap().replace("\"index\":1", "\"index\":0");
    assert_eq!(Some(&*kept), first.lines().next());
    // Another program is another job.
    map(&night, &["--resume"], &["b", "a", "d"], "true").expect(0);
    assert_eq!(night.ran(), "a b d");
    let ended = tandem(&["map", "--resume", "x", "--", "true"]).expect(2);
    assert!(ended.err.contains("--resume: there is no file to go on with: add --output"), "{}", ended.err);
}

#[test]
fn an_input_that_comes_more_than_once_is_kept_as_often() {
    let night = Night::new("");
    map(&night, &["--resume"], &["a", "a", "#1", "a"], "true").expect(0);
    assert_eq!(ids(&night), ["a", "a (2)", "#1", "a (3)"]);
    assert_eq!(night.ran(), "#1 a a a");
    let before = night.read("r.jsonl");
    let ended = map(&night, &["--resume"], &["a", "a", "#1", "a", "a"], "true").expect(0);
    assert_eq!((&*night.ran(), &*ended.err), ("a", "5 jobs, 0 failed, 4 kept from an earlier run\n"));
    assert!(night.read("r.jsonl").starts_with(&before));
}

#[test]
fn a_map_of_standard_input_over_workers_is_gone_on_with_whatever_their_number() {
    let night = Night::new("");
    let script = format!("while read line; do echo \"$line\" | tee -a {}; done", night.path("log"));
    let output = night.path("r.jsonl");
    let run = |workers: &str, inputs: &[u8]| {
        let args = ["map", "--output", &output, "--resume", "--workers", workers, "--", "sh", "-c", &script];
        tandem_reading(&args, inputs).expect(0)
    };
    run("1", b"x\ny\n");
    assert_eq!(night.ran(), "\"x\" \"y\"");
    let ended = run("2", b"x\nz\ny\n");
    assert_eq!((&*night.ran(), &*ended.err), ("\"z\"", "3 jobs, 0 failed, 2 kept from an earlier run\n"));
}

#[test]
fn the_first_inputs_of_a_map_run_alone_and_the_rest_only_if_these_succeed() {
    let night = Night::new("");
    let ended = map(&night, &["--first", "1"], &["a", "b", "c"], "echo so $1; false").expect(1);
    assert_eq!((&*night.ran(), ids(&night)), ("a", vec!["a".to_owned()]));
    assert!(ended.err.contains("so a"), "{}", ended.err);
    assert!(
        ended.err.contains("the first job did not succeed: the rest of the inputs was not run; without --first it is"),
        "{}",
        ended.err
    );
    let ended = tandem(&["map", "--first", "2", "a", "b", "c", "--", "echo"]).expect(0);
    assert_eq!(ended.out, "a\nb\nc\n");
    assert!(ended.err.contains("the first 2 jobs succeeded: going on with the rest"), "{}", ended.err);
}
