use std::io::Write;
use std::time::{Duration, Instant};

use crate::program::{LONG, Service, command};

#[test]
#[allow(clippy::print_stderr)]
fn a_kill_loses_nothing_that_was_acknowledged_and_ends_nothing_twice() {
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let mut data = tempfile::tempdir().unwrap();
    let mut ids: Vec<String> = Vec::new();
    for round in 0..4_u64 {
        let service = Service::start_in(data, &[]);
        // One under which the process was ended in two rounds would be dead after a third.
        if round == 2 {
            ids.iter().for_each(|id| _ = service.wait_for(id, "succeeded"));
        }
        let until = Instant::now() + Duration::from_millis(50 + (seed * 7919 + round * 104_729) % 200);
        while Instant::now() < until {
            ids.push(service.accepted(&format!("{{\"kind\":\"factor\",\"n\":{}}}", ids.len() + 2)));
        }
        data = service.kill();
    }
    let begun_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let service = Service::start_in(data, &[]);
    // From the first event of this process on.
    let listener = std::net::TcpStream::connect(&service.address).unwrap();
    let heard = listen_to_the_end(listener, "Last-Event-ID: 0\r\n");
    for (id, n) in ids.iter().zip(2_u64..) {
        let job = service.wait_for(id, "succeeded");
        let factors = job["result"]["factors"].as_array().unwrap();
        let product = factors.iter().fold(1, |product, factor| {
            let prime: u64 = factor["prime"].as_str().unwrap().parse().unwrap();
            product * prime.pow(factor["exponent"].as_u64().unwrap() as u32)
        });
        assert_eq!(product, n);
    }
    let (code, data, _) = service.end();
    assert_eq!(code, Some(0));
    let db = rusqlite::Connection::open(data.path().join("jobs.sqlite")).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let jobs = count("SELECT count(*) FROM jobs");
    // One that was written down and killed before it was acknowledged is there as well, one a client and round at most.
    assert!((ids.len() as i64..=ids.len() as i64 + 4).contains(&jobs), "{jobs} jobs, {} acknowledged", ids.len());
    // Each has one row, one outcome, and an end of the state that its outcome tells.
    for wrong in [
        "SELECT count(*) FROM (SELECT seq FROM outcomes GROUP BY seq HAVING count(*) <> 1)",
        "SELECT count(*) FROM jobs LEFT JOIN outcomes USING (seq) WHERE outcome IS NULL OR state <> 'succeeded' OR ended_ms IS NULL",
        "SELECT count(*) FROM outcomes WHERE outcome NOT LIKE '%\"status\":\"succeeded\"%' OR seq NOT IN (SELECT seq FROM jobs)",
        "SELECT count(*) FROM jobs WHERE attempts < 1 OR attempts > 1 + 4 OR ended_ms < started_ms",
    ] {
        assert_eq!(count(wrong), 0, "{wrong}");
    }
    // What ended in this process was told of once, and what had ended before was not told of again.
    let tag: String = db.query_row("SELECT value FROM about WHERE name = 'tag'", [], |row| row.get(0)).unwrap();
    let mut ended: Vec<String> = terminal(&heard.join().unwrap());
    ended.sort_unstable();
    let told = ended.len();
    ended.dedup();
    assert_eq!(told, ended.len(), "an end was told of twice");
    let mut here = db.prepare("SELECT seq FROM jobs WHERE ended_ms >= ?1").unwrap();
    let mut here: Vec<String> = here
        .query_map([begun_ms], |row| Ok(format!("{tag}-{}", row.get::<_, i64>(0)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    here.sort_unstable();
    assert_eq!(ended, here);
}

/// Listens to all events until the service ends.
fn listen_to_the_end(mut stream: std::net::TcpStream, headers: &str) -> std::thread::JoinHandle<String> {
    stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    std::thread::spawn(move || crate::program::read_reply(stream).body)
}

/// The ids of the jobs that events tell the end of, each as often as it is told.
fn terminal(events: &str) -> Vec<String> {
    assert!(!events.contains("event: missed"), "some are not known");
    let data =
        events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok());
    let ends = data.filter(|event| !["queued", "running", "retry_wait"].contains(&event["state"].as_str().unwrap()));
    ends.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_job_under_which_the_process_ends_three_times_is_dead_and_the_others_get_through() {
    let mut data = tempfile::tempdir().unwrap();
    let (mut poison, mut innocent) = (String::new(), String::new());
    for round in 0..3 {
        let service = Service::start_in(data, &["--threads", "1"]);
        if round == 0 {
            // It does not end the process by itself: the kill stands for what it would do.
            poison = service.accepted(LONG);
            innocent = service.accepted(r#"{"kind":"factor","n":12}"#);
        }
        service.wait_for(&poison, "running");
        data = service.kill();
    }
    let service = Service::start_in(data, &["--drain", "0"]);
    let dead = service.wait_for(&poison, "dead");
    assert_eq!(dead["attempts"], 3, "{dead}");
    assert!(dead["error"]["message"].as_str().unwrap().contains("3 times"), "{dead}");
    service.wait_for(&innocent, "succeeded");
    assert_eq!(service.request("POST", &format!("/v1/jobs/{poison}/retry"), "", b"").status, 202);
    service.wait_for(&poison, "running");
    // The log is written beside: it may come before or after where it says that it listens.
    let (first, (_, _, log)) = (service.first.clone(), service.end());
    let log = first + &log;
    let told = log.lines().find(|line| line.contains("\"dead\"")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains(&poison) && told.contains("job ended"), "{told}");
}

#[test]
fn a_service_that_is_asked_to_end_lets_go_of_what_takes_too_long_and_goes_on_with_it_later() {
    let service = Service::start(&["--threads", "1", "--drain", "300ms"]);
    let long = service.accepted(LONG);
    let waiting: Vec<String> = (0..20).map(|_| service.accepted(LONG)).collect();
    service.wait_for(&long, "running");
    let (code, data, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("21 jobs are left"), "{log}");
    let service = Service::start_in(data, &[]);
    assert_eq!(service.get("/v1/jobs?state=failed").json()["jobs"].as_array().unwrap().len(), 0);
    for id in waiting.iter().chain([&long]) {
        assert!(["queued", "running"].contains(&service.job(id)["state"].as_str().unwrap()));
        assert_eq!(service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"").status, 202);
        service.wait_for(id, "cancelled");
    }
}

#[test]
fn a_service_that_is_started_anew_tries_a_job_no_more_often_than_it_asked() {
    let service = Service::start(&[]);
    let id = service.accepted(&format!("{{\"timeout\":\"100ms\",\"retries\":1,{}", &LONG[1..]));
    service.wait_for(&id, "retry_wait");
    let (code, data, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    let service = Service::start_in(data, &[]);
    let job = service.wait_for(&id, "failed");
    assert_eq!((&job["attempts"], &job["cause"]), (&2.into(), &"timeout".into()), "{job}");
}

#[test]
fn an_end_that_was_asked_for_under_load_is_no_crash() {
    let mut data = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let service = Service::start_in(data, &[]);
        let address = service.address.clone();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let address = address.clone();
                std::thread::spawn(move || {
                    let job = br#"{"kind":"factor","n":600851475143}"#;
                    while std::net::TcpStream::connect(&address)
                        .is_ok_and(|stream| crate::program::post_on(stream, job))
                    {}
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150));
        let (code, left, log) = service.end();
        assert_eq!(code, Some(0), "{log}");
        clients.into_iter().for_each(|client| client.join().unwrap());
        let db = rusqlite::Connection::open(left.path().join("jobs.sqlite")).unwrap();
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert!(count("SELECT count(*) FROM jobs") > 0);
        assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'running' OR crashes > 0"), 0);
        data = left;
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let data = tempfile::tempdir().unwrap();
    let mut child = command(data.path(), &["--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut errors = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("http://") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut errors, &mut line).unwrap(), 0);
    }
    let address = line.trim().rsplit("http://").next().unwrap();
    // More lines than a pipe holds.
    let body: String = (2..5002).map(|n| format!("{{\"kind\":\"factor\",\"n\":{n}}}\n")).collect();
    let reply = crate::program::request(address, "POST", "/v1/batches", "", body.as_bytes());
    assert_eq!(reply.body.lines().count(), 5000);
    let last: serde_json::Value = serde_json::from_str(reply.body.lines().last().unwrap()).unwrap();
    let path = format!("/v1/jobs/{}?wait=60s", last["id"].as_str().unwrap());
    let ended = crate::program::request(address, "GET", &path, "", b"").json();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

#[test]
fn while_it_ends_it_takes_no_more_in_and_lets_what_runs_end() {
    let service = Service::start(&["--threads", "1", "--drain", "60s", "--allow-commands"]);
    let folder = tempfile::tempdir().unwrap();
    let word = folder.path().join("word");
    // It runs until it is told to end.
    let script = format!("until [ -e {} ]; do sleep 0.02; done; echo done", word.display());
    let job = service.accepted(&serde_json::json!({"kind": "command", "argv": ["sh", "-c", script]}).to_string());
    service.wait_for(&job, "running");
    service.signal(libc::SIGTERM);
    let until = Instant::now() + Duration::from_secs(20);
    let refused = loop {
        let reply = service.post(r#"{"kind":"factor","n":12}"#);
        if reply.status != 202 || Instant::now() > until {
            break reply;
        }
    };
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (503, Some("draining")), "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!((service.get("/readyz").status, service.get("/healthz").status), (503, 200));
    assert_eq!(service.request("POST", "/v1/batches", "", b"{\"kind\":\"factor\",\"n\":12}").status, 503);
    assert_eq!(service.job(&job)["state"], "running", "what runs may go on");
    std::fs::write(&word, "").unwrap();
    // Nothing more is sent: it ends by itself, once the job has.
    let (code, data, log) = service.wait();
    assert_eq!(code, Some(0), "{log}");
    let db = rusqlite::Connection::open(data.path().join("jobs.sqlite")).unwrap();
    let states: Vec<(String, i64)> = db
        .prepare("SELECT state, attempts FROM jobs ORDER BY seq")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(states[0], ("succeeded".to_owned(), 1), "it ended before the service did: {states:?}");
}

#[test]
fn a_second_service_is_kept_out_of_the_folder() {
    let service = Service::start(&[]);
    let second = command(service.data.path(), &[]).output().unwrap();
    let error = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{error}");
    assert!(error.contains("another `tandem serve`"), "{error}");
}

#[test]
fn what_is_kept_no_longer_is_gone_with_its_number() {
    let service = Service::start(&["--keep-jobs", "3"]);
    let ids: Vec<String> = (2..12)
        .map(|n| {
            let id = service.accepted(&format!("{{\"kind\":\"factor\",\"n\":{n}}}"));
            service.wait_for(&id, "succeeded");
            id
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(30);
    while service.get("/v1/jobs").json()["jobs"].as_array().unwrap().len() > 3 {
        assert!(Instant::now() < until, "nothing is forgotten");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(service.get(&format!("/v1/jobs/{}", ids[0])).status, 404);
    assert_eq!(service.job(&ids[9])["state"], "succeeded");
}

#[test]
fn a_waiting_job_whose_cancelling_was_acknowledged_does_not_run_after_a_kill() {
    let service = Service::start(&["--threads", "1"]);
    let first = service.accepted(LONG);
    service.wait_for(&first, "running");
    let waiting: Vec<String> = (0..20).map(|_| service.accepted(LONG)).collect();
    for id in &waiting {
        assert_eq!(service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"").status, 202);
    }
    let service = Service::start_in(service.kill(), &["--threads", "1"]);
    waiting.iter().for_each(|id| assert_eq!(service.job(id)["state"], "cancelled"));
}

#[test]
fn a_long_job_that_ended_last_is_kept_though_many_short_ones_came_after_it() {
    let service = Service::start(&["--keep-jobs", "3", "--threads", "2", "--allow-commands"]);
    let stop = service.data.path().join("stop");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.05; done", stop.display());
    let long = service.accepted(&serde_json::json!({"kind": "command", "argv": ["sh", "-c", wait]}).to_string());
    service.wait_for(&long, "running");
    let short: Vec<String> = (2..12)
        .map(|n| {
            let id = service.accepted(&format!(r#"{{"kind":"factor","n":{n}}}"#));
            // Once it has ended, it may be forgotten before anybody has asked.
            assert!([200, 404].contains(&service.get(&format!("/v1/jobs/{id}?wait=30s")).status));
            id
        })
        .collect();
    std::fs::write(stop, "").unwrap();
    service.wait_for(&long, "succeeded");
    let until = Instant::now() + Duration::from_secs(30);
    while service.get("/v1/jobs").json()["jobs"].as_array().unwrap().len() > 3 {
        assert!(Instant::now() < until, "nothing is forgotten");
        std::thread::sleep(Duration::from_millis(50));
    }
    let kept = |id: &String| service.get(&format!("/v1/jobs/{id}")).status == 200;
    assert!(kept(&long));
    assert_eq!(short.iter().filter(|id| kept(id)).collect::<Vec<_>>(), short[8..].iter().collect::<Vec<_>>());
}

#[test]
fn the_database_stays_as_short_as_it_is_to_be_and_the_newest_stay_in_it() {
    let short = command(tempfile::tempdir().unwrap().path(), &["--keep-size", "1MiB"]).output().unwrap();
    let error = String::from_utf8_lossy(&short.stderr);
    assert!(short.status.code() == Some(2) && error.contains("16MiB at least"), "{error}");
    let service = Service::start(&["--keep-size", "16MiB"]);
    let metadata = "x".repeat(1 << 20);
    let ids: Vec<String> = (2..32)
        .map(|n| {
            let id = service.accepted(&format!(r#"{{"kind":"factor","n":{n},"metadata":"{metadata}"}}"#));
            service.wait_for(&id, "succeeded");
            id
        })
        .collect();
    let kept = || ids.iter().map(|id| service.get(&format!("/v1/jobs/{id}")).status == 200).collect::<Vec<_>>();
    let until = Instant::now() + Duration::from_secs(30);
    while kept().iter().filter(|is_kept| **is_kept).count() > 15 {
        assert!(Instant::now() < until, "nothing is forgotten");
        std::thread::sleep(Duration::from_millis(50));
    }
    let kept = kept();
    assert!(kept.is_sorted() && kept[17..].iter().all(|is_kept| *is_kept), "{kept:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn as_the_first_of_a_container_it_reaps_what_programs_leave_behind_and_passes_signals_on() {
    let service = Service::start(&["--init", "--allow-commands"]);
    // In a session of its own, so that nobody ends it with the program that began it.
    let job = r#"{"kind":"command","argv":["sh","-c","setsid sleep 0.3 >/dev/null 2>&1 & echo $!"]}"#;
    let orphan: u32 = service.run(job)["result"]["stdout"].as_str().unwrap().trim().parse().unwrap();
    let parent = || std::fs::read_to_string(format!("/proc/{orphan}/stat")).ok();
    // Its state, and its parent.
    let of_init =
        |stat: String| stat.rsplit(')').next().unwrap().split_whitespace().nth(1) == Some(&service.pid().to_string());
    assert!(parent().is_none_or(of_init), "{:?}", parent());
    let until = Instant::now() + Duration::from_secs(20);
    while parent().is_some() {
        assert!(Instant::now() < until, "nobody reaped it: {:?}", parent());
        std::thread::sleep(Duration::from_millis(10));
    }
    let (code, _data, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ending: what runs is let end"), "{log}");
}

#[test]
fn a_terminal_that_is_closed_asks_for_an_end_and_is_no_crash() {
    let service = Service::start(&["--drain", "100ms"]);
    let id = service.accepted(LONG);
    service.wait_for(&id, "running");
    service.signal(libc::SIGHUP);
    let (code, data, _) = service.wait();
    assert_eq!(code, Some(0));
    let db = rusqlite::Connection::open(data.path().join("jobs.sqlite")).unwrap();
    let left: (String, u32) =
        db.query_row("SELECT state, crashes FROM jobs", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(left, ("queued".to_owned(), 0));
}
