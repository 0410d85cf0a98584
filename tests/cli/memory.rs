//! Jobs within the memory of the run.
#![cfg(unix)]

use std::path::Path;

use crate::program::{file, tandem};

/// A command that notes when it begins and when it ends.
fn noting(log: &Path, between: &str, more: &str) -> String {
    let log = log.display();
    let script = format!("echo + >> {log}; {between}; echo - >> {log}");
    format!("{{\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}\"]{more}}}\n")
}

/// How many ran at once at most, by what they noted; all have ended.
fn at_once(log: &Path) -> (usize, usize) {
    let (mut now, mut most, mut all) = (0_usize, 0, 0);
    for line in std::fs::read_to_string(log).unwrap().lines() {
        match line {
            "+" => (now, all) = (now + 1, all + 1),
            _ => now -= 1,
        }
        most = most.max(now);
    }
    assert_eq!(now, 0);
    (most, all)
}

#[test]
fn of_sixteen_jobs_of_two_gib_no_more_than_four_run_at_once_in_eight_and_all_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let (_folder, jobs) = file("jobs.jsonl", noting(&log, "sleep 0.05", ",\"memory\":\"2GiB\"").repeat(16));
    let ended = tandem(&["run", &jobs, "--memory", "8GiB", "--jobs", "16"]).expect(0);
    assert_eq!(ended.json().len(), 16);
    let (most, all) = at_once(&log);
    assert_eq!(all, 16);
    assert!((2..=4).contains(&most), "{most} at once");
}

#[test]
fn of_commands_that_say_nothing_no_more_run_at_once_than_others_of_their_name_have_shown_to_fit() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // A shell that holds 40 MB and more.
    let hold = "x=$(head -c 40000000 /dev/zero | tr '\\\\0' x); sleep 0.1";
    let (_folder, jobs) = file("jobs.jsonl", noting(&log, hold, ",\"name\":\"holder\"").repeat(8));
    let ended = tandem(&["run", &jobs, "--memory", "150MB", "--jobs", "8"]).expect(0);
    assert_eq!(ended.json().len(), 8);
    let (most, all) = at_once(&log);
    assert_eq!(all, 8);
    assert!(most <= 3, "{most} at once");
}

#[test]
fn what_needs_memory_has_its_turn_among_many_that_need_none_and_wait_for_the_same_threads() {
    // With a time-out, none of them is run on the spot.
    let plain =
        "{\"kind\":\"factor\",\"n\":\"340282366920938463463374607431768211297\",\"timeout\":\"5m\"}\n".repeat(60);
    let needy = "{\"kind\":\"command\",\"argv\":[\"true\"]}\n{\"kind\":\"factor\",\"n\":\"91\",\"memory\":\"1MiB\"}\n\
        {\"kind\":\"primes\",\"numbers\":[97],\"memory\":\"1MiB\"}\n";
    let (_folder, jobs) = file("jobs.jsonl", plain.clone() + needy + &plain + needy);
    for threads in ["1", "2"] {
        let ended = tandem(&["run", &jobs, "--threads", threads, "--memory", "1GiB"]).expect(0);
        assert_eq!(ended.json().len(), 126);
    }
}

#[test]
fn what_can_never_fit_fails_at_once_and_says_so_and_the_others_run() {
    let jobs = "{\"kind\":\"primes\",\"numbers\":[97],\"memory\":\"3GiB\"}\n\
        {\"kind\":\"command\",\"argv\":[\"true\"],\"memory\":\"2.5GiB\"}\n\
        {\"kind\":\"factor\",\"n\":\"91\",\"memory\":\"1GiB\"}\n\
        {\"kind\":\"primes\",\"numbers\":[97],\"memory\":2147483648}\n";
    let (_folder, jobs) = file("jobs.jsonl", jobs);
    let ended = tandem(&["run", &jobs, "--memory", "2GiB", "--results-only"]).expect(1);
    let outcomes = ended.json();
    for (outcome, need) in outcomes.iter().zip(["3.00 GiB", "2.50 GiB"]) {
        assert_eq!(outcome["error"]["cause"], "memory");
        let message = outcome["error"]["message"].as_str().unwrap();
        assert!(message.contains(need) && message.contains("2.00 GiB") && message.contains("--memory"), "{message}");
    }
    assert_eq!(outcomes[2]["result"]["factors"][1]["prime"], "13");
    assert_eq!(outcomes[3]["result"]["prime_count"], 1);
}

#[test]
fn an_amount_that_is_none_is_told_with_its_place() {
    let (_folder, jobs) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97],\"memory\":\"lots\"}\n");
    let ended = tandem(&["run", &jobs]).expect(1);
    let message = ended.json()[0]["error"]["message"].to_string();
    assert!(message.contains("jobs.jsonl:1:48: `lots` is no amount of memory"), "{message}");
}
