//! Jobs that wait for others, are tried again, time out, or end a run; and programs over many inputs.
#![cfg(unix)]

use crate::program::{Ended, command, file, tandem, tandem_reading};

fn run(jobs: &str, args: &[&str]) -> Ended {
    let (_folder, path) = file("jobs.jsonl", jobs);
    tandem(&[&["run", &path, "--results-only"], args].concat())
}

/// The cause of each outcome, `ok` where it has none.
pub fn causes(ended: &Ended) -> Vec<String> {
    ended.json().iter().map(|outcome| outcome["error"]["cause"].as_str().unwrap_or("ok").to_owned()).collect()
}

fn shell(id: &str, script: &str, more: &str) -> String {
    format!("{{\"id\":\"{id}\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}\"]{more}}}\n")
}

/// How many processes run with just these words.
#[cfg(target_os = "linux")]
pub fn running(words: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.strip_suffix(b"\0").is_some_and(|line| line.split(|b| *b == 0).eq(words.split(' ').map(str::as_bytes)))
        })
        .count()
}

/// How many processes run with just these words.
#[cfg(not(target_os = "linux"))]
pub fn running(words: &str) -> usize {
    let listed = std::process::Command::new("ps").args(["-A", "-o", "args="]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout).lines().filter(|line| line.trim() == words).count()
}

#[test]
fn a_job_begins_after_those_it_names_and_is_skipped_where_one_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mark = mark.to_str().unwrap();
    let jobs = [
        shell("load", &format!("sleep 0.3; echo 7 > {mark}"), ""),
        shell("bad", "exit 3", ""),
        shell("read", &format!("cat {mark}"), ",\"after\":[\"load\"]"),
        shell("never", "echo never", ",\"after\":[\"load\",\"bad\"]"),
        shell("nor this", "echo never", ",\"after\":[\"never\"]"),
        "{\"kind\":\"primes\",\"numbers\":[97],\"after\":[\"#1\",\"read\"]}\n".to_owned(),
    ];
    let ended = run(&jobs.concat(), &[]).expect(1);
    assert_eq!(causes(&ended), ["ok", "exit_code", "ok", "skipped", "skipped", "ok"]);
    assert_eq!(ended.json()[2]["result"]["stdout"], "7\n");
    assert!(ended.err.ends_with("6 jobs, 1 failed, 2 skipped\n"), "{}", ended.err);
}

#[test]
fn what_can_pass_is_tried_again_and_what_cannot_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let tries = format!("echo x >> {0}; [ $(wc -l < {0}) -ge 3 ] || exit 75; echo got it", count.display());
    let jobs =
        [shell("passes", &tries, ""), shell("stays", "exit 1", ""), shell("no more", "exit 75", ",\"retries\":0")];
    let (_folder, path) = file("jobs.jsonl", jobs.concat());
    let args = ["run", &path, "--retries", "3", "--retry-delay", "10ms", "--retry-exit-codes", "75"];
    let ended = tandem(&args).expect(1);
    assert_eq!(causes(&ended), ["ok", "exit_code", "exit_code"]);
    let attempts: Vec<_> = ended.json().iter().map(|outcome| outcome["attempts"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [3, 1, 1]);
}

#[test]
fn a_command_that_ignores_being_asked_is_made_to_end_with_all_that_it_started() {
    let marker = format!("987{}", std::process::id());
    let script = format!("trap '' TERM; sleep {marker} & sleep {marker}; sleep {marker}");
    let begun = std::time::Instant::now();
    let ended = run(&shell("stubborn", &script, ",\"timeout\":\"300ms\""), &[]).expect(1);
    assert_eq!(causes(&ended), ["timeout"]);
    assert!(begun.elapsed().as_secs() < 20);
    assert_eq!(running(&format!("sleep {marker}")), 0, "something still runs");
}

#[test]
fn a_killed_run_leaves_no_command_running() {
    let marker = format!("988{}", std::process::id());
    let (_folder, path) = file("jobs.jsonl", shell("long", &format!("sleep {marker} & sleep {marker}"), ""));
    let mut child = crate::program::start(&["run", &path], std::process::Stdio::null());
    let running = || running(&format!("sleep {marker}"));
    let wait_for = |count: usize| {
        let begun = std::time::Instant::now();
        while running() != count {
            assert!(begun.elapsed().as_secs() < 20, "{} run, not {count}", running());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait_for(2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(0);
}

#[test]
fn a_flood_of_output_is_bounded_in_the_outcome_and_whole_in_a_file() {
    let ended = run(&shell("flood", "yes | head -c 3000000", ""), &[]).expect(0);
    let result = &ended.json()[0]["result"];
    assert_eq!((result["stdout"].as_str().unwrap().len(), &result["stdout_bytes"]), (64 << 10, &3_000_000.into()));
    let path = result["stdout_file"].as_str().unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 3_000_000);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_run_stops_at_the_failures_that_it_was_told_to_stop_at() {
    let jobs: String =
        (0..200).map(|n| shell(&format!("j{n}"), if n % 2 == 0 { "exit 1" } else { "true" }, "")).collect();
    let ended = run(&jobs, &["--halt", "soon,fail=3", "--jobs", "1"]).expect(1);
    assert_eq!(causes(&ended)[..5], ["exit_code", "ok", "exit_code", "ok", "exit_code"]);
    assert!(ended.err.contains("195 not started"), "{}", ended.err);
    let ended = run(
        &[shell("a", "sleep 30", ""), shell("b", "sleep 0.2; exit 1", "")].concat(),
        &["--fail-fast", "--threads", "2"],
    );
    assert_eq!(causes(&ended.expect(1)), ["cancelled", "exit_code"]);
    let ended = tandem(&["run", "-", "--halt", "sometimes"]).expect(2);
    assert!(ended.err.contains("never, soon,fail=N or now,fail=P%"), "{}", ended.err);
}

#[test]
fn of_jobs_of_which_few_may_run_at_once_those_of_higher_priority_begin_first() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let line = |n: u32, priority: u32| {
        shell(&format!("j{n}"), &format!("echo {n} >> {}", log.display()), &format!(",\"priority\":{priority}"))
    };
    // The first may begin before the others are read.
    let jobs: String = [line(0, 9)].into_iter().chain((1..40).map(|n| line(n, n % 4))).collect();
    run(&jobs, &["--jobs", "1"]).expect(0);
    let begun: Vec<u32> = std::fs::read_to_string(&log).unwrap().lines().map(|n| n.parse().unwrap()).collect();
    let expected = (0..4).rev().flat_map(|priority| (1..40).filter(move |n| n % 4 == priority));
    assert_eq!(begun, std::iter::once(0).chain(expected).collect::<Vec<_>>());
}

#[test]
fn what_programs_printed_that_failed_is_shown_and_files_of_long_outputs_do_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo out; echo one >&2; echo two >&2; exit 3";
    for args in [&["map", "x", "--", "sh", "-c", script][..], &["command", "--", "sh", "-c", script]] {
        let ended = tandem(args).expect(1);
        assert_eq!(ended.out, "out\n", "{args:?}");
        assert!(ended.err.starts_with("one\ntwo\n") && ended.err.contains("exit code 3"), "{}", ended.err);
    }
    let long = ["map", "x", "--", "sh", "-c", "head -c 300000 /dev/zero"];
    let ended = crate::program::tandem_with(&long, &[("TMPDIR", folder.path().to_str().unwrap())]).expect(0);
    assert_eq!(ended.out.len(), 300_000);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "all of it was printed");
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_long_outputs_stay_where_these_could_not_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--unordered"], &["--tag"]] {
        let args = [&["map"], more, &["x", "--", "sh", "-c", "head -c 300000 /dev/zero"]].concat();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = command(&args);
        let ended: Ended = command.env("TMPDIR", folder.path()).stdout(full).output().unwrap().into();
        let ended = ended.expect(1);
        assert!(ended.err.contains("results: standard output: No space left"), "{}", ended.err);
        let left =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).next().expect("a folder");
        let files = std::fs::read_dir(&left).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert_eq!(files.collect::<Vec<_>>(), [300_000], "{args:?}");
        std::fs::remove_dir_all(left).unwrap();
    }
}

#[test]
fn inputs_may_end_with_zero_bytes() {
    let ended = tandem_reading(&["map", "-0", "--", "printf", "<%s>"], b"a b\0c\nd\0e").expect(0);
    assert_eq!(ended.out, "<a b><c\nd><e>");
}

#[test]
fn programs_run_over_inputs_in_their_order_and_braces_are_the_input() {
    let ended =
        tandem_reading(&["map", "--", "sh", "-c", "sleep 0.$((3 - $0)); echo got $0", "{}"], b"1\n2\n3\n").expect(0);
    assert_eq!((&*ended.out, &*ended.err), ("got 1\ngot 2\ngot 3\n", ""));
    let ended = tandem(&["map", "a b", "c", "--tag", "--", "printf", "%s\n"]).expect(0);
    assert_eq!(ended.out, "a b\ta b\nc\tc\n");
    let ended = tandem(&["map", "0", "3", "--", "sh", "-c", "echo at $0 >&2; exit $0"]).expect(1);
    assert!(
        ended.err.contains("at 0\n") && ended.err.contains("3: exit_code: sh ended with exit code 3: at 3"),
        "{}",
        ended.err
    );
    let ended = tandem(&["map", "--json", "x", "--", "echo", "{}"]).expect(0);
    assert_eq!(ended.json()[0]["id"], "x");
}

#[test]
fn more_programs_than_threads_run_at_once_where_one_asks_for_it() {
    let begun = std::time::Instant::now();
    let inputs: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    let args = ["map", "--jobs", "16", "--threads", "1"].into_iter().chain(inputs.iter().map(String::as_str));
    let args: Vec<&str> = args.chain(["--", "sh", "-c", "sleep 0.5"]).collect();
    tandem(&args).expect(0);
    assert!(begun.elapsed().as_secs_f64() < 5.0, "sixteen halves of a second took {:?}", begun.elapsed());
}

#[test]
fn one_job_can_be_looked_at_without_those_it_waits_for() {
    let jobs = [shell("a", "exit 1", ""), shell("b", "echo b", ",\"after\":[\"a\"]")].concat();
    let ended = run(&jobs, &["--only", "b"]).expect(0);
    assert_eq!(ended.json()[0]["result"]["stdout"], "b\n");
    assert!(ended.err.starts_with("`b` does not wait for what is not run with it (--only)\n"), "{}", ended.err);
}

#[test]
fn what_a_program_leaves_running_ends_with_it_though_it_goes_on_printing() {
    let begun = std::time::Instant::now();
    let noisy = "(while :; do echo x; sleep 0.01; done) & exit 0";
    let ended = run(&[shell("noisy", noisy, ""), shell("flood", "yes & exit 0", "")].concat(), &[]).expect(0);
    assert_eq!(causes(&ended), ["ok", "ok"]);
    assert!(begun.elapsed().as_secs() < 20);
    if let Some(path) = ended.json()[1]["result"]["stdout_file"].as_str() {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn jobs_go_on_while_a_pipe_gives_no_more_lines() {
    use std::io::{BufRead, BufReader, Write};
    let mut child = crate::program::start(&["run", "-"], std::process::Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    let jobs = [shell("a", "echo a", ""), shell("b", "echo b", ",\"after\":[\"a\"]")].concat();
    input.write_all(jobs.as_bytes()).unwrap();
    // The second begins and ends though the pipe stays open.
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    assert!(lines[1].contains("\"stdout\":\"b\\n\""), "{lines:?}");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn inputs_that_come_through_a_silent_pipe_can_be_interrupted() {
    let mut child = crate::program::start(&["map", "--", "echo"], std::process::Stdio::piped());
    let input = child.stdin.take().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    crate::program::interrupt(&child, libc::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
}

#[test]
fn what_was_opened_and_has_not_begun_does_not_begin_once_a_run_drains() {
    let jobs = "{\"kind\":\"primes\",\"range\":[0,\"2e10\"],\"method\":\"sieve\",\"device\":\"cpu\"}\n".repeat(6);
    let (_folder, path) = file("jobs.jsonl", jobs);
    let child = crate::program::start(&["run", &path, "--threads", "1", "--results-only"], std::process::Stdio::null());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for _ in 0..2 {
        crate::program::interrupt(&child, libc::SIGINT);
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130));
    let mut causes = causes(&ended);
    causes.sort_unstable();
    let expected = ["cancelled", "not_started", "not_started", "not_started", "not_started", "not_started"];
    assert_eq!(causes, expected, "one had begun");
}

#[test]
fn jobs_that_are_alike_begin_in_their_order() {
    let jobs = "{\"kind\":\"primes\",\"range\":[0,\"1e8\"],\"method\":\"sieve\",\"device\":\"cpu\"}\n".repeat(8);
    let (_folder, path) = file("jobs.jsonl", &jobs);
    let ended = tandem(&["run", &path, "--threads", "1", "--json"]).expect(0);
    // Told by how long each waited: outcomes that follow close on each other may be delivered either way round.
    let queued: Vec<f64> =
        ended.json().iter().map(|outcome| outcome["timings_ms"]["queued"].as_f64().unwrap()).collect();
    // While the answer of one is made up, the next is under way: that is less than half a job.
    let half_ms = queued.iter().copied().fold(0.0, f64::max) / 14.0;
    let is_in_order = queued.is_sorted_by(|before, after| *before < after + half_ms);
    assert!(queued.len() == 8 && is_in_order, "{queued:?}");
}
