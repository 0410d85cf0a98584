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
    tandem_with(&["calibrate", "--budget", "10"], &kept).expect(0);
    let ended = tandem_with(&["machine", "export", "--name", "desk", "--output", path], &kept).expect(0);
    assert!(ended.out.is_empty() && ended.err.contains("desk.json"), "{ended:?}");
    let machine = Machine::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(machine.name, "desk");
    assert!(machine.cpu.speeds.contains_key("primes"), "{machine:?}");
    assert!(
        machine.notes.iter().any(|note| note.contains("measured speeds: ") && note.contains("primes range")),
        "{:?}",
        machine.notes
    );
    tandem(&["machine", "export", "--output", "/not/there/m.json"]).expect(2);
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
    assert_eq!(replayed["policies"].as_array().unwrap().len(), 7, "{replayed}");
    let (recorded, repeated, cpu) =
        (policy(replayed, "recorded"), policy(replayed, "repeated"), policy(replayed, "cpu"));
    for field in ["makespan_ms", "sum_ms", "devices"] {
        assert_eq!(repeated[field], cpu[field], "{field}");
    }
    assert_eq!(cpu["regret_ms"], 0.0);
    // The figures are those of the lines.
    let lines: Vec<Value> =
        std::fs::read_to_string(results).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = |line: &Value, name: &str| line["timings_ms"][name].as_f64().unwrap();
    let ran: Vec<&Value> = lines.iter().filter(|line| line["status"] == "succeeded").collect();
    let first_ms = ran.iter().map(|line| time(line, "submitted")).fold(f64::INFINITY, f64::min);
    let end_ms = ran.iter().map(|line| time(line, "submitted") + time(line, "total") - first_ms).fold(0.0, f64::max);
    assert!((recorded["makespan_ms"].as_f64().unwrap() - end_ms).abs() < 1e-6, "{end_ms} in {recorded}");
    let took_ms: f64 = ran.iter().map(|line| time(line, "total") - time(line, "queued")).sum();
    assert!(recorded["sum_ms"].as_f64().unwrap() <= took_ms + 1e-6, "{took_ms} in {recorded}");
    let lanes_ms = end_ms * replayed["threads"].as_f64().unwrap();
    assert!(recorded["devices"]["cpu"]["lane_ms"].as_f64().unwrap() <= lanes_ms + 1e-6, "{lanes_ms} in {recorded}");
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
    assert!(near(&gpu["sum_ms"], &recorded["sum_ms"]), "{replayed}");
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

#[test]
fn jobs_that_share_their_lanes_take_no_longer_than_the_run_did() {
    let jobs: String =
        (0..4).map(|at| format!("{{\"id\":\"{at}\",\"kind\":\"primes\",\"range\":[0,\"1{at}0000000\"]}}\n")).collect();
    let (folder, jobs) = file("jobs.jsonl", &jobs);
    let results = folder.path().join("r.jsonl");
    let results = results.to_str().unwrap();
    tandem(&["run", &jobs, "--device", "cpu", "--threads", "2", "--explain", "--output", results]).expect(0);
    let replayed = &tandem(&["replay", results, "--json"]).expect(0).json()[0];
    for name in ["recorded", "repeated", "cpu"] {
        let one = policy(replayed, name);
        let makespan_ms = policy(replayed, "recorded")["makespan_ms"].as_f64().unwrap();
        assert!(one["devices"]["cpu"]["lane_ms"].as_f64().unwrap() <= 2.0 * makespan_ms + 1e-6, "{name} in {replayed}");
    }
    // Another number of threads is another machine, and not the one that was recorded.
    let one = &tandem(&["replay", results, "--json", "--threads", "1"]).expect(0).json()[0];
    assert_eq!(policy(one, "recorded"), policy(replayed, "recorded"));
    assert_eq!((&one["threads"], &policy(one, "cpu")["threads"]), (&1.into(), &1.into()));
    let sources = policy(one, "cpu")["sources"].as_object().unwrap();
    assert!(sources.keys().all(|source| source == "corrected"), "{sources:?}");
}

#[test]
fn what_is_not_known_is_said_beside_the_table_and_not_made_up() {
    let (folder, jobs) = file("jobs.jsonl", JOBS);
    let results = folder.path().join("r.jsonl");
    let results = results.to_str().unwrap();
    tandem(&["run", &jobs, "--device", "cpu", "--output", results]).expect(1);
    let ended = tandem(&["replay", results]).expect(0);
    for words in [
        "4 jobs on an unknown number of threads of the cpu",
        "4 of 4 jobs have no plan",
        "--explain --output",
        "without --threads N no makespan can be told",
        "1 of 4",
    ] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    let row = ended.out.lines().find(|line| line.starts_with("cpu ")).unwrap();
    assert_eq!(row.split_whitespace().take(4).collect::<Vec<_>>(), ["cpu", "4", "-", "-"], "{row}");
    let given = tandem(&["replay", results, "--threads", "3", "--policy", "cpu"]).expect(0).out;
    assert!(given.contains("4 jobs on 3 threads of the cpu"), "{given}");
    let json = &tandem(&["replay", results, "--json"]).expect(0);
    assert!(json.err.contains("warning: 4 of 4 jobs have no plan"), "{json:?}");
    assert_eq!(
        (&json.json()[0]["threads"], &policy(&json.json()[0], "cpu")["makespan_ms"]),
        (&Value::Null, &Value::Null)
    );
    let refused = tandem(&["replay", results, "--without", "gpu:3"]).expect(2).err;
    assert!(refused.contains("--without gpu:3: the recording names no gpu"), "{refused}");
}
