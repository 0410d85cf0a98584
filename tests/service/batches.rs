use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::program::{Service, read_reply};

#[test]
fn a_batch_tells_of_each_line_and_a_wrong_one_leaves_the_others_alone() {
    let service = Service::start(&[]);
    let body = "{\"kind\":\"factor\",\"n\":12}\n\n{\"kind\":\"fac\"}\r\n{\"kind\":\"factor\",\"n\":13}";
    let reply = service.request("POST", "/v1/batches", "Content-Type: application/x-ndjson\r\n", body.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    let lines: Vec<serde_json::Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(lines[1]["error"]["code"], "bad_input");
    for (line, n) in [(0, "2"), (2, "13")] {
        let job = service.wait_for(lines[line]["id"].as_str().unwrap(), "succeeded");
        assert_eq!(job["result"]["factors"][0]["prime"], n);
    }
}

#[test]
fn of_several_lines_of_one_name_the_last_before_is_meant() {
    let service = Service::start(&[]);
    let pair = |n: u32| {
        format!(
            "{{\"id\":\"a\",\"kind\":\"factor\",\"n\":{n}}}\n{{\"kind\":\"factor\",\"n\":{{\"$result\":\"a.factors.1.prime\"}}}}\n"
        )
    };
    let body: String = [6, 35, 143].map(pair).concat();
    let reply = service.request("POST", "/v1/batches", "", body.as_bytes());
    let lines: Vec<serde_json::Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, prime) in [(1, "3"), (3, "7"), (5, "13")] {
        let job = service.wait_for(lines[line]["id"].as_str().unwrap(), "succeeded");
        assert_eq!(job["result"]["factors"][0]["prime"], prime, "{job}");
    }
    let wrong = service.request("POST", "/v1/batches", "", b"{\"kind\":\"factor\",\"n\":1}\n{\"kind\":\"fac\"}\n");
    let second: serde_json::Value = serde_json::from_str(wrong.body.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&second["line"], &second["error"]["line"]), (&2.into(), &2.into()), "the place in the body");
}

#[test]
fn a_batch_of_wrong_lines_is_told_of_in_little_room() {
    let service = Service::start(&[]);
    let wrong = format!("{{\"kind\":\"{}\"}}\n", "\u{4e00}x".repeat(1500));
    let body = wrong.repeat(3000) + "{\"kind\":\"factor\",\"n\":12}\n{\"kind\":\"factor\",\"m\":12}";
    let reply = service.request("POST", "/v1/batches", "", body.as_bytes());
    let lines: Vec<serde_json::Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), Vec::from_iter(1..=3002));
    assert!(lines[999]["error"]["message"].as_str().unwrap().contains("unknown"), "{}", lines[999]);
    for line in [1000, 2999, 3001] {
        let error = &lines[line]["error"];
        assert_eq!(error["code"], "bad_input", "{error}");
        assert!(error["message"].as_str().unwrap().contains("only the first 1000"), "{error}");
        assert!(error["column"].is_number(), "{error}");
    }
    service.wait_for(lines[3000]["id"].as_str().unwrap(), "succeeded");
    assert!(reply.body.len() < 1000 * 1200 + 2002 * 150, "{} bytes", reply.body.len());
}

#[test]
fn a_batch_that_is_larger_than_the_queue_waits_for_room() {
    let service = Service::start(&["--queue", "50"]);
    let body: String = (2..1002).map(|n| format!("{{\"kind\":\"factor\",\"n\":{n}}}\n")).collect();
    let reply = service.request("POST", "/v1/batches", "", body.as_bytes());
    assert_eq!(reply.body.lines().count(), 1000);
    assert!(!reply.body.contains("error"), "{}", reply.body);
    let last: serde_json::Value = serde_json::from_str(reply.body.lines().last().unwrap()).unwrap();
    service.wait_for(last["id"].as_str().unwrap(), "succeeded");
}

#[test]
fn of_a_batch_of_one_job_too_many_that_one_is_refused() {
    let service = Service::start(&[]);
    for end in ["\n", "", "\n\n"] {
        let body = "1\n".repeat(99_999) + "{\"kind\":\"factor\",\"n\":12}\n{\"kind\":\"factor\",\"n\":13}" + end;
        let reply = service.request("POST", "/v1/batches", "", body.as_bytes());
        let mut last = reply.body.lines().rev().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let (refused, accepted) = (last.next().unwrap(), last.next().unwrap());
        assert_eq!((&refused["line"], &refused["error"]["code"]), (&100_001.into(), &"too_large".into()), "{refused}");
        assert_eq!(accepted["line"], 100_000);
        service.wait_for(accepted["id"].as_str().unwrap(), "succeeded");
        assert_eq!(reply.body.lines().count(), 100_001);
    }
    let most = service.request("POST", "/v1/batches", "", ("1\n".repeat(100_000) + "\n \n").as_bytes());
    assert_eq!(
        (most.body.lines().count(), most.body.contains("too_large")),
        (100_000, false),
        "empty lines are no jobs"
    );
}

#[test]
fn what_became_of_a_batch_is_held_until_it_was_taken() {
    let service = Service::start(&["--client-timeout", "60s"]);
    let taken = || -> usize {
        let metrics = service.get("/metrics").body;
        metrics.lines().find_map(|line| line.strip_prefix("tandem_memory_bodies_bytes ")).unwrap().parse().unwrap()
    };
    let body = "1\n".repeat(100_000);
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        service.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It is there once the answer has begun.
    stream.peek(&mut [0]).unwrap();
    let held = taken();
    let reply = read_reply(stream);
    assert_eq!((reply.status, reply.body.lines().count()), (200, 100_000));
    assert_eq!(held, reply.body.len(), "once, to the end");
    let until = Instant::now() + Duration::from_secs(30);
    while taken() > 0 {
        assert!(Instant::now() < until, "{} bytes are held", taken());
        std::thread::sleep(Duration::from_millis(5));
    }
}
