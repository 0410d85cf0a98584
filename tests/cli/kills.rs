//! The program killed at random moments, over and over, and gone on with until it is done.
//!
//! A few kills by default; `TANDEM_TEST_KILLS=100` makes it a hundred (some minutes), `TANDEM_TEST_SEED=N` other moments.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::program::{command, write};
use crate::random::Random;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// Of each ten: a chain of three commands, one that fails and is tried again by every run, one without an id that there is
/// twice, numbers, and a line that is no job.
fn jobs(count: usize, mark: &str) -> String {
    let command = |id: &str, script: &str, more: &str| {
        format!(
            "{{\"id\":\"{id}\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}; echo {id} >> runs\",\"{mark}\"]{more}}}\n"
        )
    };
    (0..count)
        .map(|n| match n % 10 {
            0 => command(&format!("e{n}"), &format!("sleep 0.03; echo {n} > made-{n}"), ""),
            1 => command(
                &format!("t{n}"),
                &format!("cat made-{}", n - 1),
                &format!(",\"after\":\"e{}\",\"inputs\":[\"made-{}\"]", n - 1, n - 1),
            ),
            2 => command(&format!("l{n}"), "sleep 0.02", &format!(",\"after\":[\"e{}\",\"t{}\"]", n - 2, n - 1)),
            3 => command(&format!("f{n}"), "exit 3", ""),
            4 | 5 => format!(
                "{{\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"sleep 0.01; echo {}\",\"{mark}\"]}}\n",
                n / 10
            ),
            6 => "no job\n".to_owned(),
            _ => format!("{{\"kind\":\"factor\",\"n\":{}}}\n", n + 2),
        })
        .collect()
}

/// What the outcome of each job has to say.
fn expected(n: usize) -> serde_json::Value {
    match n % 10 {
        0 | 2 => "".into(),
        1 => format!("{}\n", n - 1).into(),
        3 => "exit_code".into(),
        4 | 5 => format!("{}\n", n / 10).into(),
        6 => "bad_input".into(),
        _ => ((n + 2) as u64).into(),
    }
}

fn said(outcome: &serde_json::Value) -> serde_json::Value {
    if outcome["status"] == "failed" {
        return outcome["error"]["cause"].clone();
    }
    match outcome["result"]["factors"].as_array() {
        None => outcome["result"]["stdout"].clone(),
        Some(factors) => {
            let product = factors.iter().fold(1, |product, factor| {
                let prime: u64 = factor["prime"].as_str().unwrap().parse().unwrap();
                product * prime.pow(factor["exponent"].as_u64().unwrap() as u32)
            });
            product.into()
        }
    }
}

/// The lines of a file that are whole, as JSON.
fn whole_lines(path: &Path) -> Vec<serde_json::Value> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let text = std::str::from_utf8(&bytes[..end]).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// How often each job has run to its end.
fn runs(folder: &Path) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for id in std::fs::read_to_string(folder.join("runs")).unwrap_or_default().lines() {
        *runs.entry(id.to_owned()).or_default() += 1;
    }
    runs
}

/// Waits until no process has this word among its arguments.
#[cfg(target_os = "linux")]
fn nobody_is_left(word: &str) {
    let begun = Instant::now();
    loop {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let left =
            lines.filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())).count();
        if left == 0 {
            return;
        }
        assert!(begun.elapsed().as_secs() < 30, "{left} processes are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(not(target_os = "linux"))]
fn nobody_is_left(_: &str) {}

#[test]
fn a_run_that_is_killed_over_and_over_loses_at_most_what_is_under_way() {
    let (kills, seed) = (setting("TANDEM_TEST_KILLS", 8), setting("TANDEM_TEST_SEED", 20_240_229));
    let mut random = Random::new(seed);
    let mut killed = 0;
    for round in 0.. {
        if killed >= kills {
            break;
        }
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("killed-{}-{round}", std::process::id());
        let count = 120;
        let jobs = write(folder.path(), "jobs.jsonl", jobs(count, &mark));
        let output = folder.path().join("r.jsonl");
        let partial = folder.path().join("r.jsonl.partial");
        // Jobs with a name whose success was written before a kill, and how often they had run by then.
        let mut succeeded: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let args = ["run", &jobs, "--output", output.to_str().unwrap(), "--resume", "--threads", "2"];
            let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            // Sometimes within the first moments, when it reads what it goes on with.
            let most_ms = if random.below(4) == 0 { 30 } else { 700 };
            let deadline = Instant::now() + Duration::from_micros(random.below(most_ms * 1000));
            let ended = loop {
                let ended = child.try_wait().unwrap();
                if ended.is_some() || (killed < kills && Instant::now() >= deadline) {
                    break ended;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            if ended.is_none() {
                killed += 1;
                child.kill().unwrap();
            }
            let left = child.wait_with_output().unwrap();
            nobody_is_left(&mark);
            let err = String::from_utf8_lossy(&left.stderr).into_owned();
            if let Some(status) = ended {
                assert_eq!(status.code(), Some(1), "seed {seed}: {err}");
                break;
            }
            let ran = runs(folder.path());
            for outcome in whole_lines(&partial).iter().chain(&whole_lines(&output)) {
                if outcome["status"] == "succeeded" {
                    let id = outcome["id"].as_str().unwrap();
                    succeeded.entry(id.to_owned()).or_insert_with(|| ran.get(id).copied().unwrap_or(0));
                }
            }
        }
        let outcomes = whole_lines(&output);
        assert_eq!(outcomes.len(), count, "seed {seed}: each job has one outcome");
        for (n, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome["index"], n as u64, "seed {seed}");
            assert_eq!(said(outcome), expected(n), "seed {seed}: {outcome}");
        }
        let ran = runs(folder.path());
        for (id, times) in succeeded.iter().filter(|(id, _)| !id.starts_with('#')) {
            assert_eq!(ran[id], *times, "seed {seed}: {id} had succeeded and has run again");
        }
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|name| name.unwrap().file_name()).collect();
        names.retain(|name| !name.to_str().unwrap().starts_with("made-"));
        names.sort_unstable();
        assert_eq!(names, ["jobs.jsonl", "r.jsonl", "runs"], "seed {seed}");
    }
}

#[test]
fn a_run_of_many_small_jobs_is_killed_also_while_its_results_are_read_and_put_in_order() {
    let (kills, seed) = (setting("TANDEM_TEST_KILLS", 8), setting("TANDEM_TEST_SEED", 20_240_229));
    let mut random = Random::new(seed << 1 | 1);
    let count = 20_000;
    // The first job is the longest, so that outcomes come out of order and have to be sorted.
    let lines: String = (0..count).map(|n| format!("{{\"kind\":\"factor\",\"n\":{}}}\n", n + 2)).collect();
    let slow = "{\"kind\":\"primes\",\"range\":[0,\"3e7\"],\"device\":\"cpu\"}\n";
    let (mut killed, mut lifetime) = (0, Duration::from_millis(300));
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let jobs = write(folder.path(), "jobs.jsonl", [slow, &*lines].concat());
        let output = folder.path().join("r.jsonl");
        let output = output.to_str().unwrap();
        loop {
            let args = ["run", &jobs, "--output", output, "--resume"];
            let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let begun = Instant::now();
            let deadline = begun + lifetime.mul_f64(random.below(1000) as f64 / 800.0);
            let ended = loop {
                let ended = child.try_wait().unwrap();
                if ended.is_some() || (killed < kills && Instant::now() >= deadline) {
                    break ended;
                }
                std::thread::sleep(Duration::from_micros(200));
            };
            if ended.is_none() {
                killed += 1;
                child.kill().unwrap();
            }
            let err = child.wait_with_output().unwrap().stderr;
            if let Some(status) = ended {
                lifetime = begun.elapsed();
                assert_eq!(status.code(), Some(0), "seed {seed}: {}", String::from_utf8_lossy(&err));
                break;
            }
            let in_place = whole_lines(Path::new(output)).len();
            assert!([0, count + 1].contains(&in_place), "seed {seed}: what is in place is whole");
        }
        let outcomes = whole_lines(Path::new(output));
        let indices = outcomes.iter().map(|outcome| outcome["index"].as_u64().unwrap());
        assert!(indices.eq(0..=count as u64), "seed {seed}: each job has one outcome, in order");
        let wrong = outcomes.iter().skip(1).zip(2..).find(|(outcome, n)| said(outcome) != serde_json::json!(*n as u64));
        assert!(wrong.is_none(), "seed {seed}: {wrong:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "seed {seed}");
    }
}

/// Killed between the start of a command and the moment that its number is known.
#[cfg(target_os = "linux")]
#[test]
fn a_command_whose_number_nobody_lived_to_tell_is_ended_by_what_it_prints_to() {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    let begin = || {
        let (reader, writer) = std::io::pipe().unwrap();
        let file = std::fs::File::from(writer.as_fd().try_clone_to_owned().unwrap());
        let mut sleep = std::process::Command::new("sleep");
        let child = sleep.arg("60").stdout(writer).process_group(0).spawn().unwrap();
        (child, reader, file.metadata().unwrap().ino())
    };
    let [(mut untold, _a, pipe), (mut other, _b, other_pipe)] = [begin(), begin()];
    let mut guard = command(&["end-commands-with-me"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut told = guard.stdin.take().unwrap();
    writeln!(told, "?{pipe} {pipe}\n?{other_pipe} {other_pipe}\n!{other_pipe} {other_pipe}").unwrap();
    drop(told);
    assert!(guard.wait().unwrap().success());
    assert_eq!(untold.wait().unwrap().signal(), Some(9));
    assert!(other.try_wait().unwrap().is_none(), "it was told to have been begun, and to be nobody's");
    other.kill().unwrap();
    other.wait().unwrap();
}
