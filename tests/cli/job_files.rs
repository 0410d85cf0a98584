//! What `tandem run` makes of job files, good and bad.

use std::process::Stdio;

use crate::program::{file, start, tandem, tandem_reading, write};

#[test]
fn a_bad_line_fails_alone_and_tells_where_it_is_wrong() {
    let jobs = "{\"id\":\"a\",\"kind\":\"primes\",\"numbers\":[97]}\n\n{\"kind\":\"prime\"}\n{\"id\":\"a\",\"kind\":\"primes\",\"numbers\":[1]}\n\
                {\"kind\":\"stats\",\"values\":[1],\"bogus\":2}\nnonsense\n{\"kind\":\"primes\",\"numbers\":[7],\"device\":\"gpu:4000000000\"}\n\
                {\"kind\":\"primes\",\"file\":\"missing.txt\"}\n";
    let (_folder, path) = file("jobs.jsonl", jobs);
    let ended = tandem(&["run", &path]).expect(1);
    let outcomes = ended.json();
    let seen: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            (outcome["index"].as_u64().unwrap(), outcome["id"].as_str().unwrap(), outcome["error"]["cause"].as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, "a", None),
            (1, "#3", Some("bad_input")),
            (2, "a", Some("bad_input")),
            (3, "#5", Some("bad_input")),
            (4, "#6", Some("bad_input")),
            (5, "#7", Some("no_device")),
            (6, "#8", outcomes[6]["error"]["cause"].as_str()),
        ]
    );
    let message = |index: usize| outcomes[index]["error"]["message"].as_str().unwrap();
    assert!(message(1).contains(":3:16: unknown kind `prime`, did you mean `primes`?"), "{}", message(1));
    assert!(message(2).contains(":4:9: duplicate id `a`: line 1 has it already"), "{}", message(2));
    assert!(message(3).contains("unknown field `bogus`"), "{}", message(3));
    assert!(message(6).contains("missing.txt"), "{}", message(6));
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.last(), Some(&"7 jobs, 6 failed"));
    assert!(lines[0].starts_with("#3: bad_input: "), "{}", ended.err);
    assert_eq!(lines[6], format!("to look closer: tandem run {path} --only '#3' --explain"));
}

#[test]
fn paths_in_jobs_start_from_the_folder_of_the_job_file() {
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"file\":\"n.txt\"}\n");
    write(folder.path(), "n.txt", "97\n91\n");
    assert_eq!(tandem(&["run", &path]).expect(0).json()[0]["result"]["prime_count"], 1);
    let ended = tandem_reading(
        &["run", "-"],
        format!("{{\"kind\":\"primes\",\"file\":\"{}/n.txt\"}}", folder.path().display()).as_bytes(),
    );
    assert_eq!(ended.expect(0).json()[0]["id"], "#1");
}

#[test]
fn no_job_reads_away_the_job_file() {
    let jobs = b"{\"kind\":\"stats\",\"file\":\"-\"}\n{\"kind\":\"primes\",\"file\":\"-\"}\n{\"kind\":\"primes\",\"numbers\":[97]}\n";
    let outcomes = tandem_reading(&["run", "-"], jobs).expect(1).json();
    let status: Vec<&str> = outcomes.iter().map(|outcome| outcome["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["failed", "failed", "succeeded"]);
}

#[test]
fn jobs_that_come_through_a_pipe_run_as_they_come() {
    use std::io::{BufRead, Write};
    let mut child = start(&["run", "-"], Stdio::piped());
    let (mut input, mut output) = (child.stdin.take().unwrap(), std::io::BufReader::new(child.stdout.take().unwrap()));
    for number in [97, 91] {
        writeln!(input, "{{\"kind\":\"primes\",\"numbers\":[{number}]}}").unwrap();
        let mut line = String::new();
        // The answer comes though the job file has not ended.
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!("[{}]", number == 97)), "{line}");
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn strict_checks_all_lines_and_runs_nothing_if_one_is_wrong() {
    let jobs = "{\"kind\":\"primes\",\"numbers\":[97]}\n{\"kind\":\"primes\"}\n{\"kind\":7}\n";
    let (_folder, path) = file("jobs.jsonl", jobs);
    for ended in [tandem(&["run", &path, "--strict"]), tandem_reading(&["run", "-", "--strict"], jobs.as_bytes())] {
        let ended = ended.expect(2);
        assert_eq!(ended.out, "");
        let lines: Vec<&str> = ended.err.lines().collect();
        assert!(lines[0].contains(":2:") && lines[1].contains(":3:9: "), "{}", ended.err);
        assert!(lines[2].ends_with("2 lines are wrong, and nothing was run (--strict)"), "{}", ended.err);
    }
    let (_folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n");
    assert_eq!(tandem(&["run", &path, "--strict"]).expect(0).json().len(), 1);
}

#[test]
fn strict_names_twenty_wrong_lines_and_counts_the_rest() {
    let (_folder, path) = file("jobs.jsonl", "x\n".repeat(25));
    let ended = tandem(&["run", &path, "--strict"]).expect(2);
    assert_eq!(ended.err.lines().count(), 22);
    assert!(ended.err.contains("and 5 more\n") && ended.err.contains("25 lines are wrong"), "{}", ended.err);
}

#[test]
fn only_runs_the_jobs_that_are_named_in_their_order_and_refuses_unknown_ids() {
    let jobs: String =
        (0..10).map(|i| format!("{{\"id\":\"j{i}\",\"kind\":\"primes\",\"numbers\":[{i}]}}\n")).collect();
    let (_folder, path) = file("jobs.jsonl", format!("{jobs}{{\"kind\":\"primes\",\"numbers\":[2]}}\nbad\n"));
    let outcomes = tandem(&["run", &path, "--only", "j7", "--only", "#11", "--only", "j2"]).expect(0).json();
    let seen: Vec<_> =
        outcomes.iter().map(|outcome| (outcome["index"].as_u64().unwrap(), outcome["id"].as_str().unwrap())).collect();
    assert_eq!(seen, [(2, "j2"), (7, "j7"), (10, "#11")]);
    let ended = tandem(&["run", &path, "--only", "j1", "--only", "j99"]).expect(2);
    assert!(ended.err.contains("no job has the id `j99` (--only)") && ended.out.is_empty(), "{ended:?}");
    tandem(&["run", &path, "--only", "#12"]).expect(1);
}

#[test]
fn a_job_file_that_cannot_be_read_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["/no/such/jobs.jsonl", folder.path().to_str().unwrap()] {
        let ended = tandem(&["run", path]).expect(2);
        assert!(ended.err.starts_with(&format!("error: {path}: ")) && ended.out.is_empty(), "{ended:?}");
    }
}

#[test]
fn an_empty_job_file_is_a_run_without_jobs() {
    let (_folder, path) = file("jobs.jsonl", "\n\r\n  \n");
    let ended = tandem(&["run", &path]).expect(0);
    assert_eq!((&*ended.out, &*ended.err), ("", "0 jobs, 0 failed\n"));
}

#[test]
fn ids_cannot_drive_a_terminal() {
    let (_folder, path) = file("jobs.jsonl", "{\"id\":\"\\u001b[2J\",\"kind\":\"primes\",\"numbers\":[\"x\"]}\n");
    let ended = tandem(&["run", &path]).expect(1);
    assert!(!ended.err.contains('\u{1b}') && !ended.out.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn hostile_lines_of_every_sort_fail_alone() {
    let mut jobs = Vec::new();
    for line in [
        &b"\xFF\xFE{"[..],
        b"{\"kind\":\"stats\",\"values\":[1e999999999]}",
        b"{\"kind\":\"primes\",\"range\":[0,1e400]}",
        b"{\"kind\":\"primes\",\"numbers\":[1.5]}",
        b"{\"kind\":\"primes\",\"numbers\":{}}",
        b"{\"kind\":\"stats\",\"values\":[1],\"histogram\":{\"bins\":18446744073709551615}}",
        b"{\"kind\":\"stats\",\"values\":[1],\"quantiles\":[-1]}",
        b"\0\0\0\0",
    ] {
        jobs.extend_from_slice(line);
        jobs.push(b'\n');
    }
    jobs.extend_from_slice("[".repeat(2_000_000).as_bytes());
    jobs.extend_from_slice(b"\n{\"kind\":\"stats\",\"values\":[");
    jobs.extend_from_slice("1,".repeat(9 << 20).as_bytes());
    jobs.extend_from_slice(b"1]}\n{\"id\":\"last\",\"kind\":\"primes\",\"numbers\":[97]}\n");
    let (_folder, path) = file("jobs.jsonl", jobs);
    let ended = tandem(&["run", &path]).expect(1);
    let outcomes = ended.json();
    assert_eq!(outcomes.len(), 11);
    for outcome in &outcomes[..10] {
        assert_eq!(outcome["error"]["cause"], "bad_input", "{outcome}");
        assert!(outcome["error"]["message"].as_str().unwrap().len() < 2000);
    }
    assert!(outcomes[9]["error"]["message"].as_str().unwrap().contains("longer than 16 MiB"), "{}", outcomes[9]);
    assert_eq!(outcomes[10]["status"], "succeeded");
}

#[test]
fn failures_of_standard_input_are_looked_at_in_a_saved_file() {
    let ended = tandem_reading(&["run", "-"], b"{\"kind\":\"primes\",\"file\":\"none.txt\"}\n").expect(1);
    assert!(
        ended.err.contains("to look closer: save the job file and run it with --only '#1' --explain\n"),
        "{ended:?}"
    );
}
