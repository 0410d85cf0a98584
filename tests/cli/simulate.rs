//! Job files in simulated time.

use std::path::Path;

use crate::program::{file, tandem, write};

/// A machine file: threads, what each more is worth, and GPUs by speed, bytes a second and cold start.
fn machine(folder: &Path, name: &str, threads: u32, efficiency: f64, gpus: &[(f64, f64, f64)]) -> String {
    let gpus: Vec<serde_json::Value> = gpus
        .iter()
        .map(|(speed, bytes_per_s, cold_start_ms)| {
            serde_json::json!({"name": "made up", "kind": "discrete", "memory_bytes": 16_u64 << 30,
                "max_chunk_bytes": 2_u64 << 30, "upload_bytes_per_s": bytes_per_s, "readback_bytes_per_s": bytes_per_s,
                "cold_start_ms": cold_start_ms, "latency_ms": 0.1, "speed": speed})
        })
        .collect();
    let cpu = serde_json::json!({"threads": threads, "memory_bytes": 16_u64 << 30, "speed": 1.0,
        "thread_efficiency": efficiency});
    let machine = serde_json::json!({"schema": 1, "name": name, "cpu": cpu, "gpus": gpus});
    write(folder, &format!("{name}.json"), machine.to_string())
}

fn example(name: &str) -> String {
    format!("{}/examples/simulate/{name}.jsonl", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_job_file_is_simulated_here_and_nothing_of_it_is_run() {
    let (folder, path) = file("jobs.jsonl", "");
    let mark = folder.path().join("mark");
    let touch = format!("{{\"kind\":\"command\",\"argv\":[\"touch\",{:?}]}}\n", mark.to_str().unwrap());
    std::fs::write(&path, touch + "{\"kind\":\"primes\",\"range\":[0,\"1e13\"],\"after\":[\"#1\"]}\n").unwrap();
    let ended = tandem(&["simulate", &path, "--command-time", "10s", "--json"]).expect(0);
    assert!(!mark.exists());
    let line = &ended.json()[0];
    assert_eq!((&line["policy"], &line["jobs"]), (&"auto".into(), &2.into()));
    assert!(line["makespan_ms"].as_f64().unwrap() > 10_000.0, "{line}");
    assert!(line["assumed"][0].as_str().unwrap().contains("1 command, taken to last 10.0 s each"), "{line}");
    assert!(ended.err.contains("assumed: 1 command"), "{}", ended.err);
}

#[test]
fn a_gpu_of_a_machine_file_takes_what_it_is_better_at() {
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"range\":[0,\"1e12\"]}\n");
    let without = machine(folder.path(), "without", 8, 0.9, &[]);
    let with = machine(folder.path(), "with", 8, 0.9, &[(100.0, 20e9, 300.0)]);
    let lines = tandem(&["simulate", &path, "--machine", &without, "--machine", &with, "--json"]).expect(0).json();
    let [without, with] = [0, 1].map(|at| lines[at]["makespan_ms"].as_f64().unwrap());
    assert!(with * 5.0 < without, "{with} {without}");
    assert!(lines[1]["devices"][1]["share"].as_f64().unwrap() > 0.8);
    for line in &lines {
        let bound = line["lower_bound_ms"].as_f64().unwrap();
        assert!(bound > 0.0 && bound <= line["makespan_ms"].as_f64().unwrap() * 1.000_001, "{line}");
    }
}

#[test]
fn the_table_names_every_policy_and_the_best_and_is_the_same_each_time() {
    let (folder, _) = file("x", "");
    let here = machine(folder.path(), "desk", 8, 0.9, &[(20.0, 20e9, 300.0)]);
    let path = example("uniform");
    let args = ["simulate", &path, "--machine", &here, "--policy", "all", "--hidden-truth", "7"];
    let ended = tandem(&args).expect(0);
    for policy in ["auto", "cpu", "gpu", "round-robin", "static"] {
        assert!(ended.out.lines().any(|line| line.split_whitespace().nth(1) == Some(policy)), "{}", ended.out);
    }
    assert!(ended.out.contains("64 jobs") && ended.out.contains("  best  "), "{}", ended.out);
    assert_eq!(tandem(&args).expect(0).out, ended.out);
}

/// The planner knows rates that are up to 30 % off, and one device or none slows down half-way.
#[test]
fn auto_is_the_best_policy_or_within_a_twentieth_of_it_on_every_example_though_the_truth_is_hidden() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/machines");
    let machines = ["ci-runner", "h100-server", "laptop-integrated", "workstation"];
    let machines = machines.map(|name| format!("{folder}/{name}.json"));
    let files = ["uniform", "irregular", "mixed"].map(example);
    let mut others_above = 0.0_f64;
    for seed in ["1", "2", "3"] {
        let mut args = vec!["simulate"];
        args.extend(files.iter().map(String::as_str));
        machines.iter().for_each(|machine| args.extend(["--machine", machine]));
        args.extend(["--policy", "all", "--hidden-truth", seed, "--json"]);
        let lines = tandem(&args).expect(0).json();
        assert_eq!(lines.len(), 3 * 4 * 5);
        for line in &lines {
            let (policy, above) = (line["policy"].as_str().unwrap(), line["above_best"].as_f64().unwrap());
            assert!(policy != "auto" || above <= 0.05, "seed {seed}: {above}: {line}");
            others_above = others_above.max(above);
        }
    }
    assert!(others_above > 1.0, "the policies differ: {others_above}");
}

#[test]
fn what_cannot_be_simulated_is_told_and_the_rest_is() {
    let jobs = "{\"id\":\"gone\",\"kind\":\"stats\",\"file\":\"not-there.npy\"}\nbroken\n\
                {\"kind\":\"primes\",\"range\":[0,\"1e9\"],\"after\":[\"gone\"]}\n\
                {\"id\":\"g\",\"kind\":\"primes\",\"range\":[0,\"1e9\"],\"device\":\"gpu\"}\n";
    let (folder, path) = file("jobs.jsonl", jobs);
    let here = machine(folder.path(), "desk", 2, 0.9, &[]);
    let ended = tandem(&["simulate", &path, "--machine", &here]).expect(1);
    assert!(ended.err.contains("left out: job `gone`") && ended.err.contains("2 jobs are left out"), "{}", ended.err);
    assert!(ended.err.contains("job 3 (from 0) cannot run: no such device: gpu"), "{}", ended.err);
    assert!(ended.out.contains("1 job"), "{}", ended.out);
    let none = tandem(&["simulate", &write(folder.path(), "empty.jsonl", "\n"), "--machine", &here]).expect(2);
    assert!(none.err.contains("no job in it"), "{}", none.err);
    assert!(tandem(&["simulate", &path, "--policy", "best"]).expect(2).err.contains("round-robin"));
    assert!(tandem(&["simulate", &path, "--machine", "nowhere.json"]).expect(2).err.contains("nowhere.json"));
}
