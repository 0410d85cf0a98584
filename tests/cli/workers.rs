//! Long-lived workers: programs that answer a line of JSON for each job.
#![cfg(unix)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::many_jobs::{causes, running};
use crate::program::{Ended, file, start, tandem, tandem_reading};

/// Answers `[its process number, its job]`.
const ECHO: &str = r#"while read -r line; do printf '[%s,%s]\n' $$ "$line"; done"#;

fn job(script: &str, workers: u32, input: &str, more: &str) -> String {
    let argv = json!(["sh", "-c", script]);
    format!("{{\"kind\":\"command\",\"argv\":{argv},\"workers\":{workers},\"input\":{input}{more}}}\n")
}

fn run(jobs: &str, args: &[&str]) -> Ended {
    let (_folder, path) = file("jobs.jsonl", jobs);
    tandem(&[&["run", &path, "--results-only"], args].concat())
}

fn answers(ended: &Ended) -> Vec<Value> {
    ended.json().iter().map(|outcome| outcome["result"]["answer"].clone()).collect()
}

fn messages(ended: &Ended) -> Vec<String> {
    ended.json().iter().map(|outcome| outcome["error"]["message"].as_str().unwrap_or("ok").to_owned()).collect()
}

/// Waits until nothing runs with these words.
fn gone(words: &str) {
    let begun = Instant::now();
    while running(words) > 0 {
        assert!(begun.elapsed().as_secs() < 20, "{words} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The distinct process numbers of [`ECHO`]'s answers.
fn processes(ended: &Ended) -> std::collections::BTreeSet<u64> {
    answers(ended).iter().map(|answer| answer[0].as_u64().expect("a process number")).collect()
}

#[test]
fn jobs_share_a_few_processes_and_numbers_pass_digit_for_digit() {
    let inputs: Vec<String> =
        (0..40).map(|n| format!("{{\"n\":{n}.10,\"big\":123456789012345678901234567890}}")).collect();
    let jobs: String = inputs.iter().map(|input| job(ECHO, 2, input, "")).collect();
    let ended = run(&jobs, &["--threads", "8"]).expect(0);
    for (line, input) in ended.out.lines().zip(&inputs) {
        assert!(line.contains(&format!(",{input}],\"stderr\":\"\"}}")), "{line} answers {input}");
    }
    let count = processes(&ended).len();
    assert!((1..=2).contains(&count), "{count} processes answered");
    // Another environment is another pool, and so is another number of workers.
    let jobs = [job(ECHO, 1, "1", ""), job(ECHO, 1, "1", ",\"env\":{\"A\":\"1\"}"), job(ECHO, 2, "1", "")].concat();
    assert_eq!(processes(&run(&jobs, &["--threads", "1"]).expect(0)).len(), 3);
}

#[test]
fn a_worker_that_dies_fails_its_job_alone_and_the_next_has_a_fresh_one() {
    let script = r#"while read -r line; do
        case $line in 1) echo out of luck >&2; exit 7;; 3) kill -9 $$;; *) echo "$line";; esac; done"#;
    let jobs: String = (0..6).map(|n| job(script, 1, &n.to_string(), "")).collect();
    let ended = run(&jobs, &[]).expect(1);
    assert_eq!(causes(&ended), ["ok", "exit_code", "ok", "signal", "ok", "ok"]);
    assert_eq!(answers(&ended)[5], 5);
    let failed = &ended.json()[1]["error"];
    assert_eq!((&failed["exit_code"], &failed["stderr"]), (&7.into(), &"out of luck\n".into()));
    assert!(messages(&ended)[1].ends_with("ended with exit code 7 before it answered: out of luck"), "{failed}");
    assert_eq!(ended.json()[3]["error"]["signal"], "SIGKILL");
}

#[test]
fn a_worker_that_ends_before_it_has_read_its_next_job_fails_none() {
    // Each is asked while it is about to end: by itself, or killed.
    for end in ["exit 3", "kill -9 $$"] {
        let script = format!("read -r line; echo hi >&2; echo $line; sleep 0.2; echo bye >&2; {end}");
        let long = format!("\"{}\"", "x".repeat(200_000));
        let jobs: String = ["0", "1", &long, "3"].iter().map(|input| job(&script, 1, input, "")).collect();
        let ended = run(&jobs, &[]).expect(0);
        let answers = answers(&ended);
        assert_eq!(
            (&answers[1], answers[2].as_str().map(str::len), &answers[3]),
            (&1.into(), Some(200_000), &3.into())
        );
        assert_eq!(ended.json()[3]["result"]["stderr"], "hi\n", "what the one before printed last is nobody's");
    }
    // One that has read of its job may have done some of it.
    let script = "read -r line; echo $line; sleep 0.2; head -c 1 > /dev/null; exit 3";
    let ended = run(&(0..3).map(|n| job(script, 1, &n.to_string(), "")).collect::<String>(), &[]).expect(1);
    // Which of the first two the worker is asked first is left to two threads.
    let mut causes = causes(&ended);
    causes.sort();
    assert_eq!(causes, ["exit_code", "ok", "ok"], "{ended:?}");
}

#[test]
fn a_worker_that_cannot_begin_is_begun_once_a_job() {
    let (folder, _) = file("x", "");
    let begun = folder.path().join("begun");
    let script = format!("echo x >> {}; echo no model >&2; exit 3", begun.display());
    let jobs: String = (0..5).map(|n| job(&script, 2, &n.to_string(), "")).collect();
    let ended = run(&jobs, &[]).expect(1);
    assert_eq!(causes(&ended), ["exit_code"; 5]);
    assert!(messages(&ended)[4].contains("no model"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(begun).unwrap().lines().count(), 5);
    let ended = run("{\"kind\":\"command\",\"argv\":[\"no-such-program\"],\"workers\":1}\n", &[]).expect(1);
    assert!(messages(&ended)[0].contains("no such program"), "{ended:?}");
}

#[test]
fn a_worker_that_hangs_is_ended_with_what_it_started_and_its_job_times_out() {
    let marker = format!("971{}", std::process::id());
    let script = format!(
        "trap '' TERM; while read -r line; do [ $line = 1 ] && {{ sleep {marker} & sleep {marker}; }}; echo $line; done"
    );
    let jobs = [job(&script, 1, "0", ""), job(&script, 1, "1", ",\"timeout\":\"300ms\""), job(&script, 1, "2", "")];
    let ended = run(&jobs.concat(), &[]).expect(1);
    assert_eq!(causes(&ended), ["ok", "timeout", "ok"]);
    assert_eq!(running(&format!("sleep {marker}")), 0, "something still runs");
}

#[test]
fn what_is_no_answer_fails_its_job_and_the_next_has_a_fresh_worker() {
    let script = r#"while read -r line; do case $line in
        1) echo loading...;; 2) printf '2\n2\n';; 3) echo "[1";; 4) echo;; *) echo $line;; esac; done"#;
    let jobs: String = (0..6).map(|n| job(script, 1, &n.to_string(), "")).collect();
    let ended = run(&jobs, &[]).expect(1);
    assert_eq!(causes(&ended), ["ok", "io", "io", "io", "io", "ok"]);
    let messages = messages(&ended);
    assert!(messages[1].contains("no JSON (`loading...`)"), "{messages:?}");
    assert!(messages[2].contains("more than the one line"), "{messages:?}");
    assert_eq!((&answers(&ended)[0], &answers(&ended)[5]), (&0.into(), &5.into()));
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let ended = run(&job("read line; yes | tr -d '\\n'", 1, "0", ""), &[]).expect(1);
    assert_eq!(causes(&ended), ["io"]);
    assert!(messages(&ended)[0].contains("a line of more than 16777216 bytes"), "{ended:?}");
}

#[test]
fn a_worker_that_closes_a_pipe_and_lives_on_is_ended() {
    let marker = format!("972{}", std::process::id());
    let deaf = format!("exec <&-; sleep {marker}");
    let long = format!("\"{}\"", "x".repeat(1_000_000));
    let jobs = [job(&format!("read line; exec >&-; sleep {marker}"), 1, "0", ""), job(&deaf, 1, &long, "")];
    let ended = run(&jobs.concat(), &[]).expect(1);
    assert_eq!(causes(&ended), ["io", "io"]);
    let messages = messages(&ended);
    assert!(messages[0].contains("closed its standard output"), "{messages:?}");
    assert!(messages[1].contains("closed its standard input"), "{messages:?}");
    assert_eq!(running(&format!("sleep {marker}")), 0, "something still runs");
}

#[test]
fn a_flood_on_standard_error_holds_nobody_up_and_is_of_the_job_that_ran() {
    let script =
        r#"while read -r line; do [ $line = 1 ] && yes | head -c 3000000 >&2; echo $line >&2; echo $line; done"#;
    let jobs: String = (0..3).map(|n| job(script, 1, &n.to_string(), "")).collect();
    let ended = run(&jobs, &[]).expect(0);
    let results: Vec<Value> = ended.json().iter().map(|outcome| outcome["result"].clone()).collect();
    assert_eq!((&results[0]["stderr"], &results[2]["stderr"]), (&"0\n".into(), &"2\n".into()));
    assert_eq!(
        (results[1]["stderr"].as_str().unwrap().len(), &results[1]["stderr_bytes"]),
        (64 << 10, &3_000_002.into())
    );
    let path = results[1]["stderr_file"].as_str().unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 3_000_002);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_job_longer_than_a_pipe_reaches_a_worker_that_talks_before_it_listens() {
    let long = format!("\"{}\"", "x".repeat(3_000_000));
    let script = "yes | head -c 1000000 >&2; while read -r line; do printf '%s\\n' \"$line\"; done";
    let ended = run(&job(script, 1, &long, ""), &[]).expect(0);
    assert_eq!(answers(&ended)[0].as_str().map(str::len), Some(3_000_000));
    std::fs::remove_file(ended.json()[0]["result"]["stderr_file"].as_str().unwrap()).unwrap();
}

#[test]
fn no_worker_outlives_its_run_however_that_ends() {
    let marker = format!("973{}", std::process::id());
    let words = format!("sleep {marker}");
    // It neither ends with its input nor when it is asked to.
    let script = format!("trap '' TERM; read line; echo 1; sleep {marker} & while :; do sleep {marker}; done");
    let ended = run(&job(&script, 1, "0", ""), &[]).expect(0);
    assert_eq!((answers(&ended)[0].as_u64(), running(&words)), (Some(1), 0));
    // The second job keeps the run going while the worker is idle.
    let jobs = job(&script, 1, "0", "") + "{\"kind\":\"command\",\"argv\":[\"sleep\",\"60\"]}\n";
    let (_folder, path) = file("jobs.jsonl", jobs);
    let mut child = start(&["run", &path, "--threads", "2"], std::process::Stdio::null());
    let begun = Instant::now();
    while running(&words) < 2 {
        assert!(begun.elapsed().as_secs() < 20, "the worker does not run");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    gone(&words);
}

#[test]
fn jobs_that_wait_for_a_worker_hold_nobody_up() {
    let begun = Instant::now();
    let slow = "while read -r line; do sleep 0.4; echo 1; done";
    let jobs: String = (0..8).map(|n| job(slow, 1, &n.to_string(), "")).collect::<String>()
        + "{\"id\":\"last\",\"kind\":\"command\",\"argv\":[\"echo\",\"here\"]}\n";
    let ended = run(&jobs, &["--threads", "2", "--unordered"]).expect(0);
    let place = ended.json().iter().position(|outcome| outcome["id"] == "last").unwrap();
    assert!(place <= 2, "it came as number {place}, though a lane was free for it");
    assert!(begun.elapsed().as_secs_f64() > 3.0, "one worker did the work of several");
}

#[test]
fn a_halted_run_ends_the_worker_and_the_jobs_that_wait_for_it() {
    let marker = format!("974{}", std::process::id());
    let (folder, _) = file("unused", "");
    let asked = folder.path().join("asked");
    let script = format!("while read -r line; do touch {}; sleep {marker}; done", asked.display());
    // It fails once one of the others has the worker, whichever that is, and the rest wait for it.
    let waits = format!("until [ -e {} ]; do sleep 0.05; done; exit 1", asked.display());
    let failing = format!("{{\"kind\":\"command\",\"argv\":{}}}\n", json!(["sh", "-c", waits]));
    let jobs: String = (0..3).map(|n| job(&script, 1, &n.to_string(), "")).collect();
    let ended = run(&(failing + &jobs), &["--fail-fast", "--threads", "2"]).expect(1);
    let causes = causes(&ended);
    assert_eq!(causes[0], "exit_code");
    assert!(causes[1..].iter().all(|cause| cause == "cancelled" || cause == "not_started"), "{causes:?}");
    assert_eq!(running(&format!("sleep {marker}")), 0, "something still runs");
}

#[test]
fn map_asks_workers_its_inputs_as_strings() {
    let script = r#"while read -r line; do echo seen >&2; printf '{"got":%s}\n' "$line"; done"#;
    let ended = tandem_reading(&["map", "--workers", "2", "--", "sh", "-c", script], b"a b\n\"q\"\n").expect(0);
    assert_eq!((&*ended.out, &*ended.err), ("{\"got\":\"a b\"}\n{\"got\":\"\\\"q\\\"\"}\n", "seen\nseen\n"));
    let ended = tandem(&["map", "--workers", "1", "x", "--", "sh", "{}"]).expect(2);
    assert!(ended.err.contains("leave {} out"), "{}", ended.err);
    let ended = tandem(&["map", "--workers", "0", "x", "--", "sh"]).expect(2);
    assert!(ended.err.contains("--workers"), "{}", ended.err);
}

#[test]
fn a_dry_run_starts_no_worker() {
    let (folder, _) = file("x", "");
    let begun = folder.path().join("begun");
    let script = format!("echo x > {}; read line; echo 1", begun.display());
    run(&job(&script, 1, "0", ""), &["--dry-run"]).code.expect("it ends");
    assert!(!begun.exists());
}

#[test]
fn a_worker_that_prints_two_lines_one_at_a_time_never_answers_another_job() {
    let script = "while read -r line; do echo $line; echo 99; done";
    let jobs: String = (0..6).map(|n| job(script, 2, &n.to_string(), "")).collect();
    let ended = run(&jobs, &["--threads", "2"]);
    for (n, outcome) in ended.json().iter().enumerate() {
        let answer = &outcome["result"]["answer"];
        assert!(answer.is_null() || *answer == n, "{n} was answered {answer}");
    }
}
