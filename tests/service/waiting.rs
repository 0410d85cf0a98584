use std::path::Path;

use serde_json::Value;

use crate::program::{LONG, Service};

fn after(kind: &str, ids: &[&str]) -> String {
    format!("{{{kind},\"after\":{}}}", serde_json::json!(ids))
}

fn batch(service: &Service, lines: &[&str]) -> Vec<Value> {
    let reply = service.request("POST", "/v1/batches", "", lines.join("\n").as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn commands(folder: &Path) -> String {
    let path = folder.join("commands.json");
    std::fs::write(&path, r#"{"echo":{"argv":["cat"]}}"#).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_job_begins_once_those_have_succeeded_that_it_waits_for_and_takes_their_results() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&["--commands", &commands(folder.path())]);
    let first = service.accepted(r#"{"kind":"factor","n":"18446744073709551557"}"#);
    let taking = format!(r#"{{"kind":"primes","numbers":[{{"$result":"{first}.factors.0.prime"}}]}}"#);
    assert_eq!(service.run(&taking)["result"]["is_prime"], serde_json::json!([true]));
    service.wait_for(&first, "succeeded");
    assert_eq!(service.run(&taking)["result"]["prime_count"], 1, "of one that has ended");
    let own = format!(
        r#"{{"kind":"echo","of":{{"$result":{{"id":"{first}","path":["factors",0]}}}},"metadata":{{"$result":"x"}}}}"#
    );
    let own = service.run(&own);
    assert_eq!(own["result"]["stdout"], r#"{"of":{"prime":"18446744073709551557","exponent":1}}"#, "{own}");
    assert_eq!(own["metadata"], serde_json::json!({"$result": "x"}), "that is the client's own");
    let gone = service.run(&format!(r#"{{"kind":"factor","n":{{"$result":"{first}.factors.7.prime"}}}}"#));
    assert_eq!((&gone["state"], &gone["cause"]), (&"failed".into(), &"bad_input".into()), "{gone}");
}

#[test]
fn who_waits_for_a_job_that_does_not_succeed_is_skipped_with_all_who_wait_for_it() {
    let service = Service::start(&[]);
    let long = service.accepted(LONG);
    let second = service.accepted(&after(r#""kind":"factor","n":12"#, &[&long]));
    let third = service.accepted(&after(r#""kind":"factor","n":12"#, &[&second]));
    let waiting = service.job(&third);
    assert_eq!((&waiting["state"], &waiting["awaits"]), (&"queued".into(), &serde_json::json!([second])));
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"").status, 202);
    for (id, before) in [(&second, &long), (&third, &second)] {
        let skipped = service.wait_for(id, "failed");
        assert_eq!(skipped["cause"], "skipped");
        assert!(skipped["error"]["message"].as_str().unwrap().contains(before.as_str()), "{skipped}");
    }
    let late = service.run(&after(r#""kind":"factor","n":12"#, &[&third]));
    assert_eq!(late["cause"], "skipped", "of one that has ended: {late}");
    for wrong in ["abcd-1", "", &third.replace('-', "-9")] {
        let reply = service.post(&after(r#""kind":"factor","n":12"#, &[wrong]));
        assert_eq!((reply.status, reply.json()["error"]["column"].as_u64()), (400, Some(25)), "{reply:?}");
    }
}

#[test]
fn jobs_of_a_batch_name_each_other_as_in_a_job_file() {
    let service = Service::start(&[]);
    let lines = batch(
        &service,
        &[
            r#"{"id":"a","kind":"factor","n":30}"#,
            r#"{"id":"b","kind":"factor","n":{"$result":"a.factors.2.prime"},"after":"a"}"#,
            r#"{"id":"c","kind":"primes","numbers":[{"$result":"b.factors.0.prime"},{"$result":"a.factors.1.prime"}],"after":["a","b"]}"#,
            r#"{"kind":"factor","n":1,"after":"d"}"#,
        ],
    );
    assert!(lines[3]["error"]["message"].as_str().unwrap().contains("`after` names `d`"), "{}", lines[3]);
    let last = service.wait_for(lines[2]["id"].as_str().unwrap(), "succeeded");
    assert_eq!((&last["label"], &last["result"]["prime_count"]), (&"c".into(), &2.into()), "{last}");
}

#[test]
fn what_a_job_waits_for_is_known_after_a_kill() {
    let service = Service::start(&["--allow-commands"]);
    let lines = batch(
        &service,
        &[
            r#"{"id":"long","kind":"command","argv":["sleep","3"]}"#,
            r#"{"id":"then","kind":"factor","n":12,"after":"long"}"#,
            r#"{"kind":"factor","n":{"$result":"then.factors.0.prime"}}"#,
        ],
    );
    let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    let service = Service::start_in(service.kill(), &["--allow-commands"]);
    assert_eq!(service.job(ids[1])["state"], "queued");
    for id in ids {
        service.wait_for(id, "succeeded");
    }
}

#[test]
fn a_result_that_stands_for_a_path_opens_nothing_that_was_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&["--commands", &commands(folder.path())]);
    let secret = folder.path().join("secret.csv");
    std::fs::write(&secret, "x\n1\n").unwrap();
    let path = Value::from(secret.to_str().unwrap());
    let id = service.accepted(&format!("{{\"kind\":\"echo\",\"path\":{path}}}"));
    let job = service.run(&format!(r#"{{"kind":"stats","file":{{"$result":"{id}.stdout.json.path"}}}}"#));
    assert_eq!(job["state"], "failed");
    assert!(job["error"]["message"].as_str().unwrap().contains("--allow-path"), "{job}");
}

#[test]
fn who_asks_not_to_wait_is_answered_at_once_and_a_drain_of_none_lets_nothing_run_on() {
    let service = Service::start(&["--drain", "0s", "--allow-commands"]);
    let long = service.accepted(r#"{"kind":"command","argv":["sleep","600"]}"#);
    for wait in ["0", "0s", "1ms"] {
        let job = service.get(&format!("/v1/jobs/{long}?wait={wait}"));
        assert_eq!((job.status, job.json()["ended_ms"].is_null()), (200, true), "{wait}: {job:?}");
        assert_eq!(service.get(&format!("/v1/jobs/{long}/result?wait={wait}")).status, 409, "{wait}");
    }
    assert_eq!(service.get(&format!("/v1/jobs/{long}?wait=soon")).status, 400);
    let limited = service.post(r#"{"kind":"factor","n":12,"timeout":"0s"}"#);
    assert!(limited.status == 400 && limited.body.contains("leaves no job any"), "{limited:?}");
    let (code, data, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    let service = Service::start_in(data, &["--allow-commands"]);
    assert!(service.job(&long)["ended_ms"].is_null(), "it was stopped, and runs again");
}
