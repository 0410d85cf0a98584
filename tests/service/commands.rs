use std::path::Path;

use crate::program::{Service, command};

/// A worker that stays: it counts what it was asked, and ends when it is told to.
const WORKER: &str = r#"import json, sys
count = 0
for line in sys.stdin:
    job = json.loads(line)
    count += 1
    if job.get("crash"):
        raise ValueError("no such scan")
    print(json.dumps({"count": count, "asked": job, "size": len(open(job["scan"]).read()) if "scan" in job else None}), flush=True)
"#;

fn service(folder: &Path) -> Service {
    std::fs::write(folder.join("worker.py"), WORKER).unwrap();
    let commands = folder.join("commands.json");
    let text = r#"{"predict":{"argv":["python3","worker.py"],"workers":1},"shout":{"argv":["tr","a-z","A-Z"]}}"#;
    std::fs::write(&commands, text).unwrap();
    Service::start(&["--commands", commands.to_str().unwrap()])
}

#[test]
fn a_command_of_the_operator_is_asked_by_name_and_its_program_stays() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let first = service.run(r#"{"kind":"predict","threshold":0.50,"id":"a","metadata":1}"#);
    assert_eq!((&first["state"], &first["kind"]), (&"succeeded".into(), &"predict".into()), "{first}");
    assert_eq!(first["result"]["answer"]["asked"], serde_json::json!({"threshold": 0.5}), "only what is its own");
    let second = service.run(r#"{"kind":"predict"}"#);
    assert_eq!(second["result"]["answer"]["count"], 2, "it was not started anew");
    let crashed = service.run(r#"{"kind":"predict","crash":true}"#);
    assert_eq!((&crashed["state"], &crashed["cause"]), (&"failed".into(), &"exit_code".into()));
    assert!(crashed["error"]["stderr"].as_str().unwrap().contains("ValueError: no such scan"), "{crashed}");
    assert_eq!(service.run(r#"{"kind":"predict"}"#)["result"]["answer"]["count"], 1, "a fresh one goes on");
    let once = service.run(r#"{"kind":"shout","word":"hey"}"#);
    assert_eq!(once["result"]["stdout"], r#"{"WORD":"HEY"}"#);
}

#[test]
fn a_file_that_came_with_the_job_is_handed_to_the_command_as_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let body = "--B\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n{\"kind\":\"predict\",\"scan\":{\"$file\":\"scan\"}}\r\n\
                --B\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"s.txt\"\r\n\r\n12345\r\n--B--\r\n";
    let reply =
        service.request("POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=B\r\n", body.as_bytes());
    assert_eq!(reply.status, 202, "{reply:?}");
    let job = service.wait_for(reply.json()["id"].as_str().unwrap(), "succeeded");
    assert_eq!(job["result"]["answer"]["size"], 5, "{job}");
    assert_eq!(service.post(r#"{"kind":"command","argv":["id"]}"#).status, 403, "no other program");
}

#[test]
fn a_file_of_commands_by_its_bare_name_tells_no_more_of_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("worker.py"), WORKER).unwrap();
    let text = r#"{"predict":{"argv":["python3","worker.py"],"workers":1}}"#;
    std::fs::write(folder.path().join("commands.json"), text).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut started = command(data.path(), &["--commands", "commands.json"]);
    started.current_dir(folder.path());
    let service = Service::spawn(data, started);
    let crashed = service.run(r#"{"kind":"predict","crash":true}"#);
    let stderr = crashed["error"]["stderr"].as_str().unwrap();
    assert!(stderr.contains("\"worker.py\"") && !stderr.contains(folder.path().to_str().unwrap()), "{stderr}");
}

#[test]
fn an_answer_is_left_as_it_is_and_an_error_tells_no_place_of_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let place = folder.path().to_str().unwrap();
    let said = format!("https://example.com{place}/x and {place}/worker.py");
    let job = service.run(&format!(r#"{{"kind":"predict","said":"{said}"}}"#));
    assert_eq!(job["result"]["answer"]["asked"]["said"], said.as_str(), "{job}");
    let crashed = service.run(r#"{"kind":"predict","crash":true}"#);
    let told = crashed["error"]["stderr"].as_str().unwrap();
    assert!(told.contains("worker.py\", line 7") && !told.contains(place), "{crashed}");
}

#[test]
fn a_file_that_is_not_there_is_told_as_it_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&["--allow-path", folder.path().to_str().unwrap()]);
    let job = service.run(r#"{"kind":"stats","file":"nothing.npy"}"#);
    let message = job["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("nothing.npy: no such file"), "{message}");
}
