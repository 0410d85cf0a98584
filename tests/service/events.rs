use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::program::{LONG, Service};

/// The events of a job as they came until its stream ended: states.
fn states(body: &str) -> Vec<String> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok()?["state"].as_str().map(str::to_owned))
        .collect()
}

/// Begins to listen.
fn listen(service: &Service, path: &str, headers: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let host = &service.address;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    BufReader::new(stream)
}

#[test]
fn the_events_of_a_job_begin_with_its_state_and_end_with_its_end() {
    let service = Service::start(&[]);
    let id = service.accepted(LONG);
    service.wait_for(&id, "running");
    let mut listening = listen(&service, &format!("/v1/jobs/{id}/events"), "");
    let mut heard = String::new();
    while !heard.contains("data: ") {
        assert_ne!(listening.read_line(&mut heard).unwrap(), 0, "it ended after {heard}");
    }
    assert_eq!(service.request("DELETE", &format!("/v1/jobs/{id}"), "", b"").status, 202);
    listening.read_to_string(&mut heard).unwrap();
    assert!(heard.to_ascii_lowercase().contains("content-type: text/event-stream"), "{heard}");
    assert_eq!(states(&heard), ["running", "cancelled"], "{heard}");
    let after = service.get(&format!("/v1/jobs/{id}/events"));
    assert_eq!(states(&after.body), ["cancelled"]);
    assert_eq!(service.get("/v1/jobs/abcd-1/events").status, 404);

    // A browser that was told of the end comes back all the same, and is told to stay away; one that was not hears of it.
    let again = |last: &str| {
        service.request("GET", &format!("/v1/jobs/{id}/events"), &format!("Last-Event-ID: {last}\r\n"), b"")
    };
    let ids =
        |body: &str| body.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect::<Vec<_>>();
    let (heard, after) = (ids(&heard), ids(&after.body));
    assert_eq!((again(&heard[1]).status, again(&after[0]).status), (204, 204), "{heard:?} {after:?}");
    for unaware in [heard[0].as_str(), "7", "18446744073709551615"] {
        let told = again(unaware);
        assert_eq!((told.status, states(&told.body)), (200, vec!["cancelled".to_owned()]), "{unaware}");
        assert_eq!(again(&ids(&told.body)[0]).status, 204, "{unaware}");
    }
}

#[test]
fn a_job_that_is_tried_again_is_told_of_as_queued_before_it_runs_again() {
    let service = Service::start(&["--allow-commands"]);
    let mut listening = listen(&service, "/v1/events", "");
    // Its head is here: from now on it hears of everything.
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        listening.read_line(&mut line).unwrap();
    }
    let id = service.accepted(r#"{"kind":"command","argv":["sleep","600"],"timeout":"100ms","retries":1}"#);
    let mut heard = String::new();
    while !heard.contains(r#""state":"failed""#) {
        assert_ne!(listening.read_line(&mut heard).unwrap(), 0, "it ended after {heard}");
    }
    let states = states(&heard);
    assert!(states.windows(2).any(|two| two == ["retry_wait", "queued"]), "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "queued").count(), 2, "{id}: {states:?}");
}

#[test]
fn who_comes_back_after_a_restart_is_told_that_he_may_have_missed_some() {
    let service = Service::start(&[]);
    let mut stream = listen(&service, "/v1/events", "");
    service.run(r#"{"kind":"factor","n":12}"#);
    let mut line = String::new();
    while !line.starts_with("id: ") {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    let service = Service::start_in(service.kill(), &[]);
    let mut again = listen(&service, "/v1/events", &format!("Last-Event-ID: {}\r\n", line[4..].trim()));
    let mut told = String::new();
    while !told.contains("\"count\":null") {
        assert!(again.read_line(&mut told).unwrap() > 0, "{told}");
    }
    assert!(told.contains("event: missed"), "{told}");
}

#[test]
fn who_comes_back_with_the_last_number_goes_on_after_it() {
    let service = Service::start(&[]);
    let listen = |last: &str| listen(&service, "/v1/events", last);
    let mut first = listen("");
    // Its head is here: from now on it hears of everything.
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        first.read_line(&mut line).unwrap();
    }
    let id = service.accepted(r#"{"kind":"factor","n":12}"#);
    service.wait_for(&id, "succeeded");
    let numbers = |reader: &mut BufReader<TcpStream>, count: usize| -> Vec<(u64, String)> {
        let (mut found, mut number, mut line) = (Vec::new(), 0, String::new());
        while found.len() < count {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended after {found:?}");
            if let Some(id) = line.strip_prefix("id: ") {
                number = id.trim().parse().unwrap();
            }
            if line.starts_with("data: ") {
                found.push((number, states(&line).remove(0)));
            }
        }
        found
    };
    let heard = numbers(&mut first, 2);
    assert_eq!((heard[0].1.as_str(), heard[1].1.as_str()), ("queued", "succeeded"));
    let again = numbers(&mut listen(&format!("Last-Event-ID: {}\r\n", heard[0].0)), 1);
    assert_eq!(again, heard[1..]);
}
