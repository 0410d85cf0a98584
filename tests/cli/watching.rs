//! Looking on at a run: its log, its progress, its first jobs, what its programs print.
#![cfg(unix)]

use std::collections::BTreeMap;

use crate::program::{file, tandem};

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
    let ended = tandem(&["run", &jobs, "--joblog", nowhere.to_str().unwrap()]).expect(1);
    assert!(ended.err.contains("none/log.tsv: ") && ended.out.is_empty(), "{ended:?}");
    let ended = tandem(&["run", &jobs, "--joblog", &jobs]).expect(2);
    assert!(ended.err.contains("is the job file: name another file"), "{}", ended.err);
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
