//! Reports and traces of runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::program::{file, tandem};

fn jobs() -> String {
    let mut jobs = String::new();
    for job in 0..30 {
        jobs += &format!("{{\"id\":\"p{job}\",\"kind\":\"primes\",\"range\":[0,{}]}}\n", 1000 * 4_u64.pow(job % 8));
        jobs += &format!("{{\"id\":\"f{job}\",\"kind\":\"factor\",\"n\":{}}}\n", 1_000_000_007 + u64::from(job));
    }
    jobs + "{\"id\":\"c\",\"kind\":\"command\",\"argv\":[\"true\"]}\n{\"id\":\"late\",\"kind\":\"command\",\"argv\":[\"false\"]}\nbad\n"
}

fn trace(path: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    trace["traceEvents"].as_array().unwrap().clone()
}

#[test]
fn a_trace_of_a_real_run_has_every_job_and_no_two_things_at_once_on_a_worker() {
    let (folder, path) = file("jobs.jsonl", jobs());
    let to = folder.path().join("run.json").display().to_string();
    let ended = tandem(&["run", &path, "--threads", "3", "--trace", &to]).expect(1);
    assert_eq!(ended.json().len(), 63);
    let events = trace(&to);
    let waited: BTreeSet<&str> =
        events.iter().filter(|event| event["ph"] == "b").filter_map(|event| event["args"]["id"].as_str()).collect();
    assert_eq!(waited.len(), 63, "every job is there");
    assert!(ended.json().iter().all(|outcome| waited.contains(outcome["id"].as_str().unwrap())));
    let mut threads: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for span in events.iter().filter(|event| event["ph"] == "X") {
        let (begin, took) = (span["ts"].as_f64().unwrap(), span["dur"].as_f64().unwrap());
        threads.entry(span["tid"].as_u64().unwrap()).or_default().push((begin, begin + took));
    }
    assert!(!threads.is_empty());
    for (tid, spans) in &mut threads {
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let overlap = spans.windows(2).find(|pair| pair[0].1 > pair[1].0 + 1e-6);
        assert_eq!(overlap, None, "thread {tid}");
    }
    let names: Vec<&str> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .filter_map(|event| event["args"]["name"].as_str())
        .collect();
    assert_eq!(names[..3], ["cpu 0", "cpu 1", "cpu 2"]);
}

#[test]
fn a_map_that_runs_more_programs_than_threads_shows_them_outside_all_lanes() {
    let (folder, _) = file("x", "");
    let to = |name: &str| folder.path().join(name).display().to_string();
    let (report, json) = (to("run.html"), to("run.json"));
    let args = ["map", "--jobs", "5", "--threads", "1", "--report", &report, "--trace", &json];
    tandem(&[&args[..], &["1", "2", "3", "4", "5", "6", "--", "sh", "-c", "sleep 0.3"]].concat()).expect(0);
    let page = std::fs::read_to_string(&report).unwrap();
    // How many at once depends on the memory that they are found to need, and is no more than five.
    assert!(page.contains("waiting 2") && !page.contains("waiting 6"), "several at once");
    let spans = trace(&json);
    let programs: Vec<_> = spans.iter().filter(|event| event["cat"] == "program").collect();
    assert_eq!(programs.len(), 6);
    assert!(programs.iter().all(|span| span["dur"].as_f64().unwrap() > 290_000.0), "{programs:?}");
}

#[test]
fn a_report_tells_of_failures_and_its_svg_is_a_picture() {
    let (folder, path) = file("jobs.jsonl", jobs());
    let to = |name: &str| folder.path().join(name).display().to_string();
    let (page, picture) = (to("run.html"), to("run.svg"));
    tandem(&["run", &path, "--report", &page]).expect(1);
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("<th scope=\"row\">late</th><td>command</td><td>exit_code</td>"), "{text}");
    assert!(text.contains("<dt>jobs</dt><dd>63</dd>") && text.contains("<dt>failed</dt><dd>2</dd>"));
    tandem(&["run", &path, "--report", &picture]).expect(1);
    let text = std::fs::read_to_string(&picture).unwrap();
    let drawn = roxmltree::Document::parse(&text).unwrap();
    let spans = drawn.descendants().filter(|node| node.attribute("class") == Some("span")).count();
    assert!(spans >= 3, "{spans}");
}

#[test]
fn what_cannot_be_written_is_told_before_anything_runs() {
    let ran = |folder: &std::path::Path| folder.join("ran").exists();
    let (folder, path) = file("jobs.jsonl", "{\"kind\":\"command\",\"argv\":[\"touch\",\"ran\"]}\n");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (missing, own, pdf, same) = (at("no/such/run.html"), at("own"), at("run.pdf"), at("same.html"));
    std::fs::create_dir(&own).unwrap();
    let own_page = format!("{own}.html");
    std::fs::create_dir(&own_page).unwrap();
    let out = at("out.html");
    for (args, code, expected) in [
        (vec!["--report", &*missing], 2, "no/such/run.html cannot be written: there is no folder "),
        (vec!["--report", &*own_page], 2, "a folder: name a file in it"),
        (vec!["--trace", &*own], 2, "a folder: name a file in it"),
        (vec!["--report", &*pdf], 2, "use .html for a page or .svg for a picture"),
        (vec!["--report", &*same, "--trace", &*same], 2, "name the same file"),
        (vec!["--trace", &*path], 2, "is the job file: name another file"),
        (vec!["--output", &*out, "--report", &*out], 2, "is the file for the results: name another file"),
        (vec!["--trace", &*same, "--joblog", &*same], 2, "is the job log: name another file"),
        (vec!["--report", &*same, "--dry-run"], 2, "draw a run"),
    ] {
        let ended = tandem(&[&["run", &path], &args[..]].concat()).expect(code);
        assert!(ended.err.contains(expected) && !ended.err.contains(".part"), "{args:?}: {ended:?}");
        assert!(!ran(folder.path()), "{args:?}");
    }
    // The same without: it runs.
    tandem(&["run", &path, "--report", &same]).expect(0);
    assert!(ran(folder.path()));
}

#[cfg(unix)]
#[test]
fn a_failure_to_write_is_an_error_and_the_results_are_whole() {
    let (_folder, path) = file("jobs.jsonl", "{\"kind\":\"primes\",\"numbers\":[97]}\n");
    let ended = tandem(&["run", &path, "--trace", "/dev/full"]).expect(1);
    assert!(
        ended.err.contains("--trace: /dev/full cannot be written: ") && ended.err.contains("the results are whole"),
        "{ended:?}"
    );
    assert_eq!(ended.json().len(), 1);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_drawn_as_far_as_it_came() {
    use crate::program::{interrupt, start};
    let one = "{\"kind\":\"command\",\"argv\":[\"sleep\",\"0.4\"]}\n";
    let (folder, path) = file("jobs.jsonl", one.repeat(50));
    let to = folder.path().join("run.json").display().to_string();
    let child = start(&["run", &path, "--threads", "1", "--trace", &to], std::process::Stdio::null());
    std::thread::sleep(std::time::Duration::from_millis(1000));
    interrupt(&child, libc::SIGINT);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let events = trace(&to);
    let programs = events.iter().filter(|event| event["cat"] == "program").count();
    assert!((1..50).contains(&programs), "{programs}");
    assert_eq!(events.iter().filter(|event| event["ph"] == "b").count(), 50, "those too that did not begin");
}

#[test]
fn what_is_drawn_changes_no_result() {
    let (folder, path) = file("jobs.jsonl", jobs());
    let to = folder.path().join("run.html").display().to_string();
    let plain = tandem(&["run", &path, "--results-only"]).expect(1);
    let drawn = tandem(&["run", &path, "--results-only", "--report", &to]).expect(1);
    assert_eq!(plain.out, drawn.out);
}
