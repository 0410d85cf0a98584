//! Signals.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use crate::program::{file, interrupt, start};

/// Waits until the program catches the signals that end it: one before that ends the process as the system has it.
#[cfg(target_os = "linux")]
fn wait_until_it_listens(child: &Child) {
    let both = 1 << (libc::SIGINT - 1) | 1 << (libc::SIGTERM - 1);
    let begun = std::time::Instant::now();
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & both == both {
            return;
        }
        assert!(begun.elapsed().as_secs() < 60, "no handler was installed: {status}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Elsewhere nothing shows it.
#[cfg(not(target_os = "linux"))]
fn wait_until_it_listens(_: &Child) {
    std::thread::sleep(std::time::Duration::from_secs(2));
}

fn signal(child: &Child, name: &str) {
    interrupt(child, if name == "TERM" { libc::SIGTERM } else { libc::SIGINT });
}

#[test]
fn an_interrupted_run_writes_the_outcomes_of_what_it_had_begun() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let jobs = "{\"kind\":\"primes\",\"numbers\":[97]}\n{\"kind\":\"primes\",\"range\":[0,\"1e18\"],\"method\":\"sieve\"}\n";
        let (_folder, path) = file("jobs.jsonl", jobs);
        let mut child = start(&["run", &path], Stdio::null());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.contains("\"index\":0"), "{line}");
        // The range is under way by then. The first lets it go on, and it would for years; the second ends it.
        std::thread::sleep(std::time::Duration::from_millis(500));
        signal(&child, name);
        std::thread::sleep(std::time::Duration::from_millis(100));
        signal(&child, name);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let outcome: serde_json::Value = serde_json::from_str(&rest).unwrap();
        assert_eq!((&outcome["index"], &outcome["error"]["cause"]), (&1.into(), &"cancelled".into()));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.ends_with("2 jobs, 0 failed, 1 cancelled\n") && !err.contains("interrupted"), "{err}");
    }
}

#[test]
fn a_first_interruption_lets_what_has_begun_end_and_begins_nothing_more() {
    let begun = "{\"id\":\"begun\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"sleep 1; echo done\"]}\n";
    let waits = "{\"kind\":\"command\",\"argv\":[\"echo\",\"x\"],\"after\":[\"begun\"]}\n";
    let queued = "{\"kind\":\"command\",\"argv\":[\"echo\",\"x\"]}\n";
    let (_folder, path) = file("jobs.jsonl", [begun, waits, queued].concat());
    let child = start(&["run", &path, "--threads", "1"], Stdio::null());
    wait_until_it_listens(&child);
    std::thread::sleep(std::time::Duration::from_millis(400));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8(output.stdout).unwrap();
    let outcomes: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(outcomes.len(), 3, "{out}");
    assert_eq!(outcomes[0]["result"]["stdout"], "done\n");
    assert_eq!(
        (&outcomes[1]["error"]["cause"], &outcomes[2]["error"]["cause"]),
        (&"not_started".into(), &"not_started".into())
    );
    assert!(String::from_utf8(output.stderr).unwrap().ends_with("3 jobs, 0 failed, 2 not started\n"));
}

#[test]
fn a_single_job_is_interrupted_too() {
    let child = start(&["primes", "--range", "0..1e18", "--method", "sieve"], Stdio::null());
    wait_until_it_listens(&child);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty());
}

#[test]
fn waiting_for_a_pipe_does_not_hold_an_interruption_up() {
    let mut child = start(&["run", "-"], Stdio::piped());
    let input = child.stdin.take().unwrap();
    wait_until_it_listens(&child);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines[1..], ["interrupted: the rest of standard input was not run", "0 jobs, 0 failed"]);
    assert!(lines[0].starts_with("ending: "), "{err}");
}

#[test]
fn a_single_job_that_waits_for_a_silent_pipe_ends_at_the_first_signal() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        for args in [&["stats", "-"][..], &["primes", "--file", "-"]] {
            let mut child = start(args, Stdio::piped());
            let input = child.stdin.take().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            signal(&child, name);
            let begun = std::time::Instant::now();
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                if begun.elapsed().as_secs() >= 20 {
                    child.kill().unwrap();
                    panic!("{args:?} goes on after SIG{name}");
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            };
            drop(input);
            assert_eq!(status.code(), Some(code), "{args:?}");
        }
    }
}

#[test]
fn an_interrupted_run_says_that_the_rest_was_not_run() {
    let (_folder, path) = file("many.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(1_000_000));
    let mut child = start(&["run", &path], Stdio::null());
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    assert!(lines[0].contains("once more ends that too"), "{err}");
    assert_eq!(lines[1], format!("interrupted: the rest of {path} was not run"));
    assert!(lines[2].contains(" jobs, 0 failed"), "{err}");
}
