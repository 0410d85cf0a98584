use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::program::{LONG, Service};

#[test]
fn a_job_is_acknowledged_run_and_told_with_its_plan_its_times_and_what_came_with_it() {
    let service = Service::start(&[]);
    let reply = service.post(
        "{\n \"kind\": \"primes\",\n \"range\": \"0..1000\", \"id\": \"mine\",\n \"metadata\": {\"who\": [1.50]}\n}",
    );
    assert_eq!(reply.status, 202, "{reply:?}");
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("location"), Some(format!("/v1/jobs/{id}").as_str()));
    let job = service.wait_for(&id, "succeeded");
    assert_eq!((&job["result"]["count"], &job["label"], &job["kind"]), (&168.into(), &"mine".into(), &"primes".into()));
    assert_eq!((&job["device"], &job["attempts"]), (&"cpu".into(), &1.into()));
    assert!(job["plan"]["reason"].is_string() && job["timings_ms"]["total"].is_number(), "{job}");
    assert!(service.get(&format!("/v1/jobs/{id}")).body.contains(r#""metadata":{"who": [1.50]}"#), "as it came");
    let next = service.accepted(r#"{"kind":"primes","range":"0..1000000000","method":"sieve"}"#);
    assert_eq!(service.get(&format!("/v1/jobs/{next}/result?wait=60s")).body, r#"{"count":50847534}"#);
    let long = service.run(r#"{"kind":"fibonacci","n":1500000}"#)["id"].as_str().unwrap().to_owned();
    let long = service.get(&format!("/v1/jobs/{long}/result"));
    assert_eq!(long.header("content-length"), Some(long.body.len().to_string().as_str()));
    assert!(long.body.len() > 300_000 && long.json().is_object(), "{} bytes", long.body.len());
    let result = service.get(&format!("/v1/jobs/{id}/result"));
    assert_eq!((result.status, result.body.as_str()), (200, r#"{"count":168}"#));
}

#[test]
fn what_is_no_job_is_told_with_its_place() {
    let service = Service::start(&[]);
    for (body, line, column, message) in [
        ("{\n  \"kind\": \"primse\"}", 2, 18, "did you mean `primes`?"),
        ("{\"kind\":\"factor\",\n\"n\":-1}", 2, 7, ""),
        ("", 1, 1, ""),
        ("[]", 1, 1, "a job: an object"),
        ("{\"kind\":\"factor\",\"n\":12} x", 1, 27, ""),
        ("{\"kind\":\"factor\",\"n\":12,\"after\":[\"a\"]}", 1, 25, "no job here has that id"),
        ("{\"kind\":\"stats\",\"file\":{\"$file\":\"a\"}}", 1, 25, "there is none"),
    ] {
        let reply = service.post(body);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &"bad_input".into()), "{body}: {reply:?}");
        assert!(error["message"].as_str().unwrap().contains(message), "{body}: {error}");
        assert_eq!(error["line"], line, "{body}: {error}");
        assert!(error["column"].as_i64().unwrap().abs_diff(column) <= 1, "{body}: {error}");
    }
    let reply = service.request("POST", "/v1/jobs", "", b"{\n \xff\xfe}");
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["line"], &error["column"]), (400, &2.into(), &2.into()), "{reply:?}");
    let failed = service.run(r#"{"kind":"primes","numbers":[7],"device":"gpu:7"}"#);
    assert_eq!((&failed["state"], &failed["cause"]), (&"failed".into(), &"no_device".into()), "{failed}");
}

#[test]
fn a_job_is_cancelled_while_it_runs_and_while_it_waits_and_not_after() {
    let service = Service::start(&["--threads", "1"]);
    let long = service.accepted(LONG);
    service.wait_for(&long, "running");
    let cancel = |id: &str| service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"").status;
    assert_eq!(cancel(&long), 202);
    let job = service.wait_for(&long, "cancelled");
    assert_eq!(job["error"]["cause"], "cancelled");
    // Once more changes nothing.
    let again = service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"");
    assert_eq!((again.status, again.json()["state"].as_str()), (200, Some("cancelled")), "{again:?}");
    let done = service.run(r#"{"kind":"factor","n":12}"#);
    assert_eq!((cancel(done["id"].as_str().unwrap()), cancel("abcd-1"), cancel("nonsense")), (409, 404, 404));
    assert_eq!(service.get(&format!("/v1/jobs/{long}/result")).status, 409);
    let again = service.request("POST", &format!("/v1/jobs/{long}/retry"), "", b"");
    assert_eq!(again.status, 202, "{again:?}");
    service.wait_for(&long, "running");
    assert_eq!(service.job(&long)["attempts"], 2);
    assert_eq!(cancel(&long), 202);
    service.wait_for(&long, "cancelled");
}

#[test]
fn cancelling_a_job_twice_while_it_ends_is_no_error() {
    let service = Service::start(&["--threads", "1", "--allow-commands"]);
    // It ends a while after it was asked to.
    let stubborn = r#"{"kind":"command","argv":["sh","-c","trap '' TERM; while :; do sleep 0.1; done"]}"#;
    let id = service.accepted(stubborn);
    service.wait_for(&id, "running");
    let cancel = || service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"");
    let first = cancel();
    assert_eq!((first.status, first.json()["state"].as_str()), (202, Some("running")), "{first:?}");
    let second = cancel();
    assert!([202, 200].contains(&second.status), "{second:?}");
    service.wait_for(&id, "cancelled");
    assert_eq!(cancel().status, 200);
    // One that waits behind another is over at once.
    let (long, waiting) = (service.accepted(LONG), service.accepted(r#"{"kind":"factor","n":12,"priority":-1}"#));
    let twice = [(); 2].map(|()| service.request("DELETE", &format!("/v1/jobs/{waiting}"), "", b"").status);
    assert!(twice == [202, 202] || twice == [202, 200] || service.job(&waiting)["state"] == "succeeded", "{twice:?}");
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{long}"), "", b"").status, 202);
}

#[test]
fn who_is_told_that_a_job_is_cancelled_finds_it_cancelled() {
    let service = Service::start(&["--threads", "2"]);
    let (mut cancelled, mut too_late) = (0, 0);
    for n in 0..300 {
        let id = service.accepted(&format!(r#"{{"kind":"primes","range":"0..1e{}"}}"#, 5 + n % 3));
        let reply = service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"");
        let told = reply.json()["state"].as_str().unwrap_or_default().to_owned();
        match (reply.status, told.as_str()) {
            (202, "cancelled") => {
                cancelled += 1;
                assert_eq!(service.job(&id)["state"], "cancelled", "{reply:?}");
            }
            (202, "running") => {}
            (409, _) => {
                too_late += 1;
                service.wait_for(&id, "succeeded");
            }
            _ => panic!("{reply:?}"),
        }
    }
    assert!(cancelled > 0, "{too_late} were done before");
}

#[test]
fn who_sends_all_before_he_reads_hears_why_it_was_not_taken() {
    let service = Service::start(&["--max-body", "1MiB"]);
    let long = vec![b' '; 20 << 20];
    let ask = |method: &str, path: &str, head: &str| service.request(method, path, head, &long).status;
    assert_eq!(ask("POST", "/v1/jobs", ""), 413);
    assert_eq!(ask("POST", "/v1/jobs", "Content-Encoding: gzip\r\n"), 415);
    assert_eq!(ask("POST", "/v1/jobs", "Origin: http://elsewhere.example\r\n"), 403);
    assert_eq!(ask("PUT", "/v1/jobs", ""), 405);
    assert_eq!(ask("POST", "/nowhere", ""), 404);
    service.run(r#"{"kind":"factor","n":12}"#);
}

#[test]
fn who_sends_little_piece_by_piece_hears_why_it_was_not_taken_and_goes_on() {
    let service = Service::start(&[]);
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    for _ in 0..2 {
        write!(stream, "POST /nowhere HTTP/1.1\r\nHost: {}\r\nContent-Length: 4000\r\n\r\n", service.address).unwrap();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(5));
            stream.write_all(&[b' '; 1000]).unwrap();
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        // The same connection goes on after the answer.
        let mut rest = Vec::new();
        let mut byte = [0];
        while !rest.ends_with(b"}}") {
            stream.read_exact(&mut byte).unwrap();
            rest.push(byte[0]);
        }
    }
}

#[test]
fn a_query_that_is_not_known_is_no_query_for_all_jobs() {
    let service = Service::start(&[]);
    for (path, name) in
        [("/v1/jobs?stat=failed", "stat"), ("/v1/jobs?limit=a", "limit"), ("/v1/jobs/a-1?wiat=1s", "wiat")]
    {
        let reply = service.get(path);
        let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status, message.contains(name)), (400, true), "{message}");
    }
}

#[test]
fn the_same_key_and_body_make_one_job_and_another_body_is_refused() {
    let service = Service::start(&[]);
    let with = |key: &str, body: &str| {
        let reply = service.request("POST", "/v1/jobs", &format!("Idempotency-Key: {key}\r\n"), body.as_bytes());
        (reply.status, reply.json()["id"].as_str().unwrap_or_default().to_owned())
    };
    let (first, other) = (r#"{"kind":"factor","n":12}"#, r#"{"kind":"factor","n":13}"#);
    let (status, id) = with("a", first);
    assert_eq!((status, with("a", first)), (202, (202, id.clone())));
    service.wait_for(&id, "succeeded");
    assert_eq!(with("a", first).1, id);
    assert_eq!(with("a", other).0, 422);
    assert_ne!(with("b", first).1, id);
}

#[test]
fn a_key_that_is_known_gives_its_job_also_where_nothing_new_is_taken_in() {
    let service = Service::start(&["--queue", "1"]);
    let with_key = |key: &str, job: &str| {
        service.request("POST", "/v1/jobs", &format!("Idempotency-Key: {key}\r\n"), job.as_bytes())
    };
    let first = with_key("a", LONG);
    assert_eq!(first.status, 202, "{first:?}");
    assert_eq!(with_key("b", LONG).status, 429);
    let again = with_key("a", LONG);
    assert_eq!((again.status, again.json()["id"] == first.json()["id"]), (202, true), "{again:?}");
    assert_eq!(with_key("a", r#"{"kind":"factor","n":12}"#).status, 422);
}

#[test]
fn deadlines_end_jobs_that_run_and_jobs_that_wait() {
    let service = Service::start(&["--threads", "1"]);
    let with_deadline = |time: &str| format!("{{\"deadline\":\"{time}\",{}", &LONG[1..]);
    let running = service.run(&with_deadline("300ms"));
    assert_eq!((&running["state"], &running["error"]["cause"]), (&"expired".into(), &"timeout".into()));
    assert!(running["deadline_ms"].as_i64() > running["accepted_ms"].as_i64());
    let failed = service.run(&format!("{{\"timeout\":\"200ms\",{}", &LONG[1..]));
    assert_eq!((&failed["state"], &failed["cause"]), (&"failed".into(), &"timeout".into()), "{failed}");
}

#[test]
fn a_job_that_was_cancelled_before_its_turn_was_never_started() {
    let service = Service::start(&["--threads", "1"]);
    let first = service.accepted(LONG);
    service.wait_for(&first, "running");
    let waits = service.accepted(LONG);
    assert_eq!((&service.job(&waits)["attempts"], service.job(&waits).get("started_ms")), (&0.into(), None));
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{waits}"), "", b"").status, 202);
    let cancelled = service.wait_for(&waits, "cancelled");
    assert_eq!((&cancelled["attempts"], cancelled.get("started_ms")), (&0.into(), None), "{cancelled}");
    assert_eq!(service.job(&first)["attempts"], 1);
}

#[test]
fn a_job_that_timed_out_is_tried_again_as_often_as_it_asks() {
    let service = Service::start(&[]);
    let id = service.accepted(&format!("{{\"timeout\":\"100ms\",\"retries\":1,{}", &LONG[1..]));
    let waits = service.wait_for(&id, "retry_wait");
    assert!(waits["cause"] == "timeout" && waits["retry_ms"].as_i64() > waits["started_ms"].as_i64(), "{waits}");
    let job = service.wait_for(&id, "failed");
    assert_eq!((&job["attempts"], &job["cause"]), (&2.into(), &"timeout".into()));
}

#[test]
fn no_more_wait_than_may_and_what_can_never_fit_is_told_so() {
    let service = Service::start(&["--queue", "2", "--max-body", "1KiB", "--memory", "1GiB"]);
    let jobs = [service.accepted(LONG), service.accepted(LONG)];
    let full = service.post(LONG);
    assert_eq!((full.status, full.header("retry-after")), (429, Some("1")), "{full:?}");
    let long = format!("{{\"kind\":\"stats\",\"values\":[{}1]}}", "1,".repeat(1000));
    assert_eq!(service.post(&long).status, 413);
    let hungry = service.post(r#"{"kind":"factor","n":1,"memory":"2GiB"}"#);
    assert_eq!((hungry.status, hungry.json()["error"]["code"].as_str()), (413, Some("memory")), "{hungry:?}");
    for id in jobs {
        assert_eq!(service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"").status, 202);
        service.wait_for(&id, "cancelled");
    }
    service.run(r#"{"kind":"factor","n":12}"#);
}

#[test]
fn lists_are_filtered_and_lead_from_page_to_page() {
    let service = Service::start(&[]);
    for n in 1..=5 {
        service.run(&format!("{{\"kind\":\"factor\",\"n\":{n}}}"));
    }
    service.run(r#"{"kind":"primes","numbers":[7],"device":"gpu:7"}"#);
    let list = |query: &str| {
        let reply = service.get(&format!("/v1/jobs{query}")).json();
        let count = reply["jobs"].as_array().unwrap().len();
        (count, reply["next"].as_str().map(str::to_owned))
    };
    assert_eq!((list("").0, list("?kind=factor").0, list("?state=failed").0, list("?state=running").0), (6, 5, 1, 0));
    let (count, next) = list("?limit=4");
    assert_eq!((count, list(&format!("?limit=4&after={}", next.unwrap()))), (4, (2, None)));
    for wrong in ["?state=odd", "?limit=0", "?after=x", "?limit=-1"] {
        assert_eq!(service.get(&format!("/v1/jobs{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_time_beyond_all_clocks_is_refused_and_a_long_one_is_none() {
    let service = Service::start(&[]);
    for field in ["deadline", "timeout"] {
        let refused = service.post(&format!(r#"{{"kind":"factor","n":12,"{field}":"18446744073709549568s"}}"#));
        assert_eq!((refused.status, refused.body.contains("a hundred years")), (400, true), "{refused:?}");
        let job = service.run(&format!(r#"{{"kind":"factor","n":12,"{field}":"36500d"}}"#));
        assert_eq!(job["state"], "succeeded", "{job}");
    }
}

#[test]
fn a_job_whose_dataset_was_replaced_is_not_tried_again_with_another() {
    let service = Service::start(&[]);
    let put =
        |text: &str| service.request("PUT", "/v1/datasets/d", "Content-Type: text/csv\r\n", text.as_bytes()).status;
    assert_eq!(put("a\nx\n"), 201);
    let job = service.run(r#"{"kind":"stats","dataset":"d","column":"a"}"#);
    assert_eq!(job["state"], "failed", "{job}");
    let id = job["id"].as_str().unwrap();
    let retry = || service.request("POST", &format!("/v1/jobs/{id}/retry"), "", b"");
    assert_eq!(retry().status, 202, "what it reads is still there");
    service.wait_for(id, "failed");
    assert_eq!(put("a\n1\n"), 200);
    // What nobody reads any more goes in a while; here it does at once.
    std::fs::remove_file(service.data.path().join("datasets/d/1.csv")).unwrap();
    let refused = retry();
    assert_eq!((refused.status, refused.body.contains("was replaced")), (409, true), "{refused:?}");
}
