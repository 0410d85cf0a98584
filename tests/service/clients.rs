//! Clients that stand still, drip, or ask for more than there is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::program::{Reply, Service, read_reply};

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn head(service: &Service, request: &str, length: usize) -> String {
    format!("{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n", service.address)
}

/// Sends what there is, piece by piece, until all is sent or nobody listens, and gives the answer.
fn send_slowly(service: &Service, head: &str, pieces: impl Iterator<Item = Vec<u8>>) -> Reply {
    let mut stream = connect(service);
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut first = [0];
        let _ = reader.peek(&mut first);
        reader
    });
    for piece in pieces {
        if answer.is_finished() || stream.write_all(&piece).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    read_reply(answer.join().unwrap())
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=B\r\n";

#[test]
fn a_body_that_drips_or_stands_still_is_let_go_and_one_that_is_slow_is_not() {
    let service = Service::start(&["--client-timeout", "1s"]);
    let job = r#"{"kind":"factor","n":12}"#;
    let begin_of_form = format!("--B\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n{job}");
    let file = format!("{begin_of_form}\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n");
    let (job_line, service) = (format!("{job}\n"), &service);
    std::thread::scope(|scope| {
        for (request, headers, begin, status) in [
            ("POST /v1/jobs", "", "{", 408),
            ("POST /v1/jobs", FORM, begin_of_form.as_str(), 408),
            ("POST /v1/jobs", FORM, &file, 408),
            ("PUT /v1/datasets/t", "", "x", 408),
            ("POST /v1/batches", "", "{", 408),
            ("POST /v1/batches", "", &job_line, 200),
        ] {
            for drips in [true, false] {
                scope.spawn(move || {
                    let begin = std::iter::once(begin.as_bytes().to_vec());
                    let drops = std::iter::repeat_n(vec![b' '; usize::from(drips)], 600);
                    let head = head(service, request, 1_000_000) + headers;
                    let began = Instant::now();
                    let reply = send_slowly(service, &head, begin.chain(drops));
                    assert!(began.elapsed() < Duration::from_secs(25), "{request}");
                    assert_eq!(reply.status, status, "{request}, it drips: {drips}, {reply:?}");
                    assert!(reply.body.contains("\"stalled\""), "{request}: {reply:?}");
                    // What was accepted stays.
                    assert_eq!(reply.body.contains("\"id\""), status == 200, "{request}: {reply:?}");
                });
            }
        }
        scope.spawn(|| {
            // Three seconds, and never as long as a second without a byte.
            let head = head(service, "PUT /v1/datasets/slow", 60 * 400) + "Content-Type: text/csv\r\n";
            let reply = send_slowly(service, &head, std::iter::repeat_n([b"1\n".as_slice(); 200].concat(), 60));
            assert_eq!((reply.status, &reply.json()["bytes"]), (201, &24_000.into()), "{reply:?}");
        });
    });
    assert!(service.get("/metrics").body.contains("tandem_memory_bodies_bytes 0\n"), "all is given back");
}

#[test]
fn who_takes_no_answers_loses_his_place_to_who_does() {
    let service = Service::start(&["--client-timeout", "1s", "--max-connections", "1"]);
    let mut greedy = connect(&service);
    greedy.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let request = format!("GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", service.address);
    // Answers of hundreds of megabytes; nothing of them is read.
    let _ = greedy.write_all(request.repeat(20_000).as_bytes());
    let until = Instant::now() + Duration::from_secs(30);
    while service.get("/healthz").status != 200 {
        assert!(Instant::now() < until, "who takes nothing is waited for");
        std::thread::sleep(Duration::from_millis(50));
    }
    // It is there to the end, and what was on its way is not all that it asked for.
    let mut rest = Vec::new();
    let _ = greedy.read_to_end(&mut rest);
    assert!(rest.len() < 200 << 20, "{} bytes", rest.len());
}

#[test]
fn bodies_of_all_clients_take_no_more_memory_than_there_is_for_them() {
    let service = Service::start(&["--max-body", "1MiB", "--body-memory", "2500KiB"]);
    let job = |length: usize| r#"{"kind":"factor","n":12}"#.to_owned() + &" ".repeat(length);
    let whole = job((1 << 20) - 100);
    let mut first = connect(&service);
    first.write_all(format!("{}\r\n{}", head(&service, "POST /v1/jobs", whole.len()), &whole[1..]).as_bytes()).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let taken = || -> u64 {
        let metrics = service.get("/metrics").body;
        metrics.lines().find_map(|line| line.strip_prefix("tandem_memory_bodies_bytes ")).unwrap().parse().unwrap()
    };
    // Each byte twice: it becomes a text.
    while taken() < 2 * (whole.len() as u64 - 1) {
        assert!(Instant::now() < until, "{} bytes are taken", taken());
        std::thread::sleep(Duration::from_millis(5));
    }
    for path in ["/v1/jobs", "/v1/batches"] {
        let busy = service.request("POST", path, "", job(800 << 10).as_bytes());
        assert_eq!((busy.status, busy.json()["error"]["code"].as_str()), (503, Some("busy")), "{path}: {busy:?}");
        assert!(busy.header("retry-after").is_some(), "{path}: {busy:?}");
    }
    assert_eq!(service.post(&job(100)).status, 202, "there is room for small ones");
    // It was not held up by those that found no room.
    first.write_all(b" ").unwrap();
    assert_eq!(read_reply(first).status, 400, "its first byte was left out");
    assert_eq!(service.post(&job(800 << 10)).status, 202);
    assert_eq!(taken(), 0);
    let data = tempfile::tempdir().unwrap();
    let small = crate::program::command(data.path(), &["--body-memory", "1MiB"]).output().unwrap();
    let error = String::from_utf8_lossy(&small.stderr);
    assert!(small.status.code() == Some(1) && error.contains("--body-memory 1048576: give"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn long_answers_that_nobody_takes_are_bounded_before_they_are_read() {
    let service = Service::start(&["--max-body", "4MiB", "--body-memory", "16MiB"]);
    let job = format!(r#"{{"kind":"factor","n":12,"metadata":"{}"}}"#, "x".repeat(3 << 20));
    let id = service.accepted(&job);
    service.wait_for(&id, "succeeded");
    let resident_mib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = resident_mib();
    let request = format!("{}\r\n", head(&service, &format!("GET /v1/jobs/{id}"), 0));
    let clients: Vec<TcpStream> = (0..150)
        .map(|_| {
            let mut client = connect(&service);
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    // Each is answered, or told to come again; all of them at once would take 450 MiB.
    let reading = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(3));
        clients.into_iter().map(|client| read_reply(client).status).collect::<Vec<u16>>()
    });
    let mut most = 0;
    while !reading.is_finished() {
        most = most.max(resident_mib().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(most < 200, "{most} MiB");
    let statuses = reading.join().unwrap();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)) && statuses.contains(&200), "{statuses:?}");
}
