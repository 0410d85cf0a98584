//! Machine files, and runs that are replayed.

use serde_json::Value;
use tandem::simulate::Machine;

use crate::program::{file, tandem, tandem_reading, tandem_with};

const JOBS: &str = r#"{"id":"range","kind":"primes","range":[0,"3e7"]}
{"id":"values","kind":"stats","values":[1.5,2,3.25],"quantiles":[0.5]}
{"id":"irregular","kind":"factor","n":"600851475143"}
{"id":"again","kind":"primes","range":["1e12","1000010000000"]}
{"id":"wrong","kind":"stats","file":"not there.npy"}
"#;

/// Whether there is a GPU, be it one in software.
fn has_any_gpu() -> bool {
    let listed = &tandem(&["devices", "--json", "--allow-software-gpu"]).expect(0).json()[0];
    listed["devices"].as_array().unwrap().iter().any(|device| device["device"] != "cpu" && device["usable"] == true)
}

fn policy<'a>(replayed: &'a Value, name: &str) -> &'a Value {
    let policies = replayed["policies"].as_array().unwrap();
    policies.iter().find(|one| one["policy"] == name).unwrap_or_else(|| panic!("no {name} in {replayed}"))
}

#[test]
fn this_machine_is_exported_and_read_again() {
    let ended = tandem(&["machine", "export", "--threads", "3", "--memory", "2GiB"]).expect(0);
    let machine = Machine::parse(&ended.out).unwrap();
    assert_eq!((machine.name.as_str(), machine.cpu.threads, machine.cpu.memory_bytes), ("this machine", 3, 2 << 30));
    assert!(machine.notes.iter().any(|note| note.contains("speed is 1, a prior")), "{:?}", machine.notes);
    let (folder, _) = file("unused", "");
    let (path, model) = (folder.path().join("desk.json"), folder.path().join("model.json"));
    let path = path.to_str().unwrap();
    let kept = [("TANDEM_MODEL", model.to_str().unwrap())];
    tandem_with(&["calibrate", "--budget", "2"], &kept).expect(0);
    let ended = tandem_with(&["machine", "export", "--name", "desk", "--output", path], &kept).expect(0);
    assert!(ended.out.is_empty() && ended.err.contains("desk.json"), "{ended:?}");
    let machine = Machine::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(machine.name, "desk");
    assert!(machine.cpu.speeds.contains_key("primes"), "{machine:?}");
    assert!(machine.notes.iter().any(|note| note.contains("measured speeds: primes")), "{:?}", machine.notes);
    tandem(&["machine", "export", "--output", "/not/there/m.json"]).expect(1);
    tandem(&["machine", "export", "--name", ""]).expect(2);
}

#[test]
fn a_recorded_run_costs_under_cpu_what_it_took_where_it_ran_there() {
    let (folder, jobs) = file("jobs.jsonl", JOBS);
    let results = folder.path().join("r.jsonl");
    let results = results.to_str().unwrap();
    tandem(&["run", &jobs, "--device", "cpu", "--explain", "--output", results]).expect(1);
    let replayed = &tandem(&["replay", results, "--json"]).expect(0).json()[0];
    assert_eq!((&replayed["jobs"], &replayed["failed"], &replayed["torn"]), (&4.into(), &1.into(), &false.into()));
    assert_eq!(replayed["policies"].as_array().unwrap().len(), 6, "{replayed}");
    let (recorded, cpu) = (policy(replayed, "recorded"), policy(replayed, "cpu"));
    for field in ["makespan_ms", "sum_ms", "devices"] {
        assert_eq!(recorded[field], cpu[field], "{field}");
    }
    assert_eq!((&cpu["regret_ms"], &cpu["measured"]), (&0.0.into(), &1.0.into()));
    // The figures are those of the lines.
    let lines: Vec<Value> =
        std::fs::read_to_string(results).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let took = |line: &Value| {
        let times = &line["timings_ms"];
        times["total"].as_f64().unwrap() - times["queued"].as_f64().unwrap()
    };
    let sum_ms: f64 = lines.iter().filter(|line| line["status"] == "succeeded").map(took).sum();
    assert!((recorded["sum_ms"].as_f64().unwrap() - sum_ms).abs() < 1e-6, "{sum_ms} in {recorded}");
    // Jobs that no GPU was looked for are named, not guessed; irregular ones stay on the CPU.
    let unknown = policy(replayed, "gpu")["unknown"].as_array().unwrap();
    assert!(unknown.iter().all(|id| *id != "irregular") && unknown.iter().any(|id| *id == "range"), "{replayed}");
    let text = tandem(&["replay", results, "--policy", "gpu", "--policy", "cpu"]).expect(0).out;
    for word in ["4 jobs on ", "1 failed job left out", "recorded", "gpu: ", "left out, of which nothing is known"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("round-robin"), "{text}");
    // From a pipe too, and with a last line that is torn.
    let whole = std::fs::read(results).unwrap();
    let from_pipe = &tandem_reading(&["replay", "-", "--json"], &whole[..whole.len() - 20]).expect(0).json()[0];
    assert_eq!(from_pipe["torn"], true);
}

#[test]
fn a_run_on_a_gpu_is_replayed_on_the_cpu_and_without_it() {
    if !has_any_gpu() {
        return;
    }
    let (folder, jobs) = file(
        "jobs.jsonl",
        "{\"id\":\"a\",\"kind\":\"primes\",\"range\":[0,\"2e7\"]}\n{\"id\":\"b\",\"kind\":\"primes\",\"range\":[0,\"2e7\"]}\n",
    );
    let results = folder.path().join("r.jsonl");
    let results = results.to_str().unwrap();
    let run = ["run", &jobs, "--device", "gpu:0", "--allow-software-gpu", "--explain", "--output", results];
    tandem(&run).expect(0);
    let replayed = &tandem(&["replay", results, "--json"]).expect(0).json()[0];
    let (recorded, gpu, cpu) = (policy(replayed, "recorded"), policy(replayed, "gpu"), policy(replayed, "cpu"));
    assert_eq!(recorded["devices"]["gpu:0"]["jobs"], 2, "{replayed}");
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-6;
    assert!(near(&gpu["sum_ms"], &recorded["sum_ms"]) && gpu["measured"] == 1.0, "{replayed}");
    // Nothing ran on the CPU: what it would take is as it was predicted.
    assert_eq!((&cpu["devices"]["cpu"]["jobs"], &cpu["sources"]["predicted"]["jobs"]), (&2.into(), &2.into()));
    assert_eq!(cpu["unknown"].as_array().unwrap().len(), 0);
    let without = &tandem(&["replay", results, "--json", "--without", "gpu:0", "--policy", "gpu"]).expect(0).json()[0];
    assert_eq!(policy(without, "gpu")["makespan_ms"], cpu["makespan_ms"]);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_its_file_and_line() {
    let (folder, jobs) = file("jobs.jsonl", JOBS);
    let bare = folder.path().join("bare.jsonl");
    let bare = bare.to_str().unwrap();
    tandem(&["run", &jobs, "--device", "cpu", "--results-only", "--output", bare]).expect(1);
    let refused = tandem(&["replay", bare]).expect(2).err;
    assert!(refused.contains("bare.jsonl:1: it does not say how long it took"), "{refused}");
    let broken = folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"id\":\n{}\n").unwrap();
    let refused = tandem(&["replay", broken.to_str().unwrap()]).expect(2).err;
    assert!(refused.contains("broken.jsonl:1: no outcome of a job"), "{refused}");
    let refused = tandem(&["replay", "not there.jsonl"]).expect(2).err;
    assert!(refused.contains("not there.jsonl"), "{refused}");
    let refused = tandem(&["replay", bare, "--policy", "best"]).expect(2).err;
    assert!(refused.contains("round-robin"), "{refused}");
    let refused = tandem(&["replay", bare, "--without", "cpu"]).expect(2).err;
    assert!(refused.contains("names no gpu"), "{refused}");
}
