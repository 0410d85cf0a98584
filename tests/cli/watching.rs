//! Looking on at a run: its log, its progress, its first jobs, what its programs print.
#![cfg(unix)]

use std::collections::BTreeMap;

use crate::program::{command, file, tandem, tandem_reading};

const JOBS: &str = r#"{"id":"a\tb\nc","kind":"primes","numbers":[97]}
{"id":"bad","kind":"command","argv":["sh","-c","exit 3"]}
{"id":"after bad","kind":"command","argv":["echo","never"],"after":["bad"]}
nonsense
{"id":"large","kind":"primes","range":[0,"3e7"]}
"#;

/// The lines of a job log by id, each by the names of its head.
fn joblog(path: &std::path::Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<BTreeMap<String, String>> = lines
        .map(|cells| {
            assert_eq!(cells.len(), names.len(), "{text}");
            names.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
        })
        .collect();
    let count = rows.len();
    let by_id: BTreeMap<_, _> = rows.into_iter().map(|row| (row["id"].clone(), row)).collect();
    assert_eq!(by_id.len(), count, "a job stands there twice: {text}");
    by_id
}

#[test]
fn the_job_log_has_a_line_for_every_job_however_it_ended() {
    let (folder, jobs) = file("jobs.jsonl", JOBS);
    let log = folder.path().join("log.tsv");
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let ended = tandem(&["run", &jobs, "--joblog", log.to_str().unwrap()]).expect(1);
    let rows = joblog(&log);
    let ids: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(ids, ["#4", "a\\tb\\nc", "after bad", "bad", "large"]);
    for (id, status, cause, device, attempts) in [
        ("a\\tb\\nc", "succeeded", "", "cpu", "1"),
        ("bad", "failed", "exit_code", "cpu", "1"),
        ("after bad", "failed", "skipped", "", "0"),
        ("#4", "failed", "bad_input", "", "1"),
        ("large", "succeeded", "", "cpu", "1"),
    ] {
        let row = &rows[id];
        let found = ["status", "cause", "device", "attempts"].map(|name| row[name].as_str());
        assert_eq!(found, [status, cause, device, attempts], "{id}");
        let (start, seconds) = (row["start"].parse::<f64>().unwrap(), row["seconds"].parse::<f64>().unwrap());
        assert!(start >= before - 0.01 && (0.0..600.0).contains(&seconds), "{id}: {start} {seconds} {before}");
    }
    assert_eq!(ended.json().len(), 5);
}

#[test]
fn a_job_log_that_cannot_be_written_is_named_and_no_result_is_lost() {
    let (folder, jobs) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(3));
    if std::path::Path::new("/dev/full").exists() {
        let ended = tandem(&["run", &jobs, "--joblog", "/dev/full"]).expect(1);
        assert_eq!(ended.json().len(), 3);
        assert!(ended.err.contains("--joblog: /dev/full: ") && ended.err.contains("3 jobs, 0 failed"), "{}", ended.err);
    }
    let nowhere = folder.path().join("none/log.tsv");
    let ended = tandem(&["run", &jobs, "--joblog", nowhere.to_str().unwrap()]).expect(2);
    assert!(
        ended.err.contains("none/log.tsv cannot be written: there is no folder") && ended.out.is_empty(),
        "{ended:?}"
    );
    let ended = tandem(&["run", &jobs, "--joblog", &jobs]).expect(2);
    assert!(ended.err.contains("is the job file: name another file"), "{}", ended.err);
}

#[test]
fn a_run_that_is_refused_leaves_the_job_log_of_another_as_it_is() {
    let (folder, jobs) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, output) = (path("log.tsv"), path("r.jsonl"));
    std::fs::write(path("r.jsonl.partial"), "of a run that was cut off\n").unwrap();
    for (code, refused) in [
        (1, &["run", &jobs, "--joblog", &log, "--output", &output][..]),
        (2, &["run", &jobs, "--joblog", &log, "--output", &path("none/r.jsonl")]),
        (2, &["map", "--joblog", &log, "--workers", "1", "x", "--", "cat", "{}"]),
    ] {
        std::fs::write(&log, "the log of before\n").unwrap();
        tandem(refused).expect(code);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "the log of before\n", "{refused:?}");
    }
    // Nor is it written over what the run writes to, by whatever name.
    for (taken, what) in [
        ("r.jsonl", "the file for the results"),
        ("r.jsonl.partial", "beside its results"),
        ("r.jsonl.sorted", "beside its results"),
    ] {
        let other = format!("{}/./{taken}", folder.path().display());
        for joblog in [path(taken), other] {
            let ended = tandem(&["run", &jobs, "--joblog", &joblog, "--output", &output]).expect(2);
            assert!(ended.err.contains("--joblog: ") && ended.err.contains(what), "{ended:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(path("r.jsonl.partial")).unwrap(), "of a run that was cut off\n");
}

#[test]
fn a_run_that_goes_on_goes_on_with_its_job_log_too() {
    let (folder, jobs) = file("jobs.jsonl", shell("a", "true") + &shell("b", "test -e mended"));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, output) = (path("log.tsv"), path("r.jsonl"));
    let run = |more: &[&str]| tandem(&[&["run", &jobs, "--joblog", &log, "--output", &output], more].concat());
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    run(&["--resume", "--jobs", "1"]).expect(1);
    assert_eq!(lines(), ["id", "a", "b"]);
    std::fs::write(path("mended"), "").unwrap();
    // Of a line that was torn nothing runs on into the next.
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, b"torn\t1").unwrap();
    run(&["--resume"]).expect(0);
    assert_eq!(lines(), ["id", "a", "b", "torn", "b"]);
    run(&["--jobs", "1"]).expect(0);
    assert_eq!(lines(), ["id", "a", "b"]);
}

#[test]
fn the_job_log_is_whole_though_nobody_reads_the_results_any_more() {
    let matrix = (0..3000).map(|n| format!("\"{n:0100}\"")).collect::<Vec<_>>().join(",");
    let wait = shell("wait", "until test -e go; do sleep 0.02; done");
    let many = format!("{{\"id\":\"m\",\"kind\":\"factor\",\"n\":12,\"matrix\":{{\"x\":[{matrix}]}}}}\n");
    let last = "{\"id\":\"last\",\"kind\":\"command\",\"argv\":[\"touch\",\"go\"],\"after\":\"m\"}\n";
    let (folder, jobs) = file("jobs.jsonl", wait + &many + last);
    // More than a pipe holds, which nobody reads before the program has had its reason to end.
    let log = folder.path().join("log");
    let made = std::process::Command::new("mkfifo").arg(&log).status().unwrap();
    assert!(made.success());
    let args = ["run", &jobs, "--joblog", log.to_str().unwrap(), "--threads", "4"];
    let mut child = crate::program::start(&args, std::process::Stdio::null());
    drop(child.stdout.take());
    let mut reader = std::fs::File::open(&log).unwrap();
    let begun = std::time::Instant::now();
    while !folder.path().join("go").exists() {
        if begun.elapsed().as_secs() > 60 {
            child.kill().unwrap();
            panic!("it does not come so far");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // Time for the wrong thing: to end with what is written.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    child.wait().unwrap();
    assert!(text.ends_with('\n') && text.contains("\nwait\t"), "{}", &text[text.len() - 200..]);
    assert_eq!(text.lines().count(), 1 + 3002);
}

#[test]
fn what_was_not_started_stands_in_the_job_log_of_a_map_too() {
    let (folder, _) = file("x", "");
    let log = folder.path().join("log.tsv");
    let inputs: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let options = ["map", "--joblog", log.to_str().unwrap(), "--halt", "soon,fail=1", "--threads", "1"];
    let args: Vec<&str> =
        options.into_iter().chain(inputs.iter().map(String::as_str)).chain(["--", "sh", "-c", "exit 9"]).collect();
    tandem(&args).expect(1);
    let rows = joblog(&log);
    assert_eq!(rows["0"]["cause"], "exit_code");
    assert!(rows.values().any(|row| row["cause"] == "not_started"), "{rows:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_job_log_tells_the_memory_of_a_program_that_took_much() {
    let script = "x=$(head -c 200000000 /dev/zero | tr '\\\\0' a); exit";
    let line = |id: &str, code: u8| {
        format!("{{\"id\":\"{id}\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script} {code}\"]}}\n")
    };
    let (folder, jobs) = file("jobs.jsonl", line("well", 0) + &line("failed", 4));
    let log = folder.path().join("log.tsv");
    tandem(&["run", &jobs, "--joblog", log.to_str().unwrap(), "--threads", "1"]).expect(1);
    for (id, row) in joblog(&log) {
        let peak: u64 = row["peak_memory_bytes"].parse().unwrap_or_else(|error| panic!("{id}: {error}: {row:?}"));
        assert!(peak >= 200_000_000, "{id}: {peak}");
    }
}

fn shell(id: &str, script: &str) -> String {
    format!("{{\"id\":\"{id}\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}\"]}}\n")
}

#[test]
fn progress_is_told_in_plain_lines_where_there_is_no_terminal() {
    let (_folder, path) = file("jobs.jsonl", shell("a", "true") + "\n" + &shell("b", "exit 1"));
    let ended = tandem(&["run", &path, "--progress"]).expect(1);
    let line = ended.err.lines().next().unwrap();
    assert!(line.starts_with("progress: 2 of 2 jobs (100 %), 1 failed, "), "{line}");
    assert!(!ended.err.contains('\u{1b}') && !ended.err.contains('\r'), "{:?}", ended.err);
    assert!(ended.err.ends_with("2 jobs, 1 failed\n"), "{}", ended.err);
    // What came through a pipe is known once all of it has come.
    let ended = tandem_reading(&["map", "--progress", "--", "true"], b"1\n2\n3\n").expect(0);
    assert!(ended.err.starts_with("progress: 3 of 3 jobs (100 %), 0 failed, "), "{}", ended.err);
}

/// Runs the program with standard error on a terminal of so many columns; gives what came there.
fn on_a_terminal(columns: u16, args: &[&str], variables: &[(&str, &str)]) -> String {
    use std::io::Read;
    use std::os::fd::{FromRawFd, OwnedFd};
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (name, modes) = (std::ptr::null_mut(), std::ptr::null_mut::<libc::termios>());
    // SAFETY: the two numbers and the size live through the call; the rest may be null.
    let opened = unsafe { libc::openpty(&mut ours, &mut theirs, name, modes, (&raw const size).cast_mut()) };
    assert_eq!(opened, 0);
    // SAFETY: both were opened just now, and nobody else has them.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    let mut command = command(args);
    command.env("TERM", "xterm").envs(variables.iter().copied()).stdout(std::process::Stdio::null()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // Its copy of the other end would keep the terminal open.
    drop(command);
    let mut seen = Vec::new();
    // Where nobody has the other end any more, Linux says so by an error.
    let _ = std::fs::File::from(ours).read_to_end(&mut seen);
    child.wait().unwrap();
    String::from_utf8(seen).unwrap()
}

#[test]
fn on_a_terminal_a_bar_is_redrawn_in_place_and_gone_at_the_end() {
    let jobs = shell("a", "true") + &shell("b", "exit 1") + &shell("c", "sleep 1");
    let (_folder, path) = file("jobs.jsonl", jobs);
    let seen = on_a_terminal(70, &["run", &path, "--progress"], &[]);
    let (shown, last) = seen.rsplit_once("\r\u{1b}[2K").unwrap();
    // Each draws over the one before it, and none is wider than the terminal.
    let bars: Vec<&str> = shown.split("\r\u{1b}[2K").filter(|bar| !bar.is_empty()).collect();
    assert!(bars.len() >= 2, "{seen:?}");
    for bar in &bars {
        assert!(bar.starts_with('[') && bar.contains(" %  ") && bar.contains(" of 3") && bar.len() < 70, "{bar:?}");
        assert!(!bar.contains(['\n', '\u{1b}']), "without colours (NO_COLOR): {bar:?}");
    }
    assert!(bars.last().unwrap().contains("2 of 3, 1 failed, 1 running"), "{bars:?}");
    assert!(last.starts_with("progress: 3 of 3 jobs (100 %), 1 failed, "), "{last:?}");
    assert!(last.contains("\nb: exit_code: ") && last.ends_with("3 jobs, 1 failed\r\n"), "{last:?}");
}

#[test]
fn messages_stand_above_the_bar_in_lines_of_their_own() {
    let seen = on_a_terminal(
        70,
        &["map", "--progress", "--jobs", "1", "0.3", "0.4", "0.5", "--", "sh", "-c", "sleep $0; echo said $0 >&2"],
        &[],
    );
    for said in ["0.3", "0.4", "0.5"] {
        let message = format!("said {said}\r\n");
        let at = seen.find(&message).unwrap_or_else(|| panic!("{seen:?}"));
        let before = &seen[..at];
        assert!(before.is_empty() || before.ends_with("\u{1b}[2K") || before.ends_with('\n'), "{seen:?}");
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_lines() {
    let (_folder, path) = file("jobs.jsonl", shell("a", "true"));
    let seen = on_a_terminal(70, &["run", &path, "--progress"], &[("TERM", "dumb")]);
    assert!(seen.starts_with("progress: 1 of 1 jobs (100 %)") && !seen.contains('\u{1b}'), "{seen:?}");
}

#[test]
fn the_first_jobs_run_alone_and_the_rest_only_if_they_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let mark = mark.to_str().unwrap();
    let note = |id: &str, more: &str| shell(id, &format!("echo {id} >> {mark}; {more}"));
    let jobs =
        [note("a", "sleep 0.5; echo from a >> {mark}"), note("b", "echo hello"), note("c", "true"), note("d", "true")];
    let jobs = jobs.concat().replace("{mark}", mark);
    let (_folder, path) = file("jobs.jsonl", &jobs);
    let ended = tandem(&["run", &path, "--first", "2", "--threads", "4"]).expect(0);
    assert_eq!(ended.json().len(), 4);
    let order = std::fs::read_to_string(mark).unwrap();
    let lines: Vec<&str> = order.lines().collect();
    assert_eq!(lines.len(), 5, "each runs once: {order}");
    let at = |wanted: &str| lines.iter().position(|line| *line == wanted).unwrap();
    for later in ["c", "d"] {
        assert!(
            at(later) > at("from a") && at(later) > at("b"),
            "the others begin after the first have ended: {order}"
        );
    }
    for told in
        ["command a\n  plan       cpu, 1 thread\n", "  result\n    hello\n", "the first 2 jobs succeeded: going on"]
    {
        assert!(ended.err.contains(told), "{told:?} in {}", ended.err);
    }
    assert!(!ended.err.contains("command c\n"), "{}", ended.err);
}

#[test]
fn where_one_of_the_first_jobs_fails_the_rest_is_not_run() {
    let jobs = shell("a", "echo so far; exit 3") + &shell("b", "true") + &shell("c", "true");
    let (folder, path) = file("jobs.jsonl", jobs);
    let log = folder.path().join("log.tsv");
    let ended = tandem(&["run", &path, "--first", "1", "--results-only", "--joblog", log.to_str().unwrap()]).expect(1);
    assert_eq!(ended.json().len(), 1);
    assert_eq!(joblog(&log).len(), 1);
    assert!(ended.err.contains("  failed     exit_code: ") && ended.err.contains("    so far\n"), "{}", ended.err);
    assert!(ended.err.contains("the first job did not succeed: the rest of "), "{}", ended.err);
    // Where there is no rest, nothing is said of it; a bad line is a job that failed.
    let (_folder, path) = file("jobs.jsonl", "nonsense\n");
    let ended = tandem(&["run", &path, "--first", "5"]).expect(1);
    assert!(!ended.err.contains("the rest"), "{}", ended.err);
}

#[test]
fn the_first_jobs_can_be_interrupted() {
    let (_folder, path) = file("jobs.jsonl", shell("a", "sleep 30") + &shell("b", "true"));
    let mut child = crate::program::start(&["run", &path, "--first", "1"], std::process::Stdio::null());
    let begun = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(500));
    for _ in 0..2 {
        crate::program::interrupt(&child, libc::SIGINT);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn what_commands_print_can_be_told_apart_by_their_ids() {
    let jobs = shell("a", "echo 1; printf 2")
        + &shell("b", "echo out; echo err >&2; exit 1")
        + "{\"id\":\"c\",\"kind\":\"factor\",\"n\":12}\n";
    let (_folder, path) = file("jobs.jsonl", jobs);
    let ended = tandem(&["run", &path, "--tag"]).expect(1);
    assert_eq!(ended.out, "a\t1\na\t2\nb\tout\nc\t12: 2 2 3\n");
    assert!(ended.err.contains("b\terr\n") && ended.err.contains("b: exit_code: "), "{}", ended.err);
}
