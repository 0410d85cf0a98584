//! Benchmarks: what they print, the files they write and read, and how they end.

use std::fs;

use serde_json::Value;

use crate::machine::has_usable_gpu;
use crate::program::{Ended, file, tandem, write};

/// Lines of this type.
fn of_type(ended: &Ended, name: &str) -> Vec<Value> {
    ended.json().into_iter().filter(|line| line["type"] == name).collect()
}

/// Two small sizes of one kind, ten runs each: a second or less.
const SMALL: [&str; 7] = ["bench", "primes", "--sizes", "500,4000", "--runs", "10", "--threads=2"];

#[test]
fn a_bench_ends_its_sizes_with_its_time_and_times_every_variant() {
    let ended = tandem(&["bench", "primes", "--budget", "2", "--json"]).expect(0);
    let (rows, verdicts) = (of_type(&ended, "row"), of_type(&ended, "verdict"));
    for variant in ["numbers", "range"] {
        let row = rows.iter().find(|row| row["variant"] == variant).unwrap_or_else(|| panic!("no {variant}"));
        // By eights from 512 on, and no further than there is time for: 2 s do not do for 2^33 of them.
        let sizes: Vec<u64> =
            rows.iter().filter(|row| row["variant"] == variant).map(|row| row["units"].as_u64().unwrap()).collect();
        assert!(sizes[0] == 512 && sizes.len() < 9 && sizes.is_sorted(), "{sizes:?}");
        assert_eq!((&row["times"][0]["device"], &row["times"][0]["lanes"]), (&"cpu".into(), &1.into()));
        let [low, ms, high] = ["low_ms", "ms", "high_ms"].map(|name| row["times"][0][name].as_f64().unwrap());
        assert!(0.0 < low && low <= ms && ms <= high, "{row}");
        assert!(verdicts.iter().any(|verdict| verdict["variant"] == variant), "{verdicts:?}");
    }
    let machine = &of_type(&ended, "machine")[0];
    assert!(machine["ceilings"][0]["operations_per_s"].as_f64().unwrap() > 1e6, "{machine}");
}

#[test]
fn a_bench_says_in_words_whether_more_threads_are_worth_it() {
    let ended = tandem(&SMALL).expect(0);
    assert!(ended.out.starts_with("cpu ") && ended.out.contains("\nkind "), "{}", ended.out);
    for variant in ["numbers", "range"] {
        // Beneath the rows of each, and once more for all of them at the end.
        assert_eq!(ended.out.matches(&format!("\nprimes {variant}: use ")).count(), 2, "{}", ended.out);
    }
    assert!(ended.out.contains("\n  why: ") && ended.out.contains("\n  2 threads "), "{}", ended.out);
    let guide = &ended.out[ended.out.find("\nWhat to use\n").unwrap()..];
    let grid: Vec<&str> = guide.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(grid[0].contains("500") && grid[0].contains("4,000"), "{guide}");
    assert!(grid[1].starts_with("  primes numbers  ") && grid[1].contains(" thread"), "{guide}");
}

#[test]
fn a_bench_times_irregular_jobs_on_one_thread_and_on_all() {
    let kinds = ["factor", "fibonacci"];
    let args = [&["bench"][..], &kinds, &["--budget", "2", "--threads", "2", "--json"]].concat();
    let rows = of_type(&tandem(&args).expect(0), "row");
    for kind in kinds {
        let row = rows.iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {rows:?}"));
        let times = row["times"].as_array().unwrap();
        assert!(times.iter().map(|time| time["lanes"].as_u64().unwrap()).eq([1, 2]), "{row}");
        assert!(
            times.iter().all(|time| time["device"] == "cpu" && time["units_per_s"].as_f64().unwrap() > 0.0),
            "{row}"
        );
        assert!(row["units"].as_u64().unwrap() >= 8, "{row}");
    }
}

#[test]
fn places_can_be_chosen_and_a_missing_gpu_is_an_error() {
    let ended = tandem(&["bench", "stats", "--sizes", "100", "--runs", "2", "--devices", "thread", "--json"]).expect(0);
    for row in of_type(&ended, "row") {
        let places: Vec<&str> =
            row["times"].as_array().unwrap().iter().map(|time| time["place"].as_str().unwrap()).collect();
        assert_eq!(places, ["thread"]);
    }
    if !has_usable_gpu() {
        let ended = tandem(&["bench", "stats", "--devices", "cpu,gpu"]).expect(3);
        assert!(ended.out.is_empty() && ended.err.contains("`--devices gpu` was asked for"), "{ended:?}");
    }
}

#[test]
#[allow(clippy::print_stderr)]
fn a_gpu_has_phases_and_a_reason_why_it_loses() {
    let listed = &tandem(&["devices", "--json", "--allow-software-gpu"]).expect(0).json()[0];
    let devices = listed["devices"].as_array().unwrap();
    let Some(gpu) = devices.iter().find(|device| device["device"] == "gpu:0" && device["usable"] == true) else {
        assert_ne!(std::env::var("TANDEM_TEST_GPU").as_deref(), Ok("require"), "there is no gpu: {listed}");
        eprintln!("skipped: there is no gpu, not even a software one");
        return;
    };
    let args =
        ["bench", "stats", "--sizes", "1000,300000", "--runs", "3", "--allow-software-gpu", "--json", "--budget=5"];
    let ended = tandem(&args).expect(0);
    for row in of_type(&ended, "row") {
        let times = row["times"].as_array().unwrap();
        let time = times.iter().find(|time| time["place"] == "gpu:0").unwrap_or_else(|| panic!("{row}"));
        assert!(time["phases_ms"]["upload"].as_f64().unwrap() > 0.0, "its input is new each time: {time}");
        assert!(times.iter().any(|time| time["place"] == "split"), "{row}");
    }
    for verdict in of_type(&ended, "verdict") {
        let challenge = &verdict["challenges"][0];
        assert_eq!(challenge["place"], "gpu:0");
        if gpu["software"] == true && challenge["fresh"] == "never" && challenge["told_apart"] == "largest" {
            assert_eq!(challenge["lost"]["reason"], "software", "{verdict}");
        }
    }
}

#[test]
fn what_is_no_kind_no_size_and_no_format_is_refused_before_anything_runs() {
    let (folder, _) = file("unused", "");
    let inside = folder.path().join("none").join("r.json");
    for (args, expected) in [
        (&["bench", "prime"][..], "kinds are primes, stats, corr, factor, fibonacci"),
        (&["bench", "nowhere/jobs.jsonl"], "neither a kind nor a job file"),
        (&["bench", "primes", "--export", "r.yaml"], "use one of .json, .csv, .md, .html"),
        (&["bench", "primes", "--export", "r"], "use one of .json"),
        (&["bench", "primes", "--export", inside.to_str().unwrap()], "cannot be written: there is no folder "),
        (&["bench", "primes", "--sizes", "-5"], "`-5` is no size: write whole numbers above 0"),
        (&["bench", "primes", "--min-time", "-3s"], "-3s"),
        (
            &["bench", "primes", "--baseline", "r.json", "--max-regression", "-5%"],
            "`-5%` is no share: write it as in 10%",
        ),
        (&["bench", "primes", "--sizes", "9..1"], "is empty: write the smaller size first"),
        (&["bench", "primes", "--devices", "tpu"], "use thread, cpu, gpu, gpu:N, split"),
        (&["bench", "primes", "--min-time", "3s", "--runs", "3"], "cannot be used with"),
        (&["bench", "primes", "--max-regression", "5%"], "--baseline"),
        (&["bench", "primes", "--baseline", "r.json", "--max-regression", "10"], "write `10%` or `0.1` for 10 %"),
        (&["bench", "stats", "--sizes", "1e15"], "leave this size out of --sizes"),
        (&["bench", folder.path().to_str().unwrap()], "is a folder: name a job file in it"),
        (
            &["bench", "primes", "--baseline", "nowhere.json"],
            "name a report that `tandem bench --export FILE.json` wrote",
        ),
    ] {
        let ended = tandem(args).expect(2);
        assert!(ended.err.contains(expected) && ended.out.is_empty(), "{args:?}: {}", ended.err);
    }
}

#[test]
fn exports_hold_what_was_found_each_in_its_format() {
    let (folder, _) = file("unused", "");
    let paths = ["r.json", "r.csv", "r.md", "r.html"].map(|name| folder.path().join(name));
    let exports = paths.iter().flat_map(|path| ["--export", path.to_str().unwrap()]);
    let args: Vec<&str> = SMALL.into_iter().chain(exports).collect();
    tandem(&args).expect(0);
    let [json, csv, md, html] = paths.map(|path| fs::read_to_string(path).unwrap());
    let report: Value = serde_json::from_str(&json).unwrap();
    // Of the combinatorial kernel, which has steps, both sizes are one.
    assert_eq!((&report["schema"], report["rows"].as_array().unwrap().len()), (&1.into(), 5));
    for row in report["rows"].as_array().unwrap() {
        assert!(row["cells"].as_array().unwrap().iter().all(|cell| cell["runs"].as_array().unwrap().len() == 10));
    }
    let lines: Vec<&str> = csv.lines().collect();
    let columns = lines[0].split(',').count();
    assert!(lines.len() > 4 * 2 && lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    assert!(md.starts_with("# tandem bench\n") && md.contains("| primes | numbers | 4,000 |"), "{md}");
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.contains("<svg") && !html.contains("http://localhost"),
        "no page"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing is left beside them");
}

/// A report of [`SMALL`], and its text.
fn small_report() -> (tempfile::TempDir, String, Value) {
    let (folder, _) = file("unused", "");
    let path = folder.path().join("old.json").to_str().unwrap().to_owned();
    tandem(&[&SMALL[..], &["--export", &path]].concat()).expect(0);
    let report = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    (folder, path, report)
}

/// Runs [`SMALL`] against this report.
fn against(folder: &tempfile::TempDir, report: &Value, more: &[&str]) -> Ended {
    let path = write(folder.path(), "changed.json", report.to_string());
    tandem(&[&SMALL[..], &["--baseline", &path], more].concat())
}

/// Makes every run of a report take so many times as long: so many that the load of the machine makes no difference.
fn stretch(report: &Value, factor: f64) -> Value {
    let mut report = report.clone();
    for row in report["rows"].as_array_mut().unwrap() {
        for cell in row["cells"].as_array_mut().unwrap() {
            for run in cell["runs"].as_array_mut().unwrap() {
                run["ms"] = (run["ms"].as_f64().unwrap() * factor).into();
            }
        }
    }
    report
}

#[test]
fn a_baseline_that_was_much_faster_fails_the_bench_and_a_slower_one_does_not() {
    let (folder, _, report) = small_report();
    let ended = against(&folder, &stretch(&report, 1e-6), &[]);
    // Of jobs of less than a turn of the scheduler nobody can tell, with others at work: of all of them, or of some.
    let is_busy = ended.out.contains("cannot be told on so busy a machine");
    let regressed = ended.out.contains("  <0.001  regressed");
    let ended = ended.expect(i32::from(regressed));
    assert!(regressed || is_busy, "{}", ended.out);
    assert_ne!(regressed, ended.out.contains("none of "), "{}", ended.out);
    let ended = against(&folder, &stretch(&report, 1e6), &["--max-regression", "10%"]).expect(0);
    assert!(ended.out.contains("none of ") && ended.out.contains("  faster\n"), "{}", ended.out);
    let mut other = stretch(&report, 1e6);
    other["machine"]["devices"][0]["name"] = "Another CPU".into();
    other["rows"][0]["units"] = 77.into();
    let ended = against(&folder, &other, &["--json"]).expect(0);
    let comparison = &of_type(&ended, "comparison")[0];
    assert!(comparison["warnings"][0].as_str().unwrap().contains("`Another CPU` then"), "{comparison}");
    assert_eq!(comparison["only_old"][0]["units"], 77);
    assert!(!comparison["only_new"].as_array().unwrap().is_empty(), "{comparison}");
}

#[test]
fn irregular_jobs_that_are_slower_than_the_baseline_are_held_against_it_all_the_same() {
    let (folder, _) = file("unused", "");
    let path = folder.path().join("old.json").to_str().unwrap().to_owned();
    let bench = ["bench", "fibonacci", "--threads=2", "--runs", "10", "--budget"];
    tandem(&[&bench[..], &["1", "--export", &path]].concat()).expect(0);
    let mut report: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    // A number of jobs that no speed of this machine comes to.
    report["rows"][0]["units"] = 11.into();
    let fast = write(folder.path(), "fast.json", stretch(&report, 1e-6).to_string());
    // With another budget, too.
    let ended = tandem(&[&bench[..], &["2", "--baseline", &fast, "--json"]].concat());
    let comparison = &of_type(&ended, "comparison")[0];
    assert_eq!(comparison["rows"][0]["units"], 11);
    // With others at work, nobody can tell of jobs that are shorter than a turn of theirs.
    let is_busy = comparison["too_busy_to_tell"] == true;
    assert!(is_busy || (comparison["regressions"] == 2 && ended.code == Some(1)), "{comparison}");
    assert_eq!(comparison["only_old"].as_array().unwrap().len(), 0, "{comparison}");
    // What was asked for by name and has no partner is no comparison.
    let ended = tandem(&["bench", "fibonacci", "factor", "--threads=2", "--baseline", &fast]).expect(2);
    assert!(ended.err.contains("it has nothing to compare factor with") && ended.out.is_empty(), "{}", ended.err);
}

#[test]
fn times_without_a_partner_are_counted_and_a_baseline_without_runs_is_none() {
    let (folder, _, report) = small_report();
    let mut other = stretch(&report, 1e6);
    other["rows"][1]["units"] = 77.into();
    let ended = against(&folder, &other, &[]).expect(0);
    assert!(
        ended.out.contains("2 times were measured that the baseline does not have, and are not compared"),
        "{}",
        ended.out
    );
    let ended = tandem(&[
        "bench",
        "primes",
        "--sizes=500",
        "--threads=2",
        "--runs=2",
        "--devices=cpu",
        "--baseline",
        &write(folder.path(), "slow.json", stretch(&report, 1e6).to_string()),
    ])
    .expect(0);
    assert!(!ended.out.contains("were not measured"), "nobody asked for them: {}", ended.out);
    for (runs, expected) in [(serde_json::json!([]), "it has no runs"), (serde_json::json!(null), "it is not whole")] {
        let mut faulty = report.clone();
        faulty["rows"][0]["cells"][0]["runs"] = runs;
        let ended = against(&folder, &faulty, &[]).expect(2);
        assert!(ended.err.contains(expected) && ended.out.is_empty(), "{}", ended.err);
    }
}

#[test]
fn what_seems_slower_is_measured_again_and_a_baseline_is_not_written_over() {
    let (folder, path, report) = small_report();
    let fast = write(folder.path(), "fast.json", stretch(&report, 1e-6).to_string());
    let export = folder.path().join("new.json");
    let args = [&SMALL[..], &["--baseline", &fast, "--export", export.to_str().unwrap(), "--json"]].concat();
    let ended = tandem(&args);
    if of_type(&ended, "comparison")[0]["too_busy_to_tell"] == true {
        // With others at work, nobody can tell of jobs that are shorter than a turn of theirs.
        return;
    }
    let ended = ended.expect(1);
    assert!(ended.err.contains("measuring again what seems slower: 4 rows"), "{}", ended.err);
    let rows = of_type(&ended, "comparison")[0]["rows"].as_array().unwrap().clone();
    assert!(rows.iter().all(|row| row["change"] == "regressed" && row["again_ms"].as_f64().unwrap() > 0.0), "{rows:?}");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&export).unwrap()).unwrap();
    assert_eq!(kept["again"]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(kept["ceilings_after"].as_array().unwrap().len(), kept["ceilings"].as_array().unwrap().len());
    // Another session says otherwise.
    let slow = write(folder.path(), "slow.json", stretch(&report, 1e6).to_string());
    tandem(&[&SMALL[..], &["--baseline", &fast, "--baseline", &slow]].concat()).expect(0);
    let before = fs::read(&path).unwrap();
    let refused = tandem(&[&SMALL[..], &["--baseline", &path, "--export", &path]].concat()).expect(2);
    assert!(refused.err.contains("is the baseline: name another file") && refused.out.is_empty(), "{}", refused.err);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_baseline_of_another_format_is_a_usage_error() {
    let (folder, path, mut report) = small_report();
    report["schema"] = 99.into();
    let ended = against(&folder, &report, &[]).expect(2);
    assert!(
        ended.err.contains("it has schema 99, and this tandem reads schema 1") && ended.out.is_empty(),
        "{ended:?}"
    );
    let broken = write(folder.path(), "broken.json", "{\"schema\":1}");
    let ended = tandem(&["bench", "primes", "--baseline", &broken]).expect(2);
    assert!(ended.err.contains("it is no report of `tandem bench --export FILE.json`"), "{}", ended.err);
    for (text, expected) in
        [("[]", "it has no `schema`"), ("{", "it is no JSON, "), ("{\"schema\":1,\"rows\":7}", "it is not whole, ")]
    {
        let corrupt = write(folder.path(), "corrupt.json", text);
        let ended = tandem(&["bench", "primes", "--baseline", &corrupt]).expect(2);
        assert!(ended.err.contains(expected) && ended.err.contains("make one anew"), "{text}: {}", ended.err);
        assert!(!ended.err.contains("struct "), "no word of the program's own: {}", ended.err);
    }
    // Other kinds, sizes or places, before anything is measured.
    for other in
        [&["factor"][..], &["primes", "--sizes", "501"], &["primes", "--sizes=500", "--threads=2", "--devices=split"]]
    {
        let ended = tandem(&[&["bench"], other, &["--baseline", &path]].concat());
        if ended.code == Some(3) && !has_usable_gpu() {
            continue;
        }
        let ended = ended.expect(2);
        assert!(ended.err.contains("no row in common") && ended.out.is_empty(), "{other:?}: {ended:?}");
    }
}

const JOBS: &str = "{\"id\":\"a\",\"kind\":\"primes\",\"range\":[0,300000]}\n{\"kind\":\"factor\",\"n\":\"600851475143\"}\n\
    {\"kind\":\"stats\",\"values\":[1,2,3]}\n";

#[test]
fn a_job_file_is_run_on_the_cpu_and_as_it_stands_and_regret_is_told() {
    let (folder, path) = file("jobs.jsonl", JOBS);
    let export = folder.path().join("r.json");
    let args = ["bench", &path, "--runs", "3", "--json", "--export", export.to_str().unwrap()];
    let found = &of_type(&tandem(&args).expect(0), "file")[0];
    let modes: Vec<&str> = found["runs"].as_array().unwrap().iter().map(|run| run["mode"].as_str().unwrap()).collect();
    assert!(modes.first() == Some(&"cpu") && modes.last() == Some(&"auto"), "{found}");
    assert_eq!((&found["jobs"], &found["without_gpu"]), (&3.into(), &1.into()));
    assert!(found["regret"].as_f64().is_some(), "{found}");
    let kept: Value = serde_json::from_str(&fs::read_to_string(export).unwrap()).unwrap();
    assert_eq!(kept["files"][0]["runs"][0]["runs_ms"].as_array().unwrap().len(), 3);
    let text = tandem(&["bench", &path, "--runs", "2"]).expect(0).out;
    assert!(text.contains("jobs.jsonl: 3 jobs") && text.contains("the best of the forced runs"), "{text}");
    let empty = write(folder.path(), "empty.jsonl", "\n");
    let text = tandem(&["bench", &empty]).expect(0).out;
    assert!(text.contains("empty.jsonl: 0 jobs\nthere is nothing to run\n"), "{text}");
    let cpu = &of_type(&tandem(&["bench", &path, "--runs", "1", "--devices", "cpu", "--json"]).expect(0), "file")[0];
    assert!(cpu["runs"].as_array().unwrap().iter().all(|run| run["mode"] != "gpu"), "{cpu}");
    let refused = tandem(&["bench", &path, "--devices", "cpu,thread"]).expect(2);
    assert!(refused.err.contains("--devices thread: a job file is run on the cpu, on gpus"), "{}", refused.err);
    let refused = tandem(&["bench", &path, "--export", &path]).expect(2);
    assert!(refused.err.contains("the ending of") || refused.err.contains("is the job file"), "{}", refused.err);
}

#[test]
fn jobs_that_fail_are_told_and_results_that_change_are_an_error() {
    let (_folder, path) = file("jobs.jsonl", format!("{JOBS}{{\"kind\":\"nonsense\"}}\n"));
    let ended = tandem(&["bench", &path, "--runs", "1"]).expect(1);
    assert!(ended.out.contains("1 job failed"), "{}", ended.out);
    let (_folder, path) = file("jobs.jsonl", "{\"kind\":\"nonsense\"}\n");
    let ended = tandem(&["bench", &path, "--runs", "1"]).expect(1);
    assert!(ended.out.contains("all failed: there is nothing to compare"), "{}", ended.out);
    if cfg!(unix) {
        let (_folder, path) = file("jobs.jsonl", r#"{"kind":"command","argv":["sleep","600"]}"#);
        let ended = tandem(&["bench", &path, "--budget", "1"]).expect(1);
        assert!(ended.out.contains("when the time was up: 0 of 1 job had succeeded by then"), "{}", ended.out);
        let line = r#"{"id":"clock","kind":"command","argv":["sh","-c","echo $$"]}"#;
        let (_folder, path) = file("jobs.jsonl", line);
        let ended = tandem(&["bench", &path, "--runs", "1"]).expect(1);
        assert!(ended.err.contains("job `clock` gave another result with"), "{}", ended.err);
    }
}
