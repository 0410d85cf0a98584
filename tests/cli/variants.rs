//! Commands with variants, as far as a machine without a GPU shows them.
#![cfg(unix)]

use serde_json::{Value, json};

use crate::program::{Ended, file, tandem, tandem_with};

fn job(variants: &Value, more: &str) -> String {
    format!("{{\"kind\":\"command\",\"variants\":{variants}{more}}}\n")
}

fn run(jobs: &str, args: &[&str]) -> Ended {
    let (_folder, path) = file("jobs.jsonl", jobs);
    tandem(&[&["run", &path], args].concat())
}

#[test]
fn the_variant_that_is_asked_for_runs_and_what_it_took_is_shown() {
    let both = json!({"cpu": ["sh", "-c", "read -r line; echo cpu $line $A"], "gpu": ["false"]});
    let jobs = job(&both, ",\"size\":40,\"name\":\"fit\",\"stdin\":\"in\",\"env\":{\"A\":\"b\"}");
    let (folder, path) = file("jobs.jsonl", &jobs);
    let model = folder.path().join("model.json").display().to_string();
    let kept = [("TANDEM_MODEL", &*model)];
    for _ in 0..2 {
        let outcome = &tandem_with(&["run", &path, "--device", "cpu"], &kept).expect(0).json()[0];
        assert_eq!((&outcome["device"], &outcome["result"]["stdout"]), (&json!("cpu"), &json!("cpu in b\n")));
    }
    let shown = &tandem_with(&["model", "show", "--json"], &kept).expect(0).json()[0];
    let rows: Vec<&Value> = shown["rows"].as_array().unwrap().iter().filter(|row| row["kernel"] == "command").collect();
    let [row] = &rows[..] else { panic!("{shown}") };
    assert_eq!((&row["variant"], &row["units"], &row["samples"]), (&json!("fit cpu"), &json!(40.0), &json!(2)));
    let planned = &tandem_with(&["run", &path, "--device", "cpu", "--dry-run"], &kept).expect(0).json()[0]["plan"];
    let reason = planned["reason"].as_str().unwrap();
    assert!(reason.starts_with("cpu: ") && reason.contains("learned from 2 runs; `cpu` was asked for"), "{reason}");
    let explained = tandem_with(&["run", &path, "--device", "cpu", "--explain"], &kept).expect(0).err;
    assert!(explained.contains("learned from 2 runs") && !explained.contains("crossover"), "{explained}");
}

#[test]
fn a_job_that_cannot_run_where_it_is_to_says_so() {
    let gpu_alone = job(&json!({"gpu": ["true"]}), "");
    let ended = run(&gpu_alone, &["--device", "cpu"]).expect(1);
    assert_eq!(ended.json()[0]["error"]["cause"], "unsupported");
    let cpu_alone = job(&json!({"cpu": ["true"]}), ",\"device\":\"gpu\"");
    let error = &run(&cpu_alone, &[]).expect(1).json()[0]["error"];
    assert_eq!(error["cause"], "unsupported");
    assert!(error["message"].as_str().unwrap().contains("no gpu variant"), "{error}");
    let error =
        &run(&job(&json!({"cpu": ["true"], "gpu": ["true"]}), ",\"device\":\"gpu:99\""), &[]).expect(1).json()[0];
    assert_eq!((&error["error"]["cause"], &error["device"]), (&json!("no_device"), &Value::Null));
    let error = &run(&job(&json!({}), ""), &[]).expect(1).json()[0]["error"];
    assert!(error["message"].as_str().unwrap().contains("`variants` names no program"), "{error}");
}

#[test]
fn a_cpu_variant_alone_looks_for_no_gpu() {
    let outcome = &run(&job(&json!({"cpu": ["echo", "x"]}), ""), &["--explain"]).expect(0).json()[0];
    assert_eq!((&outcome["device"], &outcome["result"]["stdout"]), (&json!("cpu"), &json!("x\n")));
    let reason = outcome["plan"]["reason"].as_str().unwrap();
    assert!(reason.ends_with("the job has no gpu variant"), "{reason}");
    assert_eq!(outcome["plan"]["candidates"].as_array().unwrap().len(), 1);
}
