use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Service, command};

/// The status once it is like this.
fn status_once(service: &Service, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let status = service.get("/v1/status").json();
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < until, "it never came to this: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn one_answer_says_how_the_service_is() {
    let service = Service::start(&["--threads", "2", "--memory", "1GiB", "--queue", "77", "--allow-commands"]);
    let done = service.run(r#"{"kind":"primes","range":"0..3e7","method":"sieve","device":"cpu"}"#);
    service.run(r#"{"kind":"command","argv":["false"]}"#);
    assert_eq!(service.post(r#"{"kind":"nothing"}"#).status, 400);
    let sleeper = service.accepted(r#"{"kind":"command","argv":["sleep","600"]}"#);
    let status =
        status_once(&service, |status| status["jobs"]["running"] == 1 && status["devices"][0]["busy_lanes"] == 1);
    let (jobs, since, cpu) = (&status["jobs"], &status["since_start"], &status["devices"][0]);
    assert_eq!((&jobs["queued"], &jobs["with_engine"], &jobs["kept"]), (&0.into(), &1.into(), &2.into()), "{status}");
    assert_eq!((&jobs["queue_max"], &status["memory"]["limit_bytes"]), (&77.into(), &(1_u64 << 30).into()));
    assert_eq!((&since["accepted"], &since["refused"]), (&3.into(), &1.into()));
    assert_eq!((&since["ended"]["succeeded"], &since["ended"]["failed"]), (&1.into(), &1.into()));
    assert_eq!((&cpu["device"], &cpu["lanes"]), (&"cpu".into(), &2.into()));
    assert!(cpu["busy_ms"].as_f64() > Some(0.0) && status["uptime_ms"].as_u64() > Some(0), "{status}");
    assert!(status["kinds"].as_array().unwrap().contains(&"primes".into()));
    // The step is over in five seconds.
    let sum = |status: &Value, state: &str| -> u64 {
        status["pace"]["states"][state].as_array().unwrap().iter().filter_map(Value::as_u64).sum()
    };
    let status = status_once(&service, |status| sum(status, "queued") == 3);
    assert_eq!((sum(&status, "succeeded"), sum(&status, "failed"), sum(&status, "cancelled")), (1, 1, 0));
    service.request("DELETE", &format!("/v1/jobs/{sleeper}"), "", b"");
    status_once(&service, |status| {
        status["devices"][0]["busy_lanes"] == 0 && status["since_start"]["ended"]["cancelled"] == 1
    });
    // Where a job ran is in the list too.
    let list = service.get("/v1/jobs?state=succeeded").json();
    assert_eq!((&list["jobs"][0]["id"], &list["jobs"][0]["device"]), (&done["id"], &"cpu".into()));
}

#[test]
fn pages_are_given_to_everybody_what_they_ask_for_is_not() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "a-token-of-some-length").unwrap();
    let service = Service::start(&["--token-file", file.path().to_str().unwrap()]);
    for path in ["/", "/docs"] {
        let page = service.get(path);
        assert!(page.status == 200 && page.body.ends_with("</html>\n"), "{path}: {page:?}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    for path in ["/openapi.json", "/v1/status", "/v1/jobs", "/docs/", "/index.html"] {
        assert_eq!(service.get(path).status, 401, "{path}");
    }
}

#[test]
fn with_json_every_line_that_it_says_is_an_object_whatever_the_log_lets_through() {
    for level in ["info", "off"] {
        let data = tempfile::tempdir().unwrap();
        let mut command = command(data.path(), &["--json", "--allow-commands", "--drain", "0"]);
        command.env("TANDEM_LOG", level);
        let service = Service::spawn(data, command);
        let first = service.first.clone();
        let sleeper = service.accepted(r#"{"kind":"command","argv":["sleep","600"]}"#);
        service.wait_for(&sleeper, "running");
        let (code, _, log) = service.end();
        assert_eq!(code, Some(0), "{log}");
        let whole = first + &log;
        let lines = whole.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            line["message"].as_str().unwrap_or_default().to_owned()
        });
        let said: Vec<String> = lines.collect();
        for what in ["listening at http://", "ending: ", "1 job is left"] {
            assert!(said.iter().any(|message| message.starts_with(what)), "{level}, {what}: {said:?}");
        }
    }
}
