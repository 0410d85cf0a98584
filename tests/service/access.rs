use std::io::Write;

use crate::program::{Service, command};

fn with_header(service: &Service, path: &str, header: &str) -> u16 {
    service.request("GET", path, header, b"").status
}

#[test]
fn a_token_is_wanted_everywhere_but_where_one_asks_whether_it_is_there() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "a-token-of-some-length").unwrap();
    let service = Service::start(&["--token-file", file.path().to_str().unwrap()]);
    for path in ["/v1/jobs", "/metrics", "/openapi.json", "/v1/events"] {
        assert_eq!(service.get(path).status, 401, "{path}");
        assert_eq!(with_header(&service, path, "Authorization: Bearer wrong\r\n"), 401, "{path}");
    }
    assert_eq!(service.post(r#"{"kind":"factor","n":12}"#).status, 401);
    assert_eq!(with_header(&service, "/v1/jobs", "Authorization: Bearer a-token-of-some-length\r\n"), 200);
    assert_eq!((service.get("/healthz").status, service.get("/readyz").status), (200, 200));
}

#[test]
fn an_address_that_others_can_reach_wants_a_token_or_an_explicit_word() {
    let data = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = command(data.path(), args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut short = tempfile::NamedTempFile::new().unwrap();
    writeln!(short, "short").unwrap();
    for (args, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "--no-token"),
        (&["--token-file", "/nowhere/token"], "/nowhere/token"),
        (&["--token-file", short.path().to_str().unwrap()], "16 characters"),
        (&["--allow-path", "/nowhere"], "--allow-path /nowhere"),
        (&["--commands", "/nowhere.json"], "/nowhere.json"),
        (&["--keep", "soon"], "is no time"),
    ] {
        let (code, error) = run(args);
        assert!(matches!(code, Some(1 | 2)) && error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn pages_of_other_sites_and_names_that_were_made_to_lead_here_get_nothing() {
    let service = Service::start(&[]);
    assert_eq!(with_header(&service, "/v1/jobs", "Origin: https://evil.example\r\n"), 403);
    let own = format!("Origin: http://{}\r\n", service.address);
    assert_eq!(with_header(&service, "/v1/jobs", &own), 200);
    let rebound = service.send(b"GET /v1/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(rebound.status, 403, "{rebound:?}");
}

#[test]
fn jobs_reach_no_program_address_or_file_that_was_not_allowed() {
    let open = tempfile::tempdir().unwrap();
    std::fs::write(open.path().join("a.csv"), "x\n1\n3\n").unwrap();
    let service = Service::start(&["--allow-path", open.path().to_str().unwrap()]);
    for job in [
        r#"{"kind":"command","argv":["id"]}"#,
        r#"{"kind":"links","url":"http://127.0.0.1/"}"#,
        r#"{"kind":"stats","file":"/etc/hostname"}"#,
        r#"{"kind":"stats","file":"../../etc/hostname"}"#,
        r#"{"kind":"corr","values":[[1,2],[2,1]],"output":"/tmp/x.npy"}"#,
    ] {
        let reply = service.post(job);
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].as_str()),
            (403, Some("forbidden")),
            "{job}: {reply:?}"
        );
    }
    assert_eq!(service.run(r#"{"kind":"stats","file":"a.csv"}"#)["state"], "succeeded");
    // What a name has become is no more told than what was named.
    assert_eq!(service.request("PUT", "/v1/datasets/t", "", b"1\n").status, 201);
    let data = service.data.path().to_str().unwrap();
    for field in ["n", "id", "timeout", "device", "kind"] {
        let mut job = serde_json::json!({"kind": "factor", "n": 12});
        job[field] = serde_json::json!({"$dataset": "t"});
        let reply = service.post(&job.to_string());
        assert!(reply.status == 400 && !reply.body.contains(data), "{job}: {reply:?}");
    }
    // Where the folder lies is nobody's business, also where nothing goes wrong.
    let written = service.run(r#"{"kind":"corr","values":[[1,2],[2,1]],"output":"x.npy"}"#);
    assert!(written["result"]["output"] == "x.npy" && open.path().join("x.npy").exists(), "{written}");
}

#[test]
fn every_path_of_the_description_answers_and_nothing_else_does() {
    let service = Service::start(&[]);
    let description = service.get("/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{description}");
    let ended = service.run(r#"{"kind":"factor","n":12}"#)["id"].as_str().unwrap().to_owned();
    assert_eq!(service.request("PUT", "/v1/datasets/temps", "Content-Type: text/csv\r\n", b"1\n").status, 201);
    let mut asked = 0;
    for (id, name) in [(ended.as_str(), "temps"), ("abcd-1", "nothing"), ("%ff", "..")] {
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                // It never ends.
                if path == "/v1/events" {
                    continue;
                }
                let filled = path.replace("{id}", id).replace("{name}", name);
                assert!(!filled.contains('{'), "{path}: what stands there?");
                let reply = service.request(&method.to_uppercase(), &filled, "", b"");
                assert!(reply.status != 405 && !reply.body.contains("nothing is at"), "{method} {filled}: {reply:?}");
                assert!(reply.status < 500, "{method} {filled}: {reply:?}");
                let described = &operation["responses"][reply.status.to_string()];
                assert!(described.is_object(), "{method} {filled}: {} is not described", reply.status);
                if let (Some(kind), Some(kinds)) = (reply.header("content-type"), described["content"].as_object()) {
                    let kind = kind.split(';').next().unwrap();
                    assert!(kinds.contains_key(kind), "{method} {filled}: {kind} is none of {kinds:?}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked >= 3 * 17, "{asked}");
    assert_eq!((service.get("/v1/nothing").status, service.request("PUT", "/v1/jobs", "", b"").status), (404, 405));
    assert!(service.get("/metrics").body.contains("tandem_jobs_accepted_total 1\n"));
    assert!(service.get("/v1/devices").json()["devices"].is_array());
}
