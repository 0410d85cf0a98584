//! Lines that make many jobs, and jobs that take values from others.
#![cfg(unix)]

use crate::program::{Ended, file, tandem, tandem_reading};

fn run(jobs: &str, args: &[&str]) -> Ended {
    let (_folder, path) = file("jobs.jsonl", jobs);
    tandem(&[&["run", &path, "--results-only"], args].concat())
}

fn ids(ended: &Ended) -> Vec<String> {
    ended.json().iter().map(|outcome| outcome["id"].as_str().unwrap().to_owned()).collect()
}

const ENSEMBLE: &str = concat!(
    r#"{"id":"ens","kind":"factor","n":"{n}","matrix":{"n":[6,"1e3"]}}"#,
    "\n",
    r#"{"id":"after","kind":"primes","numbers":[7],"after":["ens"]}"#,
    "\n",
    r#"{"id":"one","kind":"factor","n":{"$result":"ens/n={n}.factors.0.exponent"},"matrix":{"n":["1e3"]}}"#,
    "\n",
);

#[test]
fn a_line_with_a_matrix_is_run_shown_and_chosen_like_so_many_lines() {
    let ended = run(ENSEMBLE, &[]).expect(0);
    assert_eq!(ids(&ended), ["ens/n=6", "ens/n=1e3", "after", "one/n=1e3"]);
    assert_eq!(ended.json()[3]["result"]["factors"][0]["prime"], "3");
    assert_eq!(ended.json()[3]["index"], 3);
    let ended = run(ENSEMBLE, &["--only", "ens"]).expect(0);
    assert_eq!(ids(&ended), ["ens/n=6", "ens/n=1e3"]);
    let ended = run(ENSEMBLE, &["--only", "ens/n=1e3", "--only", "after", "--strict"]).expect(0);
    assert_eq!(ids(&ended), ["ens/n=1e3", "after"]);
    assert!(ended.err.contains("`after` does not wait for what is not run with it (--only)"), "{}", ended.err);
    let (_folder, path) = file("jobs.jsonl", ENSEMBLE);
    let ended = tandem(&["run", &path, "--dry-run", "--json"]).expect(0);
    assert_eq!(ids(&ended), ["ens/n=6", "ens/n=1e3", "after", "one/n=1e3"]);
    assert!(ended.json()[3]["plan"].is_null() && ended.json()[2]["plan"].is_object());
    let ended = run(ENSEMBLE, &["--only", "one"]).expect(1);
    assert!(ended.json()[0]["error"]["message"].as_str().unwrap().contains("name that one with --only too"));
    assert_eq!(ids(&run(ENSEMBLE, &["--only", "one", "--only", "ens"]).expect(0)).len(), 3);
    let ended = run(&ENSEMBLE.replace("\"{n}\"", "\"{m}\""), &["--strict"]).expect(2);
    assert!(ended.err.contains("jobs.jsonl:1:34: unknown placeholder `{m}`"), "{}", ended.err);
}

#[test]
fn chosen_out_of_a_pipe_the_jobs_are_the_same() {
    let ended =
        tandem_reading(&["run", "-", "--only", "one", "--only", "ens", "--json"], ENSEMBLE.as_bytes()).expect(0);
    assert_eq!(ids(&ended), ["ens/n=6", "ens/n=1e3", "one/n=1e3"]);
}

#[test]
fn values_go_from_job_to_job_with_all_their_digits_wherever_results_go() {
    let jobs = concat!(
        r#"{"id":"gen","kind":"command","argv":["sh","-c","echo '{{\"n\": {n}}}'; echo {n} >&2"],"#,
        r#""matrix":{"n":[340282366920938463463374607431768211453,10]}}"#,
        "\n",
        r#"{"id":"f","kind":"factor","n":{"$result":"gen/n={n}.stdout.json.n"},"#,
        r#""matrix":{"n":[340282366920938463463374607431768211453,10]}}"#,
        "\n",
        r#"{"id":"show","kind":"command","argv":["echo",{"$result":"f/n=10.factors.1.exponent"},{"$result":"gen/n=10.stderr.trim"}],"#,
        r#""env":{"A":{"$result":"f/n=10.factors.1.exponent"}}}"#,
        "\n",
        r#"{"id":"cat","kind":"command","argv":["cat"],"stdin":{"$result":"f/n=10"}}"#,
        "\n",
        r#"{"id":"missing","kind":"factor","n":{"$result":"f/n=10.factors.2.prime"}}"#,
        "\n",
        r#"{"id":"bad","kind":"command","argv":["false"]}"#,
        "\n",
        r#"{"id":"never","kind":"factor","n":{"$result":"bad.stdout"}}"#,
        "\n",
    );
    let (folder, path) = file("jobs.jsonl", jobs);
    let output = folder.path().join("results.jsonl");
    let output = output.to_str().unwrap();
    let to_stdout = tandem(&["run", &path, "--results-only"]).expect(1);
    let results = to_stdout.json();
    let product = results[2]["result"]["factors"].as_array().unwrap();
    assert!(product.iter().all(|factor| factor["prime"].is_string()), "{}", to_stdout.out);
    assert_eq!(results[4]["result"]["stdout"], "1 10\n");
    assert_eq!(
        results[5]["result"]["stdout"],
        r#"{"factors":[{"prime":"2","exponent":1},{"prime":"5","exponent":1}]}"#
    );
    let message = results[6]["error"]["message"].as_str().unwrap();
    assert!(message.contains("`factors` is a list of 2, in which there is no `2`: it has `0` to `1`"), "{message}");
    assert_eq!(
        (&results[6]["error"]["cause"], &results[8]["error"]["cause"]),
        (&"bad_input".into(), &"skipped".into())
    );
    tandem(&["run", &path, "--results-only", "--output", output]).expect(1);
    assert_eq!(std::fs::read_to_string(output).unwrap(), to_stdout.out);
    // A pipe may hold more than anybody wants to keep: there it takes a file for the results.
    tandem_reading(&["run", "-", "--results-only", "--output", output], jobs.as_bytes()).expect(1);
    let from_pipe = std::fs::read_to_string(output).unwrap();
    assert_eq!(from_pipe.lines().nth(5), to_stdout.out.lines().nth(5));
    let refused = tandem_reading(&["run", "-", "--results-only"], jobs.as_bytes()).expect(1);
    let message = refused.json()[2]["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("standard input:2:") && message.contains("--output"), "{message}");
}

#[test]
fn what_a_command_printed_beyond_what_is_kept_is_not_taken_for_all_of_it() {
    let jobs = concat!(
        r#"{"id":"long","kind":"command","argv":["sh","-c","head -c 100000 /dev/zero | tr '\\0' 7"]}"#,
        "\n",
        r#"{"kind":"command","argv":["echo",{"$result":"long.stdout"}]}"#,
        "\n",
        r#"{"kind":"command","argv":["wc","-c",{"$result":"long.stdout_file"}]}"#,
    );
    let ended = run(jobs, &[]).expect(1);
    let message = ended.json()[1]["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("holds only the end of a long `stdout`: give the job `stdout_file`"), "{message}");
    assert!(ended.json()[2]["result"]["stdout"].as_str().unwrap().trim().starts_with("100000 "), "{}", ended.out);
}

/// The first part's extraction waits for the second part's loading: nothing ends unless the stages overlap.
#[test]
fn the_stages_of_a_chain_over_parts_overlap() {
    for jobs in ["2", "3"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let parts: Vec<String> = (0..40).map(|part| part.to_string()).collect();
        let stage = |id: &str, script: &str, after: &str| {
            let script = format!("cd {folder}; {script}; echo {id} >> {id}.{{part}}");
            let parts = parts.join(",");
            format!(
                "{{\"id\":\"{id}\",\"kind\":\"command\",\"argv\":[\"sh\",\"-c\",\"{script}\"]{after},\"matrix\":{{\"part\":[{parts}]}}}}\n"
            )
        };
        let wait =
            "i=0; while [ {part} = 0 ] && [ ! -e load.1 ]; do i=$((i+1)); [ $i -lt 1200 ] || exit 1; sleep 0.05; done";
        let lines = [
            stage("extract", wait, ""),
            stage("transform", "[ -e extract.{part} ]", ",\"after\":[\"extract/part={part}\"]"),
            stage(
                "load",
                "[ -e transform.{part} ]; [ {part} != 1 ] || [ ! -e extract.39 ]",
                ",\"after\":\"transform/part={part}\"",
            ),
            "{\"id\":\"report\",\"kind\":\"command\",\"argv\":[\"true\"],\"after\":[\"load\"]}\n".to_owned(),
        ];
        let lines = lines.concat();
        // A status of a list is that of its last command: `;` before `echo` is to be `&&`.
        let lines = lines.replace("]; echo", "] && echo");
        let ended = run(&lines, &["--jobs", jobs]).expect(0);
        assert_eq!(ended.json().len(), 121);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 120);
    }
}

#[test]
fn more_jobs_than_may_wait_at_once_wait_for_one_and_for_each_other() {
    let parts: Vec<String> = (0..70_000).map(|part| part.to_string()).collect();
    let parts = parts.join(",");
    let jobs = format!(
        "{{\"id\":\"gate\",\"kind\":\"command\",\"argv\":[\"sleep\",\"1\"]}}\n\
         {{\"id\":\"e\",\"kind\":\"primes\",\"numbers\":[\"{{p}}\"],\"count\":true,\"after\":\"gate\",\"matrix\":{{\"p\":[{parts}]}}}}\n\
         {{\"id\":\"t\",\"kind\":\"primes\",\"numbers\":[7],\"count\":true,\"after\":\"e\",\"matrix\":{{\"p\":[{parts}]}}}}\n"
    );
    let (folder, path) = file("jobs.jsonl", jobs);
    let output = folder.path().join("results.jsonl");
    let ended = tandem(&["run", &path, "--results-only", "--output", output.to_str().unwrap()]).expect(0);
    assert!(ended.err.ends_with("140,001 jobs, 0 failed\n"), "{}", ended.err);
    assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), 140_001);
}
