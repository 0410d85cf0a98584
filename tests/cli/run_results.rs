//! Where the outcomes of `tandem run` go.

use crate::program::{command, file, start, tandem, tandem_with};

fn jobs(count: u64) -> String {
    // The first one is slow, so that the others wait for it.
    let rest = (1..count).map(|i| format!("{{\"kind\":\"primes\",\"numbers\":[{i}]}}\n"));
    std::iter::once("{\"kind\":\"primes\",\"range\":[0,\"3e8\"],\"method\":\"sieve\"}\n".to_owned())
        .chain(rest)
        .collect()
}

#[test]
fn outcomes_come_in_the_order_of_the_jobs_though_the_first_is_slow() {
    let (_folder, path) = file("jobs.jsonl", jobs(3000));
    let ended = tandem(&["run", &path, "--threads", "2"]).expect(0);
    let indices: Vec<u64> = ended.json().iter().map(|outcome| outcome["index"].as_u64().unwrap()).collect();
    assert!(indices.iter().copied().eq(0..3000), "{indices:?}");
    assert_eq!(ended.err, "3,000 jobs, 0 failed\n");
}

#[test]
fn results_only_is_the_same_in_every_run_in_a_pipe_and_in_a_file() {
    let (folder, path) = file("jobs.jsonl", jobs(2000) + "broken\n");
    let out = folder.path().join("results.jsonl");
    let piped = tandem(&["run", &path, "--results-only", "--threads", "1"]).expect(1).out;
    let ended =
        tandem(&["run", &path, "--results-only", "--threads", "2", "--output", out.to_str().unwrap()]).expect(1);
    assert!(ended.out.is_empty());
    assert!(std::fs::read_to_string(&out).unwrap() == piped);
    assert!(!piped.contains("timings_ms") && !piped.contains("attempts") && !piped.contains("device"));
    assert!(piped.contains("{\"schema\":1,\"index\":1,\"id\":\"#2\",\"kind\":\"primes\",\"status\":\"succeeded\",\"result\":{\"is_prime\":[false],\"prime_count\":0}}\n"));
    // Nothing but the results is left beside the jobs.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn explain_adds_the_plan_to_outcomes() {
    let (_folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n");
    let ended = tandem(&["run", &path, "--explain"]).expect(0);
    assert!(ended.json()[0]["plan"]["candidates"].is_array());
    assert!(ended.err.contains("  took  ") && ended.err.contains("  candidate  "), "{}", ended.err);
    assert!(tandem(&["run", &path]).expect(0).json()[0].get("plan").is_none());
}

#[test]
fn options_that_would_do_nothing_are_usage_errors() {
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n");
    let out = folder.path().join("results.jsonl");
    let output = ["--output", out.to_str().unwrap()];
    for (options, extra) in [
        (&output[..], &["--verify"][..]),
        (&output, &["--dry-run"]),
        (&["--results-only"], &["--verify"]),
        (&["--results-only"], &["--dry-run"]),
        (&["--results-only"], &["--explain"]),
        (&["--verify"], &["--dry-run"]),
    ] {
        let ended = tandem(&[&["run", &path], options, extra].concat()).expect(2);
        assert!(ended.out.is_empty() && ended.err.contains("cannot be used with"), "{ended:?}");
    }
    assert!(!out.exists());
}

#[test]
fn results_are_never_written_over_the_jobs() {
    let jobs = "{\"kind\":\"primes\",\"numbers\":[97]}\n";
    let (folder, path) = file("two.jsonl", jobs);
    let other = folder.path().join("deep").join("..").join("two.jsonl");
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    for output in [&*path, other.to_str().unwrap()] {
        let ended = tandem(&["run", &path, "--output", output]).expect(2);
        assert!(ended.err.contains("is the job file: name another file for the results"), "{ended:?}");
    }
    let partial = crate::program::write(folder.path(), "r.jsonl.partial", "");
    let output = folder.path().join("r.jsonl");
    let ended = tandem(&["run", &partial, "--output", output.to_str().unwrap()]).expect(2);
    assert!(ended.err.contains("r.jsonl.partial is the job file"), "{ended:?}");
    #[cfg(unix)]
    {
        let mut command = command(&["run", "-", "--output", &path]);
        let output = command.stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), jobs);
    tandem(&["run", &path, "--output", output.to_str().unwrap()]).expect(0);
}

#[test]
fn a_run_that_is_killed_leaves_what_had_ended_and_the_old_results() {
    let endless =
        "{\"kind\":\"primes\",\"numbers\":[97]}\n{\"kind\":\"primes\",\"range\":[0,\"1e18\"],\"method\":\"sieve\"}\n";
    let (folder, path) = file("jobs.jsonl", endless);
    let out = folder.path().join("results.jsonl");
    let partial = folder.path().join("results.jsonl.partial");
    std::fs::write(&out, "old\n").unwrap();
    let out = out.to_str().unwrap();
    let mut child = start(&["run", &path, "--output", out], std::process::Stdio::null());
    let begun = std::time::Instant::now();
    while std::fs::metadata(&partial).map_or(0, |found| found.len()) == 0 {
        assert!(begun.elapsed().as_secs() < 60, "nothing was written");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "old\n");
    let kept = std::fs::read_to_string(&partial).unwrap();
    assert!(kept.contains("\"index\":0") && kept.ends_with("}\n"), "{kept}");
    // What it left is not written over.
    let ended = tandem(&["run", &path, "--output", out]).expect(1);
    assert!(ended.err.contains("results.jsonl.partial holds the results of a run that was cut off"), "{}", ended.err);
}

#[test]
fn an_output_that_cannot_be_made_is_an_error_before_anything_runs() {
    let (folder, path) = file("jobs.jsonl", jobs(1));
    let ended = tandem(&["run", &path, "--output", "/no/such/folder/results.jsonl"]).expect(2);
    assert!(
        ended.err.starts_with("error: --output: /no/such/folder/results.jsonl cannot be written: there is no folder "),
        "{}",
        ended.err
    );
    let ended = tandem(&["machine", "export", "--output", "/no/such/folder/m.json"]).expect(2);
    assert!(
        ended.err.starts_with("error: --output: /no/such/folder/m.json cannot be written: there is no folder "),
        "{ended:?}"
    );
    let ended = tandem(&["run", &path, "--output", folder.path().to_str().unwrap()]).expect(2);
    assert!(ended.err.contains("is a folder: name a file in it"), "{}", ended.err);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_with_an_error() {
    let (_folder, path) = file("jobs.jsonl", jobs(1000));
    let ended = tandem(&["run", &path, "--output", "/dev/full"]).expect(1);
    assert!(ended.err.starts_with("error: results: /dev/full: No space left"), "{}", ended.err);
}

#[cfg(target_os = "linux")]
#[test]
fn a_special_file_is_written_to_and_not_replaced() {
    let (_folder, path) = file("jobs.jsonl", jobs(2));
    tandem(&["run", &path, "--output", "/dev/null"]).expect(0);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_closed_pipe_ends_the_run_quietly() {
    let endless: String = "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(200_000);
    let (_folder, path) = file("jobs.jsonl", endless);
    let mut child = start(&["run", &path], std::process::Stdio::null());
    let mut first = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn failures_are_named_up_to_twenty() {
    let (_folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"file\":\"none.txt\"}\n".repeat(23));
    let ended = tandem(&["run", &path]).expect(1);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 23);
    assert!(lines[19].starts_with("#20: ") && lines[20] == "and 3 more that failed", "{}", ended.err);
    assert_eq!(lines[22], "23 jobs, 23 failed");
}

#[test]
fn verify_and_dry_run_take_each_job_in_turn() {
    let (_folder, path) =
        file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n{\"kind\":\"stats\",\"values\":[1,2]}\nbad\n");
    let ended = tandem(&["run", &path, "--verify"]).expect(1);
    let found = ended.json();
    assert_eq!((found.len(), &found[0]["same"], &found[1]["same"]), (2, &true.into(), &true.into()));
    assert!(ended.err.ends_with("3 jobs, 1 failed\n"), "{}", ended.err);
    let plans = tandem(&["run", &path, "--dry-run"]).expect(1).json();
    assert_eq!((&plans[1]["id"], plans[1]["plan"]["candidates"].is_array()), (&"#2".into(), true));
}

#[test]
fn a_run_on_a_device_that_is_not_there_ends_before_it_begins() {
    let (_folder, path) = file("jobs.jsonl", jobs(2));
    let ended = tandem(&["run", &path, "--device", "gpu:4000000000"]).expect(3);
    assert!(ended.out.is_empty() && ended.err.starts_with("error: "), "{ended:?}");
    let ended = tandem_with(&["run", &path], &[("TANDEM_DEVICE", "gpu:4000000000")]).expect(3);
    assert!(ended.out.is_empty());
}

#[test]
fn memory_stays_bounded_over_many_jobs() {
    // 200,000 jobs, results written; on Linux the peak is read from the kernel.
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n".repeat(200_000));
    let out = folder.path().join("results.jsonl");
    let peak_kib = peak_kib(command(&["run", &path, "--output", out.to_str().unwrap()]));
    assert!(peak_kib < 150_000, "{peak_kib} KiB");
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 200_000);
    // Nor does going on with it hold the lines: 48 bytes for each that is kept.
    let peak_kib = self::peak_kib(command(&["run", &path, "--output", out.to_str().unwrap(), "--resume"]));
    assert!(peak_kib < 60_000, "{peak_kib} KiB");
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 200_000);
}

/// What waits for a slow job ahead of it goes to disk past a bound.
#[test]
fn memory_stays_bounded_behind_a_slow_first_job() {
    // A second of primes, then some 200 MB of lists.
    let slow = "{\"kind\":\"primes\",\"range\":[\"1e18\",\"1000000000010000000\"],\"device\":\"cpu\"}\n";
    let list = "{\"kind\":\"primes\",\"range\":[0,2000000],\"list\":true}\n";
    let (folder, path) = file("jobs.jsonl", slow.to_owned() + &list.repeat(120));
    let out = folder.path().join("out.jsonl");
    // Looking for a GPU loads drivers, whose memory is not what is measured here.
    let mut command = command(&["run", &path, "--threads", "2", "--device", "cpu"]);
    command.stdout(std::fs::File::create(&out).unwrap());
    let peak_kib = peak_kib(command);
    let written_kib = std::fs::metadata(&out).unwrap().len() / 1024;
    assert!(written_kib > 120_000, "{written_kib} KiB of results are enough to tell");
    assert!(peak_kib < 64 * 1024 + 60_000, "{peak_kib} KiB for {written_kib} KiB of results");
    let first = std::io::BufRead::lines(std::io::BufReader::new(std::fs::File::open(&out).unwrap())).next();
    assert!(first.unwrap().unwrap().starts_with("{\"schema\":1,\"index\":0,"));
}

/// Runs a program to its end, and gives the most memory that it held, in KiB: 0 where the system does not tell.
fn peak_kib(mut command: std::process::Command) -> u64 {
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak_kib = peak_kib.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    #[cfg(target_os = "linux")]
    assert!(peak_kib > 0, "its memory was never seen");
    peak_kib
}
